"""Byte-level byte-pair encoding as GPT-2 does it, in plain Python: no package and no network is needed.

Text is cut into words by GPT-2's rule, each word is written as bytes, and the pair of symbols that was learnt earliest
is merged until no learnt pair is left. Slower than the `tokenizers` package (about 1 MB/s). Same ids, except beside
code points that this Python's Unicode version doesn't know yet: whether they are letters is then unknown.
"""

import re
import sys
import unicodedata
from functools import lru_cache

WHITE_SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"


def character_class(initial):
    """All code points whose Unicode category starts with `initial` ("L" letters, "N" numbers), as a regex range list."""
    ranges, start = [], None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code))[0] == initial
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            ranges.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    return "".join(ranges)


@lru_cache(maxsize=1)
def word_pattern():
    """GPT-2's rule: contractions; letters, digits or other signs, each with one space before; runs of white space."""
    letter, number = character_class("L"), character_class("N")
    return re.compile(f"'(?:[stmd]|re|ve|ll)| ?[{letter}]+| ?[{number}]+| ?[^{WHITE_SPACE}{letter}{number}]+"
                      f"|[{WHITE_SPACE}]+(?![^{WHITE_SPACE}])|[{WHITE_SPACE}]+")


def byte_characters():
    """The visible character that stands for each byte in vocabulary files: dict of int (0-255) to str."""
    visible = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {**{byte: chr(byte) for byte in visible}, **{byte: chr(256 + i) for i, byte in enumerate(hidden)}}


class BytePairEncoder:
    """Encodes text to ids, given `vocabulary` (dict: symbol to id) and `merges` (list of symbol pairs, by rank)."""

    def __init__(self, vocabulary, merges):
        self.vocabulary = vocabulary
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
        self.characters = byte_characters()
        self.word = lru_cache(maxsize=1 << 18)(self.encode_word)

    def encode_word(self, word):
        """Ids of one word (str): tuple of int."""
        symbols = [self.characters[byte] for byte in word.encode()]
        unlearnt = len(self.ranks)
        while len(symbols) > 1:
            best = min(zip(symbols, symbols[1:]), key=lambda pair: self.ranks.get(pair, unlearnt))
            if best not in self.ranks:
                break
            symbols = merge(symbols, best)
        return tuple(self.vocabulary[symbol] for symbol in symbols)

    def encode(self, text):
        """Ids of `text`: list of int. Special tokens have no meaning here: their names are text like any other."""
        return [code for word in word_pattern().findall(text) for code in self.word(word)]


def merge(symbols, pair):
    """`symbols` with every occurrence of `pair` joined, from left to right."""
    merged, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged
