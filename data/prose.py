"""English prose from Debian's documentation packages, for a quickstart without any data at hand.

A fixed list of packages is downloaded with apt (not installed; no root needed), unpacked into a temporary folder and
cleaned. One page is one document; a paragraph whose sentences stood on an earlier page is dropped, so that no
sentence is in both training and validation. The text depends only on the packages' versions.
"""

import gzip
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from clean import prose_paragraphs
from problems import DataError

# Each line: a package, or alternatives for other releases of which the first available is taken.
PACKAGES = (
    "postgresql-doc-15 postgresql-doc-17 postgresql-doc-16 postgresql-doc-14 postgresql-doc-13",
    "python3.11-doc python3.13-doc python3.12-doc python3.10-doc python3.9-doc",
    "perl-doc", "git-doc", "python-sqlalchemy-doc", "sqlite3-doc", "python-django-doc", "apache2-doc",
    "exim4-doc-html", "gcl-doc", "zsh-doc", "r-doc-html",
    "libreoffice-help-en-us", "nova-doc", "postfix-doc", "bind9-doc", "jargon-text", "debian-policy", "buildbot-doc",
)
KINDS = {".html": "html", ".htm": "html", ".pod": "pod", ".txt": "text"}
TEXT_PAGES = ("jargon.txt.gz",)
SMALLEST_CORPUS_BYTES = 20_000_000
SMALLEST_DOCUMENT_CHARACTERS = 400
WORKERS = 2
ADVICE = "; give your own text files as INPUT instead"


def say(message):
    """Progress, for people."""
    print(message, file=sys.stderr, flush=True)


def run(command, folder=None):
    """Output of a command (list of str) run in `folder`. Raises DataError if it is missing or fails."""
    try:
        done = subprocess.run(command, cwd=folder, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True,
                              timeout=600)
    except FileNotFoundError:
        raise DataError(f"{command[0]} is not on this machine, and --source debian needs it" + ADVICE) from None
    except subprocess.TimeoutExpired:
        raise DataError(f"{command[0]} took more than 10 minutes" + ADVICE) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise DataError(f"{' '.join(command[:1] + command[-1:])} failed: {lines[0]}")
    return done.stdout


def candidates(options):
    """Versions that apt can download: dict of package name to version."""
    names = " ".join(PACKAGES).split()
    found, name = {}, None
    for line in run(["apt-cache", *options, "policy", *names]).splitlines():
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif line.startswith("  Candidate: ") and not line.endswith("(none)"):
            found[name] = line.split()[-1]
    return found


def choose(available):
    """The first available of each line of PACKAGES; says which lines have none."""
    chosen = []
    for line in PACKAGES:
        name = next((name for name in line.split() if name in available), None)
        if name:
            chosen.append(name)
        else:
            say(f"no package {line.split()[0]} here, going on without it")
    return chosen


def private_lists(folder):
    """apt options for package lists of our own in `folder`, fetched now: the system's may be missing or old."""
    options = ["-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache",
               "-o", "APT::Sandbox::User=root"]
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    say("fetching the package lists")
    run(["apt-get", *options, "update"])
    return options


def download(folder):
    """Downloads the packages into `folder`: list of (name, version, Path of the .deb), in the order of PACKAGES."""
    def attempt(options):
        available = candidates(options)
        chosen = choose(available) if available else []
        if not chosen:
            raise DataError("apt knows none of the documentation packages")
        say(f"downloading {len(chosen)} documentation packages")
        run(["apt-get", *options, "download", *chosen], folder)
        return chosen

    try:
        chosen = attempt(["-o", "APT::Sandbox::User=root"])
    except DataError as first:
        say(f"{first}; trying again with new package lists")
        try:
            chosen = attempt(private_lists(folder))
        except DataError as error:
            raise DataError(f"{error}{'' if ADVICE in str(error) else ADVICE}") from None
    packages = []
    for name in chosen:
        path = next(iter(folder.glob(f"{name}_*.deb")))
        packages.append((name, run(["dpkg-deb", "-f", str(path), "Version"]).strip(), path))
    return packages


def find_pages(folder):
    """Pages of an unpacked package: sorted list of (Path, kind). Links, sources and other languages are left out."""
    pages = []
    for path in sorted(folder.rglob("*")):
        name = path.name.removesuffix(".gz")
        kind = KINDS.get(Path(name).suffix)
        if not kind or path.is_symlink() or not path.is_file():
            continue
        language = re.search(r"\.([a-z]{2})(?:[_-]\w+)?\.html?$", name)
        if (kind == "text" and path.name not in TEXT_PAGES) or (language and language[1] != "en"):
            continue
        pages.append((path, kind))
    return pages


def read_page(page):
    """Prose paragraphs of one page (Path, kind)."""
    path, kind = page
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return prose_paragraphs(content.decode("utf-8", "replace"), kind)


def sentence_keys(paragraph):
    """Hashes of a paragraph's sentences, blind to case, digits and punctuation: list of (int, letters)."""
    letters = (re.sub(r"[^a-z]", "", sentence) for sentence in re.split(r"[.!?]\s", paragraph.lower()))
    return [(hash_text(text), len(text)) for text in letters if text]


def hash_text(text):
    """64-bit hash, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def drop_repeated(paragraphs, seen):
    """Paragraphs none of whose longer sentences (40 letters or more) is in `seen` (set of int, added to)."""
    kept = []
    for paragraph in paragraphs:
        keys = sentence_keys(paragraph)
        codes = {code for code, letters in keys if letters >= 40} or {code for code, _ in keys}
        if seen.isdisjoint(codes):
            kept.append(paragraph)
        seen |= codes
    return kept


def make_documents(pages):
    """Texts of `pages` (list of (Path, kind)), in order: paragraphs with an empty line between; short ones left out."""
    seen, texts = set(), []
    with ProcessPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as workers:
        for paragraphs in workers.map(read_page, pages, chunksize=32):
            text = "\n\n".join(drop_repeated(paragraphs, seen))
            if len(text) >= SMALLEST_DOCUMENT_CHARACTERS:
                texts.append(text + "\n")
    return texts


def collect():
    """The corpus: (texts (list of ASCII str), provenance (dict)). Raises DataError if it can't be had or is too small."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        packages = download(folder)
        pages = []
        for name, _, path in packages:
            unpacked = folder / "unpacked" / name
            unpacked.mkdir(parents=True)
            run(["dpkg-deb", "-x", str(path), str(unpacked)])
            pages += find_pages(unpacked)
        say(f"cleaning {len(pages)} pages")
        texts = make_documents(pages)
        downloaded = sum(path.stat().st_size for _, _, path in packages)
    size = sum(map(len, texts))
    if size < SMALLEST_CORPUS_BYTES:
        raise DataError(f"only {size / 1e6:.1f} MB of prose from {len(packages)} packages, "
                        f"{SMALLEST_CORPUS_BYTES / 1e6:.0f} MB are needed" + ADVICE)
    text_sha256 = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    say("\n".join(f"  {name} {version}" for name, version, _ in packages))
    say(f"{size / 1e6:.1f} MB of prose in {len(texts)} documents from a download of {downloaded / 1e6:.0f} MB, "
        f"sha256 {text_sha256}")
    return texts, {"packages": {name: version for name, version, _ in packages}, "text_sha256": text_sha256}
