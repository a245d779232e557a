"""Which files the inputs name: folders are searched, and what is left out is named."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from problems import DataError, printable, some

TEXT_SUFFIXES = {".txt", ".text", ".md", ".rst", ".tex"}
ROW_SUFFIXES = {".jsonl", ".ndjson", ".json", ".parquet"}
COMPRESSED_SUFFIXES = {".gz", ".bz2", ".xz", ".zst"}


def compression(path):
    """The suffix that says how a file is compressed (".gz", …), or ""."""
    last = path.suffix.lower()
    return last if last in COMPRESSED_SUFFIXES else ""


def suffix(path):
    """The suffix that says what a file holds, lower case, looking through a compression's."""
    return Path(path.stem).suffix.lower() if compression(path) else path.suffix.lower()


def identity(path):
    """What tells a file from others, whatever it is called."""
    status = path.stat()
    return status.st_dev, status.st_ino


@dataclass
class Inputs:
    """`files`: list of (name, Path); `skipped`: dict of reason to names. Names are printable and relative to the input."""

    files: list = field(default_factory=list)
    skipped: dict = field(default_factory=dict)

    def skip(self, name, reason):
        self.skipped.setdefault(reason, []).append(printable(name))

    def leave_out(self, others, reason):
        """Skips the files that `others`, of the same form, holds too, by whatever path."""
        theirs = {identity(path) for _, path in others.files}
        for name, path in self.files:
            if identity(path) in theirs:
                self.skip(name, reason)
        self.files = [(name, path) for name, path in self.files if identity(path) not in theirs]

    def leave_out_repeats(self):
        """Skips a file that was named before, by whatever path."""
        seen, files = set(), []
        for name, path in self.files:
            if identity(path) in seen:
                self.skip(name, "read already, by another path")
            else:
                files.append((name, path))
            seen.add(identity(path))
        self.files = files

    def line(self):
        """How many files are read, and which are not."""
        count = sum(map(len, self.skipped.values()))
        reasons = "; ".join(f"{some(names)}: {reason}" for reason, names in self.skipped.items())
        return f"{len(self.files)} file{'s' * (len(self.files) != 1)} read" + (f", {count} skipped ({reasons})" if count else "")


def kind_problem(mode):
    """Why a file of this `st_mode` can't be read several times, or None."""
    kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))
    return next((word for test, word in kinds if test(mode)), None)


class Folder:
    """One folder's files, below it and behind its links; a folder that several paths lead to is searched once."""

    def __init__(self, root, all_files, written, inputs):
        self.root, self.all_files, self.written, self.inputs = root, all_files, written, inputs
        self.above = {(parent.stat().st_dev, parent.stat().st_ino) for parent in root.resolve().parents}
        self.seen, self.links, self.files = set(), [], []

    def name(self, path):
        return f"{self.root.resolve().name}/{path.relative_to(self.root).as_posix()}"

    def skip(self, path, reason):
        self.inputs.skip(self.name(path), reason)

    def search(self):
        """Sorted list of the files to read: what lies in the folder itself first, then what links lead to."""
        self.walk(self.root)
        while self.links:
            self.walk(self.links.pop(0), linked=True)
        return sorted(self.files)

    def walk(self, folder, linked=False):
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in self.seen or here in self.above:
            if linked:
                self.skip(folder, "links to folders that are searched already, or that the input lies in")
            return
        self.seen.add(here)
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            self.skip(folder, f"folders that can't be read ({error.strerror})")
            return
        for path in entries:
            self.look_at(path)

    def look_at(self, path):
        """Takes a file, walks a folder, notes a link for later, or says why none of that."""
        try:
            mode = path.stat().st_mode
        except OSError as error:
            self.skip(path, f"can't be opened ({error.strerror})")
            return
        if path.name.startswith("."):
            self.skip(path, "hidden")
        elif stat.S_ISDIR(mode):
            self.links.append(path) if path.is_symlink() else self.walk(path)
        elif word := kind_problem(mode):
            self.skip(path, f"{word}, not a file")
        elif path.resolve() in self.written:
            self.skip(path, "written by prepare.py")
        elif self.all_files or suffix(path) in TEXT_SUFFIXES | ROW_SUFFIXES:
            self.files.append(path)
        else:
            self.skip(path, "not text by their names, --all-files reads them")


def find_files(inputs, all_files=False, written=()):
    """The files that `inputs` (paths of files or folders) name, as Inputs.

    A folder is searched recursively, sorted, for texts and rows (TEXT_SUFFIXES, ROW_SUFFIXES), also compressed, or for
    all files but hidden ones; links are followed. `written` are paths of this program's own files. Raises DataError if
    an input is missing, isn't a file or folder, or a folder holds nothing to read.
    """
    found = Inputs()
    for root in map(Path, inputs):
        try:
            mode = root.stat().st_mode
        except OSError as error:
            missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
            raise DataError(f"{'no such file or folder' if missing else error.strerror}: {printable(root)}") from None
        if stat.S_ISDIR(mode):
            if not os.access(root, os.R_OK | os.X_OK):
                raise DataError(f"the folder {printable(root)} can't be read: permission denied")
            folder = Folder(root, all_files, {Path(path).resolve() for path in written}, found)
            paths = folder.search()
            if not paths:
                raise DataError(f"no text, .jsonl, .json or .parquet file in the folder {printable(root)}; {found.line()}")
            found.files += [(printable(folder.name(path)), path) for path in paths]
        elif word := kind_problem(mode):
            raise DataError(f"{printable(root)} is {word}, and the text is read several times: write it to a file first")
        else:
            found.files.append((printable(root.name), root))
    found.leave_out_repeats()
    return found
