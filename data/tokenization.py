"""Tokenizers behind one interface: `name`, `vocabulary_size`, `end_of_text` (id) and `encode(texts)`.

`encode` takes a list of str and returns a list of integer arrays, one each. Where `whole` is true, each must be a whole
document, else a piece of one as `documents` cuts it. End-of-text is added by the caller after each document; its name
inside a text is ordinary text.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np

from byte_pair import BytePairEncoder, byte_characters
from problems import DataError, printable

END_OF_TEXT = "<|endoftext|>"
LARGEST_LEARNT = 1 << 24
GPT2_SIZE, GPT2_END = 50257, 50256
GPT2_SAMPLE = ("Hello world", [15496, 995])
VOCABULARY_FILES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))


class Bytes:
    """A token is a byte. Byte 0 ends a document: text has no NUL, so the vocabulary stays at 256."""

    name, vocabulary_size, end_of_text, whole = "bytes", 256, 0, False

    def encode(self, texts):
        blocks = [text.encode() for text in texts]
        if any(b"\0" in block for block in blocks):
            raise DataError("a text contains a NUL byte, which ends a document here: is it a text?")
        return [np.frombuffer(block, np.uint8) for block in blocks]


class BytePairs:
    """Byte-level BPE from a vocabulary (dict) and merges (list of pairs); fast where `tokenizers` is installed."""

    whole = False

    def __init__(self, name, vocabulary, merges, end_of_text=None):
        self.name, self.vocabulary, self.merges = name, vocabulary, merges
        if end_of_text is None and END_OF_TEXT not in vocabulary:
            raise DataError(f"the vocabulary has no {END_OF_TEXT}")
        if unknown := [symbol for symbol in byte_characters().values() if symbol not in vocabulary]:
            raise DataError(f"{name}: the vocabulary lacks {len(unknown)} of the 256 bytes: texts that hold them can't be encoded")
        if unknown := [pair for pair in merges if "".join(pair) not in vocabulary]:
            raise DataError(f"{name}: the vocabulary lacks what {len(unknown)} of the merges make, {' '.join(unknown[0])} first")
        self.vocabulary_size = max(vocabulary.values()) + 1
        self.end_of_text = vocabulary[END_OF_TEXT] if end_of_text is None else end_of_text
        try:
            self.fast = fast_encoder(vocabulary, merges)
        except ImportError:
            self.fast = None
            self.plain = BytePairEncoder(vocabulary, merges)

    def encode(self, texts):
        if self.fast:
            return [np.array(code.ids, np.int64) for code in self.fast.encode_batch(texts, add_special_tokens=False)]
        return [np.array(self.plain.encode(text), np.int64) for text in texts]


def fast_encoder(vocabulary, merges):
    """The same encoder from the `tokenizers` package (threads, 10 times faster). Raises ImportError."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    encoder = Tokenizer(models.BPE(vocabulary, [tuple(pair) for pair in merges]))
    encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return encoder


def check_trainable(size):
    """Raises DataError if a BPE of `size` ids can't be learnt: a size out of range, or no package for it."""
    if not 257 <= size <= LARGEST_LEARNT:
        raise DataError(f"bpe:{size}: the size must be between 257 (256 bytes and end-of-text) and {LARGEST_LEARNT}")
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        raise DataError("training a BPE needs the package tokenizers: python3 -m venv .venv && "
                        ".venv/bin/pip install tokenizers numpy, then run this with .venv/bin/python") from None


def train(size, documents):
    """Learns byte-level BPE with `size` ids from documents (iterables of str pieces).

    Returns (BytePairs, the tokenizer as the JSON value that `tokenizers` and `transformers` load).
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[END_OF_TEXT], show_progress=False,
                                  initial_alphabet=sorted(byte_characters().values()))
    tokenizer.train_from_iterator((piece for document in documents for piece in document), trainer)
    value = json.loads(tokenizer.to_str())
    return BytePairs(f"bpe:{size}", *read_model(value)), value


def read_model(value):
    """(vocabulary, merges) of a tokenizer.json value; merges there are "a b" or ["a", "b"]."""
    model = value["model"]
    vocabulary = {**model["vocab"], **{token["content"]: token["id"] for token in value.get("added_tokens", ())}}
    return vocabulary, [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]


def read_folder(folder):
    """(vocabulary, merges) from the vocabulary files in `folder`, or None if they aren't there."""
    for names, merges in VOCABULARY_FILES:
        if (folder / names).is_file() and (folder / merges).is_file():
            lines = (folder / merges).read_text(encoding="utf-8").split("\n")
            pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
            return read_json(folder / names), pairs
    if (folder / "tokenizer.json").is_file():
        try:
            return read_model(read_json(folder / "tokenizer.json"))
        except (KeyError, TypeError, AttributeError):
            raise DataError(f"{printable(folder / 'tokenizer.json')} holds no byte-pair vocabulary") from None
    return None


def read_json(path):
    """The object in a JSON file. Raises DataError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{printable(path)} is not JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(value, dict):
        raise DataError(f"{printable(path)} is not a JSON object")
    return value


def hub_folders():
    """Folders of GPT-2's snapshots in the Hugging Face hub's cache."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return [path for name in ("gpt2", "openai-community--gpt2") for path in sorted(hub.glob(f"models--{name}/snapshots/*"))]


def read_tiktoken_cache():
    """(vocabulary, merges) from tiktoken's cache, whose file names say nothing: told apart by how they begin."""
    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    folder = Path(named or Path(tempfile.gettempdir()) / "data-gym-cache")
    vocabulary = pairs = None
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        content = path.read_bytes() if path.is_file() else b""
        if content.startswith(b"#version: 0.2\n"):
            pairs = [tuple(line.split(" ")) for line in content.decode().split("\n")[1:] if line]
        elif content.startswith(b"{") and END_OF_TEXT.encode() in content:
            vocabulary = json.loads(content)
    return (vocabulary, pairs) if vocabulary and pairs else None


def gpt2(folder=None):
    """GPT-2's tokenizer from the files in `folder`, else from the usual caches. Raises DataError if not found."""
    if folder:
        found = read_folder(Path(folder))
        where = f"in {folder}"
    else:
        candidates = [read_folder(path) for path in hub_folders()] + [read_tiktoken_cache()]
        found = next((candidate for candidate in candidates if candidate), None)
        where = "in the caches of Hugging Face and tiktoken"
    if not found:
        raise DataError(f"no GPT-2 vocabulary {where}: give --vocabulary DIR with vocab.json and merges.txt, "
                        "encoder.json and vocab.bpe, or tokenizer.json")
    tokenizer = BytePairs("gpt2", *found)
    sample, ids = GPT2_SAMPLE
    if ((tokenizer.vocabulary_size, tokenizer.end_of_text) != (GPT2_SIZE, GPT2_END)
            or tokenizer.encode([sample])[0].tolist() != ids):
        raise DataError(f"the vocabulary found {where} is not GPT-2's")
    return tokenizer
