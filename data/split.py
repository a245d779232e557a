"""Training and validation documents from one source, with no text in both.

Several documents are split by document: identical texts stay together, and which texts are held out depends on their
content and the seed, not on their order or names. One document alone is cut in two, validation last.
"""

from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Callable, Iterable

import numpy as np

from documents import DataError, next_boundary


@dataclass
class Split:
    """Two functions that each start a new pass over documents (iterables of str pieces), and what to say of them."""

    training: Callable[[], Iterable]
    validation: Callable[[], Iterable]
    provenance: dict = field(default_factory=dict)


def digest(document, seed):
    """(64-bit hash of the text, its size in bytes)."""
    state, size = blake2b(digest_size=8, key=str(seed).encode()), 0
    for piece in document:
        block = piece.encode()
        state.update(block)
        size += len(block)
    return int.from_bytes(state.digest(), "little"), size


def held_out(hashes, sizes, fraction):
    """The distinct hashes to hold out (set of int), from uint64[n] hashes and int64[n] sizes in bytes.

    Texts are taken in the order of their hashes, each that still fits into `fraction` of all bytes; the smallest text
    if none fits.
    """
    distinct, inverse = np.unique(hashes, return_inverse=True)
    if len(distinct) < 2:
        raise DataError("all documents are identical: nothing is left for validation")
    distinct_sizes = np.bincount(inverse.reshape(-1), weights=sizes).astype(np.int64)
    budget, chosen = int(fraction * distinct_sizes.sum()), []
    for i, size in enumerate(distinct_sizes.tolist()):
        if size <= budget:
            budget -= size
            chosen.append(i)
    return set(distinct[chosen or [int(distinct_sizes.argmin())]].tolist())


def part_of(document, cut, validation):
    """The pieces of `document` before character `cut` (or from it on, if `validation`); a word isn't cut."""
    position = 0
    for piece in document:
        end = position + len(piece)
        i = 0 if position >= cut else len(piece) if end <= cut else next_boundary(piece, cut - position)
        if part := piece[i:] if validation else piece[:i]:
            yield part
        position = end


def split_one(source, fraction):
    """Splits the only document of `source`: the last `fraction` of its characters is for validation."""
    characters = sum(len(piece) for document in source() for piece in document)
    cut = int((1 - fraction) * characters)
    parts = [lambda: (part_of(document, cut, False) for document in source()),
             lambda: (part_of(document, cut, True) for document in source())]
    for name, part in zip(("training", "validation"), parts):
        if not any(piece for document in part() for piece in document):
            raise DataError(f"nothing is left for {name}: {characters} characters with a fraction of {fraction}")
    return Split(*parts)


def split(source, fraction, seed):
    """Splits the documents that `source()` yields; the first pass over them only hashes. Raises DataError if empty."""
    if not 0 < fraction < 1:
        raise DataError(f"the validation fraction {fraction} is not between 0 and 1")
    hashes, sizes = array("Q"), array("q")
    for document in source():
        code, size = digest(document, seed)
        hashes.append(code)
        sizes.append(size)
    if not sum(sizes):
        raise DataError("the input is empty")
    if len(hashes) == 1:
        return split_one(source, fraction)
    validation = held_out(np.array(hashes), np.array(sizes), fraction)

    def part(wanted):
        for code, document in zip(hashes, source()):
            if (code in validation) == wanted:
                yield document

    return Split(lambda: part(False), lambda: part(True))
