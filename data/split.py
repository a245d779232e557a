"""Training and validation documents from one source, with no text in both.

Which texts are held out depends on their content and the seed, not on their order or names: identical texts are
treated alike. Long documents are cut, so that validation holds a part of each: their last lines. The others are drawn
whole by their hashes, up to a threshold, and the document that stands at the threshold is cut.
"""

import re
from dataclasses import dataclass, field
from typing import Callable, Iterable

import numpy as np

from problems import DataError
from survey import differences, survey

SMALLEST_CUT = 512      # bytes: shorter documents stay whole
SMALLEST_PART = 1024    # bytes that are worth cutting off each long document
LONG = 1 / 8            # of all that is held out: what is longer is too much to be drawn or not
PRECISION = 1 / 50      # of all that is held out: what is nearer needs no cut
LARGEST_WINDOW = 1 << 16
LINE_END = re.compile(rb"\r\n?|[\n\x0b\x0c]|\xc2\x85|\xe2\x80[\xa8\xa9]")
WORD_END = re.compile(rb"(?<=[^\s])(?=\s)")


@dataclass
class Split:
    """Two functions that each start a new pass over documents (iterables of str pieces), and what to say of them."""

    training: Callable[[], Iterable]
    validation: Callable[[], Iterable]
    provenance: dict = field(default_factory=dict)
    warnings: list = field(default_factory=list)
    missed: str = ""   # why validation may be a larger or smaller part of the text than was asked for


def fewest(weights):
    """The one-hot float64[n] that draws the smallest text."""
    return (np.arange(len(weights)) == weights.argmin()).astype(float)


def drawn(hashes, sizes, fraction, total):
    """The share that is held out of each short document, float64[n]: 1 below the threshold, 0 above it, between at it.

    `hashes` uint64[n], `sizes` int64[n] in bytes, `total` bytes of all documents, long ones too.
    """
    codes, inverse, copies = np.unique(hashes, return_inverse=True, return_counts=True)
    weights = np.bincount(inverse.reshape(-1), weights=sizes)
    wanted, whole = fraction * weights.sum(), weights / copies < SMALLEST_CUT
    alone = sizes.sum() == total   # no long document is held out in part
    if len(codes) == 1 and whole[0]:
        if alone:
            raise DataError("nothing is left for validation: all documents are identical")
        return np.zeros(len(hashes))
    heavy = whole & (weights > 2 * wanted)   # with its copies too much to draw
    ends = np.cumsum(np.where(heavy, 0, weights))
    border = min(int(np.searchsorted(ends, wanted, side="right")), len(codes) - 1)
    share = ((np.arange(len(codes)) < border) & ~heavy).astype(float)
    part = 0.0 if heavy[border] else min((wanted - ends[border] + weights[border]) / weights[border], 1.0)
    nearest = round(part)
    near_enough = abs(part - nearest) * weights[border] <= PRECISION * fraction * total
    share[border] = nearest if whole[border] or near_enough else part
    if alone and not share.any():
        share = fewest(weights)
    if alone and share.all() and share[border] == 1:
        share[border] = 0
    return share[inverse.reshape(-1)]


def held_out_shares(hashes, sizes, fraction):
    """The share that is held out of each document, float64[n] from 0 to 1; of long ones each the same."""
    total = int(sizes.sum())
    limit = 0 if len(sizes) == 1 else max(LONG * fraction * total, SMALLEST_PART / fraction)
    share, short = np.full(len(sizes), fraction), sizes <= limit
    if short.any():
        share[short] = drawn(hashes[short], sizes[short], fraction, total)
    return share


def nearest_place(text, target, window):
    """Where to cut `text` (UTF-8 bytes): the line end nearest to `target` within `window` bytes, else a word's end, else there."""
    low, high = max(target - window, 1), min(target + window, len(text) - 1)
    for pattern in (LINE_END, WORD_END):
        places = [match.end() for match in pattern.finditer(text, low - 1, high + 1) if low <= match.end() <= high]
        if places:
            place = min(places, key=lambda place: abs(place - target))
            return place + (text[place - 1:place + 1] == b"\r\n")
    while 0 < target < len(text) and text[target] & 0xC0 == 0x80:
        target -= 1
    return target


def part_of(document, size, share, validation):
    """The pieces of `document` (`size` bytes) of which the last `share` is held out: those, or those before them."""
    target = round((1 - share) * size)
    window = min(target // 2, (size - target) // 2, LARGEST_WINDOW)
    position, near, start = 0, [], 0
    for piece in document:
        end = position + (len(piece) if piece.isascii() else len(piece.encode()))
        if end < target - window:
            if not validation:
                yield piece
        elif position <= target + window:
            start = position if not near else start
            near.append(piece)
        else:
            if near:
                yield from cut_off(near, target - start, window, validation)
                near = []
            if validation:
                yield piece
            elif position > target + window:
                return
        position = end
    if near:
        yield from cut_off(near, target - start, window, validation)


def cut_off(near, target, window, validation):
    """The part before or behind the cut of the pieces that lie around it, as a list of at most one piece."""
    text = "".join(near).encode()
    place = nearest_place(text, target, window)
    part = text[place:] if validation else text[:place]
    return [part.decode()] if part else []


def check_fraction(fraction):
    if not 0 < fraction < 1:
        raise DataError(f"the validation fraction {fraction} is not between 0 and 1")


def pass_over(source, documents):
    """(index, document) of a later pass over `source()`. Raises DataError if there aren't as many as in the first."""
    count = -1
    for count, document in enumerate(source()):
        if count >= documents:
            break
        yield count, document
    if count + 1 != documents:
        raise DataError("the input has changed while it was read")


def split(source, fraction, seed):
    """Splits the documents that `source()` yields; the first pass over them only hashes. Raises DataError if empty."""
    check_fraction(fraction)
    seen = survey(source, seed)
    share = held_out_shares(seen.hashes, seen.sizes, fraction)

    def part(validation):
        for i, document in pass_over(source, len(share)):
            if share[i] == validation:
                yield document
            elif 0 < share[i] < 1:
                yield part_of(document, int(seen.sizes[i]), float(share[i]), validation)

    training, validation = (1 - share) * seen.sizes, share * seen.sizes
    missed = (f"documents of less than {SMALLEST_CUT} bytes aren't cut, and there are only {len(share)}"
              if is_off(validation.sum() / seen.sizes.sum(), fraction) else "documents are cut at line ends, and the lines are long")
    found = differences((seen, training), (seen, validation)) if training.any() and validation.any() else []
    return Split(lambda: part(False), lambda: part(True), {"cut_documents": int(((share > 0) & (share < 1)).sum())}, found, missed)


def is_off(actual, fraction):
    """True if `actual` isn't within a few percent of the wanted `fraction`."""
    return abs(actual / fraction - 1) > 0.05


def split_by_hand(source, validation, seed):
    """A Split whose validation documents the user has named, `validation()`."""
    seen, held_out = survey(source, seed), survey(validation, seed)
    both = int(np.isin(held_out.hashes, seen.hashes).sum())
    found = [f"{both} of its {len(held_out.hashes)} documents are training documents too"] if both else []
    found += differences((seen, seen.sizes.astype(float)), (held_out, held_out.sizes.astype(float)))
    return Split(source, validation, {}, found)


def split_whole(source, fraction, seed):
    """The split of --source debian, fixed since runs on it are published: whole documents, long ones for training alone.

    Texts are taken in the order of their hashes, each that still fits into `fraction` of all bytes.
    """
    check_fraction(fraction)
    seen = survey(source, seed)
    codes, inverse = np.unique(seen.hashes, return_inverse=True)
    if len(codes) < 2:
        raise DataError("all documents are identical: nothing is left for validation")
    weights = np.bincount(inverse.reshape(-1), weights=seen.sizes).astype(np.int64)
    budget, share = int(fraction * weights.sum()), np.zeros(len(codes), bool)
    for i, size in enumerate(weights.tolist()):
        if size <= budget:
            budget -= size
            share[i] = True
    held_out = (share if share.any() else fewest(weights).astype(bool))[inverse.reshape(-1)]

    def part(validation):
        return (document for i, document in pass_over(source, len(held_out)) if held_out[i] == validation)

    return Split(lambda: part(False), lambda: part(True))
