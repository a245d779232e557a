"""Documents from files and folders, streamed: a document is an iterable of text pieces (str), in order.

Joining a document's pieces gives its text unchanged. Large texts are cut only where white space follows a letter or a
digit: byte-level BPE as in GPT-2 never merges across such a place, so encoding piece by piece gives the same tokens as
encoding the whole.
"""

import gzip
import json
from pathlib import Path

TEXT_SUFFIXES = {".txt", ".text", ".md", ".rst", ".tex"}
TABLE_SUFFIXES = {".jsonl", ".parquet"}
PIECE_CHARACTERS = 1 << 20


class DataError(Exception):
    """A mistake in the input or the options; its message is one line for the user."""


def suffix(path):
    """The suffix that says what a file holds, lower case, looking through `.gz`."""
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def find_files(inputs):
    """Files named by `inputs` (paths of files or folders): list of (name, Path).

    A folder is searched recursively for texts (.txt .text .md .rst .tex), .jsonl and .parquet, each also with .gz;
    hidden files and other suffixes are left out. Names are relative to the input, never absolute, and sorted within
    it. Raises DataError if an input is missing or a folder holds no such file.
    """
    found = []
    for root in map(Path, inputs):
        if root.is_dir():
            paths = sorted(path for path in root.rglob("*") if path.is_file()
                           and suffix(path) in TEXT_SUFFIXES | TABLE_SUFFIXES
                           and not any(part.startswith(".") for part in path.relative_to(root).parts))
            if not paths:
                raise DataError(f"no text, .jsonl or .parquet file in the folder {root}")
            found += [(f"{root.resolve().name}/{path.relative_to(root).as_posix()}", path) for path in paths]
        elif root.is_file():
            found.append((root.name, root))
        else:
            raise DataError(f"no such file or folder: {root}")
    return found


def next_boundary(text, start):
    """The smallest index >= `start` where `text` may be cut (white space after a letter or digit), or len(text)."""
    for i in range(max(start, 1), len(text)):
        if text[i] in " \n" and text[i - 1].isalnum():
            return i
    return len(text)


def last_boundary(text):
    """The largest index where `text` may be cut, or 0 if there is none."""
    for i in range(len(text) - 1, 0, -1):
        if text[i] in " \n" and text[i - 1].isalnum():
            return i
    return 0


def pieces(stream, size=PIECE_CHARACTERS):
    """Cuts a text stream into pieces of about `size` characters at safe places (longer where there is none)."""
    rest = ""
    while block := stream.read(size):
        rest += block
        cut = last_boundary(rest)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def open_text(path):
    """Opens a UTF-8 text, gzipped or not, without translating line ends."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, "rt", encoding="utf-8", newline="")


def text_pieces(path):
    """Pieces of one text file. Raises DataError if it isn't UTF-8."""
    try:
        with open_text(path) as stream:
            yield from pieces(stream)
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{path} is not UTF-8 text: {error}") from None


def jsonl_texts(path):
    """The "text" of each line of a JSON Lines file."""
    with open_text(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError):
                text = None
            if not isinstance(text, str):
                raise DataError(f'{path}, line {number}: not a JSON object with a "text"')
            yield text


def parquet_texts(path):
    """The column "text" of a Parquet file, read a row group at a time. Needs pyarrow."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError("reading .parquet needs pyarrow: pip install pyarrow (in a virtual environment)") from None
    table = parquet.ParquetFile(path)
    if "text" not in table.schema_arrow.names:
        raise DataError(f'{path} has no column "text"')
    for batch in table.iter_batches(columns=["text"]):
        yield from batch.column(0).to_pylist()


def read_documents(files):
    """Documents of `files` (list of (name, Path)), in order; empty ones are left out. May be called again."""
    for _, path in files:
        kind = suffix(path)
        if kind in TABLE_SUFFIXES:
            texts = jsonl_texts(path) if kind == ".jsonl" else parquet_texts(path)
            yield from ([text] for text in texts if text)
        elif path.stat().st_size:
            yield text_pieces(path)
