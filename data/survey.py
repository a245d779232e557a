"""What a first pass over documents learns of each: a hash, its size, its kind, and how many bytes a character takes."""

from array import array
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from problems import DataError

WIDTH_UNIT = 1 / 64   # bytes a character


def digest(document, seed):
    """(64-bit hash of the text, its size in bytes, its size in characters)."""
    state, size, characters = blake2b(digest_size=8, key=str(seed).encode()), 0, 0
    for piece in document:
        block = piece.encode()
        state.update(block)
        size += len(block)
        characters += len(piece)
    return int.from_bytes(state.digest(), "little"), size, characters


@dataclass
class Survey:
    """Arrays of one entry a document: `hashes` uint64, `sizes` int64 in bytes, `kinds` uint8 into `names`, `widths` uint8."""

    hashes: np.ndarray
    sizes: np.ndarray
    kinds: np.ndarray
    widths: np.ndarray
    names: list


def survey(source, seed):
    """The Survey of the documents that `source()` yields. Raises DataError if there is no text."""
    hashes, sizes, kinds, widths, names = array("Q"), array("q"), array("B"), array("B"), {}
    for document in source():
        code, size, characters = digest(document, seed)
        hashes.append(code)
        sizes.append(size)
        widths.append(min(255, round(size / max(characters, 1) / WIDTH_UNIT)))
        kinds.append(min(255, names.setdefault(getattr(document, "kind", ""), len(names))))
    if not sum(sizes):
        raise DataError("the input is empty: there is no text in it")
    arrays = (np.frombuffer(values, kind) for values, kind in
              ((hashes, np.uint64), (sizes, np.int64), (kinds, np.uint8), (widths, np.uint8)))
    return Survey(*arrays, list(names)[:256])


def typical_size(survey, weights):
    """The size in bytes of the document that a byte drawn from `weights` (bytes of each document) lies in, on average."""
    return float(weights @ survey.sizes / weights.sum())


def width(survey, weights):
    """Bytes a character."""
    return float(weights.sum() / (weights / (survey.widths * WIDTH_UNIT)).sum())


def shares(survey, weights):
    """The share of each kind of file: dict of name to a number from 0 to 1."""
    sums = np.bincount(survey.kinds, weights, len(survey.names)) / weights.sum()
    return {name or "no suffix": float(share) for name, share in zip(survey.names, sums)}


def size_text(size):
    """A size in bytes, for people."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB" if size >= 1e3 else f"{size:.0f} bytes"


def differences(training, validation):
    """Where two parts, each (Survey, bytes taken of each document), differ plainly: list of str."""
    lines = []
    sizes = typical_size(*training), typical_size(*validation)
    if not 1 / 4 <= sizes[1] / sizes[0] <= 4:
        word = "longer" if sizes[1] > sizes[0] else "shorter"
        lines.append(f"its documents are {word}: typically {size_text(sizes[1])}, in training {size_text(sizes[0])}")
    kinds = shares(*training), shares(*validation)
    change = {name: kinds[1].get(name, 0) - kinds[0].get(name, 0) for name in {**kinds[0], **kinds[1]}}
    if sum(map(abs, change.values())) / 2 > 1 / 4:
        name = max(change, key=change.get)
        lines.append(f"{kinds[1].get(name, 0):.0%} of it is {name}, of training {kinds[0].get(name, 0):.0%}")
    widths = width(*training), width(*validation)
    if not 3 / 4 <= widths[1] / widths[0] <= 4 / 3:
        lines.append(f"a character takes {widths[1]:.1f} bytes in it, in training {widths[0]:.1f}: is it another language?")
    return lines
