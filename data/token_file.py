"""Token files: little-endian uint16 or uint32, as `framework/data` reads them; headerless or with one of llm.c's headers.

Files appear whole or not at all: written as `.part`, fsynced, renamed. Nothing is ever appended to a finished file.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from problems import DataError

LLMC_HEADER_INTS = 256
LLMC_KINDS = {"uint16": (20240520, 1), "uint32": (20240801, 7)}   # magic and version: its GPT-2's and its Llama 3's
LLMC_MOST_TOKENS = 0x7FFFFFFF
LARGEST_UINT16_VOCABULARY = 1 << 16


def token_type(vocabulary):
    """The type that holds every id of a vocabulary of so many: "uint16" or "uint32"."""
    return "uint16" if vocabulary <= LARGEST_UINT16_VOCABULARY else "uint32"


def llmc_header(tokens, kind):
    """llm.c's header: little-endian int32[256], of which the first three are magic, version and the token count."""
    header = np.zeros(LLMC_HEADER_INTS, "<i4")
    header[:3] = *LLMC_KINDS[kind], tokens
    return header.tobytes()


def part_path(path):
    """Where `path` is written before it is finished."""
    return path.with_name(path.name + ".part")


def write_tokens(path, arrays, layout, kind="uint16"):
    """Writes `path`.part from `arrays` (iterable of integer arrays [n]) as `kind` ("uint16" or "uint32"), in `layout`
    "raw" or "llmc"; returns the count. Raises DataError if a token doesn't fit the kind.
    """
    tokens, largest, dtype = 0, np.iinfo(kind).max, np.dtype(kind).newbyteorder("<")
    with open(part_path(path), "wb") as file:
        if layout == "llmc":
            file.write(llmc_header(0, kind))
        for array in arrays:
            array = np.asarray(array)
            if array.size and not 0 <= array.min() <= array.max() <= largest:
                token = array.min() if array.min() < 0 else array.max()
                raise DataError(f"token {token} does not fit {kind} (the largest is {largest})")
            tokens += array.size
            if layout == "llmc" and tokens > LLMC_MOST_TOKENS:
                raise DataError("too many tokens for one llm.c file (its count is int32): use --format raw")
            file.write(array.astype(dtype).data)
        if layout == "llmc":
            file.seek(0)
            file.write(llmc_header(tokens, kind))
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
