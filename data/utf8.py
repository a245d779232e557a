"""UTF-8 text from a stream of bytes, checked on the way."""

import codecs

from compressed import BLOCK, open_decompressed
from problems import DataError, printable

BYTE_ORDER_MARK = "\ufeff"


def without_marks(text):
    """`text` without byte order marks, wherever they stand: they are no part of it."""
    return text if text.isascii() else text.replace(BYTE_ORDER_MARK, "")


def line_at(path, offset):
    """The number of the line that byte `offset` of a file, decompressed, lies in."""
    line = 1
    with open_decompressed(path) as stream:
        while offset > 0 and (block := stream.read(min(BLOCK, offset))):
            line += block.count(b"\n")
            offset -= len(block)
    return line


def text_blocks(stream, path):
    """The text of a binary stream in blocks (str). Raises DataError, with the line, where it isn't UTF-8 or holds a NUL."""
    decoder, offset = codecs.getincrementaldecoder("utf-8")(), 0   # bytes before this block
    while True:
        block = stream.read(BLOCK)
        if b"\0" in block:
            offset += block.index(b"\0")
            raise DataError(f"{printable(path)}, line {line_at(path, offset)}: a NUL byte (byte {offset}): is it text? If it is UTF-16, "
                            "convert it: iconv -f utf-16le -t utf-8")
        held = len(decoder.getstate()[0])   # bytes of a character that began in the block before
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            offset += error.start - held
            raise DataError(f"{printable(path)}, line {line_at(path, offset)}: not UTF-8 (0x{error.object[error.start]:02x} is byte "
                            f"{offset}): if it is Latin-1, convert it: iconv -f latin1 -t utf-8") from None
        if text:
            yield without_marks(text)
        if not block:
            return
        offset += len(block)
