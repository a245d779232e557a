"""Documents from files, streamed: a document's pieces (str), joined, give its text without byte order marks.

Large texts are cut only before white space, best behind a letter or a digit, or between a letter and the punctuation of
a script without blanks: byte-level BPE as in GPT-2 never merges across such a place, so encoding piece by piece gives
the same tokens as encoding the whole. Only a run of a million characters without such a place is cut where it stands.
"""

import re
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Iterable

from compressed import BLOCK, open_input
from inputs import ROW_SUFFIXES, compression, suffix
from problems import DataError, Problems
from rows import BadRow, read_rows
from utf8 import text_blocks, without_marks

PIECE_CHARACTERS = 1 << 17
SEARCHED_CHARACTERS = 1 << 12   # at a piece's end, for a place to cut it
LARGEST_UNCUT_CHARACTERS = 1 << 20
MOST_HELD_BLOCKS = 64
SAFE_PLACES = [re.compile(pattern) for pattern in (
    r"(?<=[^\W_])(?=[ \n])", r"(?<=\S)(?=\s)",
    r"(?<=[^\W\d_])(?=[\u3001\u3002\uff0c\uff0e\uff1a\uff1b\uff1f\uff01\u0964\u060c\u061f])")]


@dataclass
class Document:
    """One text as pieces, which may be iterated once, and the kind of file that it comes from (".md")."""

    pieces: Iterable
    kind: str = ""

    def __iter__(self):
        return iter(self.pieces)


@dataclass
class Reading:
    """How documents are read: the key of a row's text, what ends a document inside a text, and what is done with bad ones."""

    text_key: str = "text"
    separator: str = ""
    problems: Problems = field(default_factory=Problems)


def last_boundary(text, start):
    """The largest index > `start` where `text` may be cut, searched from its end on; 0 if there is none."""
    near = max(start, len(text) - SEARCHED_CHARACTERS)
    for begin in dict.fromkeys((near, start)):
        for pattern in SAFE_PLACES:
            places = [match.start() for match in pattern.finditer(text, begin)]
            if places and places[-1] > 0:
                return places[-1]
    return 0


def pieces(blocks, size=PIECE_CHARACTERS):
    """Cuts a text, given in blocks (iterable of str), into pieces of about `size` characters at safe places."""
    rest = ""
    for block in blocks:
        searched, rest = max(len(rest) - 1, 0), rest + block
        if len(rest) < size:
            continue
        cut = last_boundary(rest, searched) or (len(rest) if len(rest) > LARGEST_UNCUT_CHARACTERS else 0)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def separated(blocks, separator):
    """Yields the text between separators in blocks, and None where a separator stood."""
    rest, kept = "", len(separator) - 1
    for block in blocks:
        *ended, rest = (rest + block).split(separator)
        for text in ended:
            yield text
            yield None
        if len(rest) > kept:
            yield rest[:len(rest) - kept]
            rest = rest[len(rest) - kept:]
    yield rest


def parts_of(blocks, separator):
    """The texts that `separator` ends (if there is one), each as blocks; what isn't read of one is passed over."""
    if not separator:
        yield blocks
        return
    for ended, group in groupby(separated(blocks, separator), lambda text: text is None):
        if not ended:
            yield group


def with_text(blocks):
    """`blocks` again, or None if there is nothing but white space in them (in the first, that is, where they are many)."""
    blocks, held = iter(blocks), []
    for block in blocks:
        held.append(block)
        if (block and not block.isspace()) or len(held) > MOST_HELD_BLOCKS:
            return chain(held, blocks)
    return None


def text_documents(path, reading):
    """Documents of one text file: iterables of pieces."""
    with open_input(path) as stream:
        for blocks in parts_of(text_blocks(stream, path), reading.separator):
            if found := with_text(blocks):
                yield pieces(found)
            elif not reading.separator:
                reading.problems.add_empty(path)


def row_documents(path, reading):
    """Documents of the rows of one file: lists of pieces. Bad rows are the reading's problems."""
    for text in read_rows(path, reading.text_key):
        if isinstance(text, BadRow):
            reading.problems.add(path, text)
            continue
        text, found = without_marks(text or ""), False
        for part in text.split(reading.separator) if reading.separator else (text,):
            if part and not part.isspace():
                found = True
                yield [part]
        if not found:
            reading.problems.add_empty(path)


def check_whole(path):
    """Reads a text, or the bytes of compressed rows, to the end. Raises DataError if anything in it is bad."""
    rows = suffix(path) in ROW_SUFFIXES
    if rows and not compression(path):
        return
    with open_input(path) as stream:
        for _ in iter(lambda: stream.read(BLOCK), b"") if rows else text_blocks(stream, path):
            pass


def is_whole(path, problems):
    """False, and counted, if bad files are to be skipped and this one is one: nothing of it is read then."""
    if problems.skip and path not in problems.checked:
        problems.checked[path] = None
        try:
            check_whole(path)
        except DataError as error:
            problems.checked[path] = error
    if error := problems.checked.get(path):
        problems.add(path, error)
    return not error


def read_documents(files, reading=None):
    """Documents of `files` (list of (name, Path)), in order; those without text are left out and counted. May be called again.

    A document must be read, or left, before the next one is asked for. Raises DataError for bad ones, unless they are
    to be skipped.
    """
    reading = reading or Reading()
    for _, path in files:
        kind = suffix(path)
        reading.problems.begin(path)
        if not is_whole(path, reading.problems):
            continue
        try:
            for document in (row_documents if kind in ROW_SUFFIXES else text_documents)(path, reading):
                yield Document(document, kind)
        except DataError as error:
            reading.problems.add(path, error)
