"""Rows of JSON Lines, JSON and Parquet files: the text of each."""

import codecs
import json
import re

from compressed import BLOCK, open_input
from inputs import compression, suffix
from problems import DataError, printable
from utf8 import text_blocks

LONGEST_ROW = 1 << 28   # bytes
SPACE = re.compile(r"[ \t\r\n]*")
MARK = codecs.BOM_UTF8


class BadRow(DataError):
    """A row that holds no text as it should; the rows after it can be read."""


def text_of(row, key):
    """The text (str) of a row (any JSON value), or None if it is null. Raises ValueError, which says what is wrong."""
    if not isinstance(row, dict):
        raise ValueError(f"not a JSON object but a {type(row).__name__}")
    if key not in row:
        names = ", ".join(list(row)[:8]).encode("utf-8", "backslashreplace").decode()
        raise ValueError(f'no key "{key}" in it; --text-key names another' + (f" of {names!r}" if names else ""))
    return checked(row[key], key)


def checked(text, key):
    """`text`, if it is a str that has a UTF-8 form and no NUL, or None. Raises ValueError."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f'"{key}" is a {type(text).__name__}, not a text')
    if "\0" in text:
        raise ValueError("a NUL character is in the text")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(text[error.start]):04x}"
            raise ValueError(f"half a surrogate pair ({half}) is in the text, which has no UTF-8 form") from None
    return text


def parse(line):
    """The JSON value of one line (bytes). Raises ValueError, which says what is wrong."""
    if line.strip() in (b"{", b"[{"):
        raise ValueError("a row goes over several lines: end the file's name in .json")
    try:
        return json.loads(line.removeprefix(MARK).decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (0x{line[error.start]:02x} at byte {error.start} of the line)") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def lines_of(stream, path):
    """Lines (bytes) of a binary stream, whatever they end with. Raises DataError at one that no row is as long as."""
    number = 0
    while line := stream.readline(LONGEST_ROW + 1):
        number += 1
        if len(line) > LONGEST_ROW:
            raise DataError(f"{printable(path)}, line {number}: longer than {LONGEST_ROW >> 20} MiB: is it JSON Lines?")
        if b"\r" not in line:
            yield number, line
            continue
        first, *others = line.rstrip(b"\r\n").split(b"\r")
        yield number, first
        for part in others:
            number += 1
            yield number, part


def jsonl_texts(stream, path, key):
    """The text of each line of JSON Lines; None for null, BadRow for a bad line."""
    scan = json.JSONDecoder().raw_decode   # half the time of json.loads, which says more where something is wrong
    for number, line in lines_of(stream, path):
        try:
            text = line.decode()
            row, end = scan(text)
            text = text_of(row if end == len(text) or text[end:].isspace() else parse(line), key)
        except (ValueError, RecursionError):
            if not line.removeprefix(MARK).strip():
                continue
            try:
                text = text_of(parse(line), key)
            except ValueError as error:
                text = BadRow(f"{printable(path)}, line {number}: {error}")
        yield text


class JsonValues:
    """The values of a JSON text, one after another or in one array, with their lines; the text comes in blocks."""

    def __init__(self, blocks, path):
        self.blocks, self.path = iter(blocks), path
        self.text, self.at, self.line, self.scan = "", 0, 1, json.JSONDecoder().raw_decode

    def fail(self, message):
        raise DataError(f"{printable(self.path)}, line {self.line}: {message}")

    def more(self):
        """Doubles what is held of the text, from the current place on. False at its end."""
        parts, size = [self.text[self.at:]], len(self.text) - self.at
        wanted = 2 * size
        while (block := next(self.blocks, None)) is not None:
            parts.append(block)
            size += len(block)
            if size > wanted:
                break
        grown = len(parts) > 1
        self.text, self.at = "".join(parts), 0
        return grown

    def peek(self):
        """The next character that isn't white space, or "" at the end."""
        while True:
            end = SPACE.match(self.text, self.at).end()
            self.line += self.text.count("\n", self.at, end)
            self.at = end
            if end < len(self.text):
                return self.text[end]
            if not self.more():
                return ""

    def value(self):
        """The value that begins here."""
        while True:
            try:
                value, end = self.scan(self.text, self.at)
                break
            except RecursionError:
                self.fail("nested too deeply")
            except ValueError as error:
                if len(self.text) - self.at > LONGEST_ROW:
                    self.fail(f"longer than {LONGEST_ROW >> 20} MiB: is it JSON?")
                if not self.more():
                    self.fail(f"not JSON, or cut ({str(error).split(':')[0]})")
        self.line += self.text.count("\n", self.at, end)
        self.at = end
        return value

    def __iter__(self):
        array = self.peek() == "["
        self.at += array
        first = True
        while (start := self.peek()) and not (array and start == "]"):
            if array and not first:
                if start != ",":
                    self.fail("a comma is missing between rows")
                self.at += 1
                self.peek()
            line, first = self.line, False
            yield line, self.value()
        if array:
            if not start:
                self.fail("the array isn't closed: is the file cut?")
            self.at += 1
            if self.peek():
                self.fail("something stands behind the array")


def json_texts(blocks, path, key):
    """The text of each value of a JSON text; None for null, BadRow for one that holds none."""
    for line, value in JsonValues(blocks, path):
        try:
            text = text_of(value, key)
        except ValueError as error:
            text = BadRow(f"{printable(path)}, line {line}: {error}")
        yield text


def parquet_texts(path, key):
    """A column of a Parquet file, read a batch of rows at a time. Needs pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{printable(path)}: reading .parquet needs pyarrow: pip install pyarrow (in a virtual "
                        "environment)") from None
    if compression(path):
        raise DataError(f"{printable(path)}: Parquet is compressed inside: unpack the file first")
    row = 0
    try:
        table = parquet.ParquetFile(path)
        names = table.schema_arrow.names
        if key not in names:
            raise DataError(f'{printable(path)} has no column "{key}"; --text-key names another of {", ".join(names)!r}')
        for batch in table.iter_batches(columns=[key]):
            for text in batch.column(0).to_pylist():
                row += 1
                try:
                    text = checked(text, key)
                except ValueError as error:
                    text = BadRow(f"{printable(path)}, row {row}: {error}")
                yield text
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{printable(path)}: not a whole Parquet file of texts: {str(error).splitlines()[0]}") from None


def read_rows(path, key):
    """The texts of a file's rows: str, None for null, BadRow for a bad one. Raises DataError where the file can't be read on."""
    if suffix(path) == ".parquet":
        yield from parquet_texts(path, key)
        return
    with open_input(path) as stream:
        array = stream.peek(BLOCK).removeprefix(MARK).lstrip()[:1] == b"["
        if array or suffix(path) == ".json":
            yield from json_texts(text_blocks(stream, path), path, key)
        else:
            yield from jsonl_texts(stream, path, key)
