"""Files as streams of bytes, decompressed by their names, and recognised by how they begin where they aren't what they say."""

import bz2
import contextlib
import gzip
import io
import lzma
import re
import zlib
from functools import lru_cache

from inputs import compression
from problems import DataError, printable

BLOCK = 1 << 18    # bytes read at a time
BUFFER = 1 << 16
HEAD = 512   # bytes that tell what a file is

COMPRESSED = {".gz": re.compile(rb"\x1f\x8b"),
              ".bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
              ".xz": re.compile(rb"\xfd7zXZ\0"), ".zst": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")}
REMEDY = "unpack it and give what is in it"
OTHERS = (
    (rb"PK\x03\x04", "a zip archive (.docx, .odt, .epub and .npz are some too)", REMEDY),
    (rb".{257}ustar", "a tar archive", REMEDY), (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", REMEDY), (rb"Rar!", "a rar archive", REMEDY),
    (rb"\x04\x22\x4d\x18", "lz4-compressed", REMEDY), (rb"\x1f[\x9d\xa0]", "compressed by compress", REMEDY),
    (rb"%PDF-", "a PDF file", "convert it to text first"), (rb"\{\\rtf", "an RTF file", "convert it to text first"),
    (rb"PAR1", "a Parquet file", "its name must end in .parquet"), (rb"ARROW1", "an Arrow file", "save it as .parquet or .jsonl"),
    (rb"\x93NUMPY", "a NumPy array", "give text, not tokens"), (rb"\x89HDF", "an HDF5 file", "give its texts as .jsonl"),
    (rb"version https://git-lfs", "a Git LFS pointer, not the file", "git lfs pull fetches it"),
    (rb"\xff\xfe\0\0|\0\0\xfe\xff", "UTF-32 text, not UTF-8", "convert it: iconv -f utf-32 -t utf-8"),
    (rb"\xff\xfe|\xfe\xff", "UTF-16 text, not UTF-8", "convert it: iconv -f utf-16 -t utf-8"))
KNOWN = re.compile(b"|".join([start for start, _, _ in OTHERS] + [start.pattern for start in COMPRESSED.values()]), re.DOTALL)


@lru_cache(maxsize=1)
def zstandard_errors():
    """What the modules that read .zst raise: tuple of exception types."""
    errors = []
    with contextlib.suppress(ImportError):
        from compression import zstd
        errors.append(zstd.ZstdError)
    with contextlib.suppress(ImportError):
        import zstandard
        errors.append(zstandard.ZstdError)
    return tuple(errors)


class Zstandard(io.RawIOBase):
    """Reads a .zst file of any number of frames with the package zstandard, whose own reader takes a cut file for a whole one."""

    def __init__(self, file, package):
        self.file, self.package, self.frame, self.input, self.output = file, package, None, b"", b""

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self.output:
            self.input = self.input or self.file.read(1 << 16)
            if not self.input:
                if self.frame:
                    raise EOFError("it ends inside a frame")
                return 0
            self.frame = self.frame or self.package.ZstdDecompressor().decompressobj()
            self.output = self.frame.decompress(self.input)
            self.input = self.frame.unused_data
            if self.frame.eof:
                self.frame = None
        count = min(len(buffer), len(self.output))
        buffer[:count], self.output = self.output[:count], self.output[count:]
        return count


def open_zstandard(file):
    """A .zst file decompressed, by Python's own module (3.14) or the package zstandard. Raises DataError if there is neither."""
    with contextlib.suppress(ImportError):
        from compression import zstd
        return zstd.open(file)
    try:
        import zstandard
    except ImportError:
        raise DataError(f"{printable(file.name)}: reading .zst needs the package zstandard: pip install zstandard (in a virtual "
                        "environment), or unpack it first: zstd -d") from None
    return Zstandard(file, zstandard)


OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": open_zstandard}


def check_named_right(path, head):
    """Raises DataError if a file that begins with `head` (bytes) isn't compressed as its name says, or is, and it doesn't say so."""
    named = compression(path)
    if named and head and not COMPRESSED[named].match(head):
        raise DataError(f"{printable(path)} is named {named}, but isn't compressed so: give it its right name")
    for ending, start in COMPRESSED.items():
        if not named and start.match(head):
            raise DataError(f"{printable(path)} is compressed, and its name doesn't say so: add {ending} to it")


def check_text(path, head):
    """Raises DataError if what begins with `head` (bytes, decompressed) is known not to be UTF-8 text."""
    for start, what, remedy in OTHERS:
        if re.match(start, head, re.DOTALL):
            raise DataError(f"{printable(path)} is {what}: {remedy}")
    if any(start.match(head) for start in COMPRESSED.values()):
        raise DataError(f"{printable(path)} is compressed twice: unpack it once")


@contextlib.contextmanager
def open_decompressed(path):
    """A file's bytes, decompressed, as a buffered stream. Raises DataError if its name says what it isn't."""
    named = compression(path)
    with open(path, "rb", BUFFER) as file:
        head = file.peek(HEAD)[:HEAD]
        if named or KNOWN.match(head):
            check_named_right(path, head)
        if not named:
            yield file
            return
        with OPENERS[named](file) as raw, io.BufferedReader(raw, BLOCK) as stream:
            yield stream


@contextlib.contextmanager
def open_input(path):
    """A file's text as bytes, decompressed. Raises DataError for what can't be read, is damaged or cut, or isn't text."""
    try:
        with open_decompressed(path) as stream:
            head = stream.peek(HEAD)[:HEAD]
            if KNOWN.match(head):
                check_text(path, head)
            yield stream
    except OSError as error:
        if error.errno:
            raise DataError(f"{printable(path)}: {error.strerror}") from None
        raise DataError(f"{printable(path)} is damaged or cut: {error}") from None
    except (EOFError, zlib.error, lzma.LZMAError, *zstandard_errors()) as error:
        raise DataError(f"{printable(path)} is damaged or cut: {error}") from None
