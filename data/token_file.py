"""Token files as `framework/data` reads them: little-endian uint16, headerless or with llm.c's header.

Files appear whole or not at all: written as `.part`, fsynced, renamed. Nothing is ever appended to a finished file.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from documents import DataError

LLMC_MAGIC, LLMC_VERSION, LLMC_HEADER_INTS = 20240520, 1, 256
LARGEST_TOKEN = 0xFFFF


def llmc_header(tokens):
    """llm.c's header: little-endian int32[256], of which the first three are magic, version and the token count."""
    if tokens > 0x7FFFFFFF:
        raise DataError(f"{tokens} tokens are too many for one llm.c file (its count is int32): use --format raw")
    header = np.zeros(LLMC_HEADER_INTS, "<i4")
    header[:3] = LLMC_MAGIC, LLMC_VERSION, tokens
    return header.tobytes()


def part_path(path):
    """Where `path` is written before it is finished."""
    return path.with_name(path.name + ".part")


def write_tokens(path, arrays, layout):
    """Writes `path`.part from `arrays` (iterable of integer arrays [n]) in `layout` "raw" or "llmc"; returns the count.

    Raises DataError if a token isn't in 0..65535.
    """
    tokens = 0
    with open(part_path(path), "wb") as file:
        if layout == "llmc":
            file.write(llmc_header(0))
        for array in arrays:
            array = np.asarray(array)
            if array.size and not 0 <= array.min() <= array.max() <= LARGEST_TOKEN:
                raise DataError(f"token {array.max()} does not fit uint16 (the largest is {LARGEST_TOKEN})")
            file.write(array.astype("<u2").tobytes())
            tokens += array.size
        if layout == "llmc":
            file.seek(0)
            file.write(llmc_header(tokens))
        file.flush()
        os.fsync(file.fileno())
    return tokens


def write_json(path, value):
    """Writes `value` as `path`.part, readable and fsynced."""
    with open(part_path(path), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def publish(paths):
    """Renames each `.part` to its name, in order, and fsyncs the folder."""
    for path in paths:
        os.replace(part_path(path), path)
    folder = os.open(Path(paths[0]).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sha256(path):
    """SHA-256 of a file, as hex."""
    state = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            state.update(block)
    return state.hexdigest()
