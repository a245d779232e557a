"""Any tokenizer.json, as `tokenizers` and `transformers` write it: one that was learnt here with bpe:N, or another model's."""

import hashlib
from pathlib import Path

import numpy as np

from problems import DataError, printable
from tokenization import BytePairs, read_json, read_model

ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>")


def steps_of(value):
    """The types of a tokenizer's pre-tokenizer, one after another: list of (type, its settings)."""
    if not value:
        return []
    return [(step.get("type"), step) for step in value.get("pretokenizers", [value])]


def is_gpt2_like(value):
    """True if a tokenizer.json value is byte-level BPE that cuts words by GPT-2's rule, so that this project's own code can encode."""
    model, steps = value.get("model") or {}, steps_of(value.get("pre_tokenizer"))
    plain = not value.get("normalizer") and not any(model.get(key) for key in ("dropout", "byte_fallback", "ignore_merges"))
    added = {token["content"]: token for token in value.get("added_tokens") or ()}
    return (model.get("type", "BPE") == "BPE" and plain and [name for name, _ in steps] == ["ByteLevel"]
            and not steps[0][1].get("add_prefix_space") and steps[0][1].get("use_regex", True)
            and all(token.get("special") for token in added.values()))


def takes_pieces(value):
    """True if pieces that end before white space are encoded as the whole text is: byte-level, no space put before a text."""
    steps, normalizer = steps_of(value.get("pre_tokenizer")), (value.get("normalizer") or {}).get("type")
    return bool(steps) and steps[-1][0] == "ByteLevel" and not steps[-1][1].get("add_prefix_space") and normalizer in (None, "NFC")


def end_of_text(path, vocabulary):
    """The id that ends a document: the end-of-sequence token of tokenizer_config.json beside the file, or a usual name's."""
    config = path.with_name("tokenizer_config.json")
    named = read_json(config).get("eos_token") if config.is_file() else None
    named = named.get("content") if isinstance(named, dict) else named
    for name in (named, *ENDS):
        if name in vocabulary:
            return vocabulary[name]
    raise DataError(f"{printable(path)} has no token that ends a document: none of {', '.join(ENDS)}, and no eos_token in a "
                    "tokenizer_config.json beside it")


class TokenizerFile:
    """Encodes with the package `tokenizers` exactly as a tokenizer.json says; names of special tokens are text like any other."""

    def __init__(self, name, path, value, vocabulary, end):
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise DataError(f"{printable(path)} needs the package tokenizers: python3 -m venv .venv && .venv/bin/pip install "
                            "tokenizers numpy, then run this with .venv/bin/python") from None
        try:
            self.encoder = Tokenizer.from_file(str(path))
        except Exception as error:   # the package raises nothing more special
            raise DataError(f"{printable(path)}: the package tokenizers can't read it: {str(error).splitlines()[0]}") from None
        self.encoder.no_padding()
        self.encoder.no_truncation()
        self.encoder.encode_special_tokens = True
        self.name, self.end_of_text, self.whole = name, end, not takes_pieces(value)
        self.vocabulary_size = max(vocabulary.values()) + 1

    def encode(self, texts):
        return [np.array(code.ids, np.int64) for code in self.encoder.encode_batch(texts, add_special_tokens=False)]


def names_file(name):
    """True if `--tokenizer name` means a file: it ends in .json, or is a path that exists."""
    return name.endswith(".json") or Path(name).exists()


def load(name):
    """(tokenizer, JSON value) of a tokenizer.json, or of the one in a folder. Raises DataError."""
    path = Path(name) / "tokenizer.json" if Path(name).is_dir() else Path(name)
    if not path.is_file():
        raise DataError(f"there is no {printable(path)}")
    value = read_json(path)
    label = f"{path.name} ({hashlib.sha256(path.read_bytes()).hexdigest()[:16]})"
    try:
        vocabulary = {**dict_of(value["model"]["vocab"]), **{token["content"]: token["id"] for token in value.get("added_tokens") or ()}}
        end = end_of_text(path, vocabulary)
        if is_gpt2_like(value):
            tokenizer = BytePairs(label, *read_model(value), end)
        else:
            tokenizer = TokenizerFile(label, path, value, vocabulary, end)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        raise DataError(f"{printable(path)} is no tokenizer.json: it lacks a model with its vocabulary") from None
    return tokenizer, value


def dict_of(vocabulary):
    """A vocabulary as dict of token to id; a Unigram model's is a list of [token, score]."""
    return vocabulary if isinstance(vocabulary, dict) else {token: i for i, (token, _) in enumerate(vocabulary)}
