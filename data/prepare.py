#!/usr/bin/env python3
"""Turns text into token files for training: DIR/train.bin, DIR/val.bin and DIR/meta.json.

Examples:
  prepare.py my_texts/ --tokenizer gpt2 --vocabulary gpt2_files/ --output tokens/
  prepare.py novel.txt --tokenizer bytes --validation-fraction 0.1 --output tokens/
  prepare.py --source debian --tokenizer bytes --output tokens/
  prepare.py --source openwebtext --tokenizer gpt2 --output tokens/
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import openwebtext
import prose
import tokenization
from documents import DataError, find_files, read_documents, TABLE_SUFFIXES, suffix
from split import split
from token_file import part_path, publish, sha256, write_json, write_tokens

BATCH_CHARACTERS = 1 << 21
FRACTION, SEED = 0.02, 1337
PARTS = {"training": "train.bin", "validation": "val.bin"}


def parse(arguments):
    """Options from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="text, .jsonl or .parquet file, or a folder of them")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for the token files")
    parser.add_argument("--tokenizer", required=True, metavar="NAME", help="bytes, bpe:N (N ids, learnt here) or gpt2")
    parser.add_argument("--vocabulary", type=Path, metavar="DIR", help="GPT-2's vocabulary files (default: caches)")
    parser.add_argument("--source", choices=("openwebtext", "debian"), help="a known corpus instead of own INPUT; "
                        "openwebtext may have its downloaded files as INPUT")
    parser.add_argument("--format", choices=("raw", "llmc"), default="raw", help="uint16 alone or after llm.c's header")
    parser.add_argument("--validation-fraction", type=float, metavar="F",
                        help=f"default {FRACTION}, openwebtext {openwebtext.FRACTION}")
    parser.add_argument("--seed", type=int, help=f"of the split; default {SEED}, openwebtext {openwebtext.SEED}")
    parser.add_argument("--force", action="store_true", help="replace existing token files")
    return parser.parse_args(arguments)


def open_source(options):
    """The Split of the texts that `options` name. Raises DataError."""
    known = openwebtext if options.source == "openwebtext" else None
    if options.validation_fraction is None:
        options.validation_fraction = known.FRACTION if known else FRACTION
    if options.seed is None:
        options.seed = known.SEED if known else SEED
    fraction, seed = options.validation_fraction, options.seed
    if options.source == "debian":
        if options.inputs:
            raise DataError("--source debian takes no INPUT")
        texts, provenance = prose.collect()
        parts = split(lambda: ([text] for text in texts), fraction, seed)
        parts.provenance = provenance
        return parts
    files = find_files(options.inputs)
    if known and all(suffix(path) in TABLE_SUFFIXES for _, path in files):
        parts = known.load(files, fraction, seed)
    elif files:
        parts = split(lambda: read_documents(files), fraction, seed)
    else:
        raise DataError("give INPUT files or folders, or --source")
    parts.provenance["inputs"] = [name for name, _ in files]
    return parts


def choose_tokenizer(options):
    """A function of the Split that returns (tokenizer, its JSON value or None). Mistakes are found before it is called.

    A BPE is learnt from the training documents alone.
    """
    name, _, size = options.tokenizer.partition(":")
    if options.tokenizer == "bytes":
        return lambda parts: (tokenization.Bytes(), None)
    if options.tokenizer == "gpt2":
        tokenizer = tokenization.gpt2(options.vocabulary)
        return lambda parts: (tokenizer, None)
    if name == "bpe" and size.isdecimal():
        tokenization.check_trainable(int(size))
        return lambda parts: tokenization.train(int(size), parts.training())
    raise DataError(f"unknown tokenizer {options.tokenizer}: choose bytes, bpe:N or gpt2")


def token_arrays(documents, tokenizer, counts):
    """Yields integer arrays: each document's tokens, then end-of-text. Adds to `counts` ("documents", "bytes")."""
    end = np.array([tokenizer.end_of_text])
    texts, characters = [], 0

    def encoded():
        arrays = iter(tokenizer.encode([text for text in texts if text is not None]))
        return np.concatenate([end if text is None else next(arrays) for text in texts])

    for document in documents:
        for piece in document:
            counts["bytes"] += len(piece.encode())
            characters += len(piece)
            texts.append(piece)
            if characters >= BATCH_CHARACTERS:
                yield encoded()
                texts, characters = [], 0
        texts.append(None)
        counts["documents"] += 1
    if texts:
        yield encoded()


def write_part(path, documents, tokenizer, layout):
    """Writes `path`.part; returns its counts (dict: documents, tokens, bytes of text, sha256 of the file)."""
    counts = {"documents": 0, "tokens": 0, "bytes": 0}
    counts["tokens"] = write_tokens(path, token_arrays(documents, tokenizer, counts), layout)
    if not counts["bytes"]:
        raise DataError(f"nothing is left for {path.name}")
    counts["sha256"] = sha256(part_path(path))
    return counts


def prepare(options):
    """Writes train.bin, val.bin, meta.json (last) and, for a learnt BPE, tokenizer.json; returns meta (dict)."""
    paths = [options.output / name for name in ("train.bin", "val.bin", "tokenizer.json", "meta.json")]
    if not options.force:
        for path in paths[:2]:
            if path.exists():
                raise DataError(f"{path} exists: choose another --output, or --force to replace it")
    make_tokenizer = choose_tokenizer(options)
    parts = open_source(options)
    tokenizer, model = make_tokenizer(parts)
    meta = {"source": options.source or "files", **parts.provenance, "tokenizer": tokenizer.name,
            "vocabulary_size": tokenizer.vocabulary_size, "end_of_text": tokenizer.end_of_text,
            "format": options.format, "dtype": "little-endian uint16",
            "validation_fraction": options.validation_fraction, "seed": options.seed, "files": {}}
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for part, name in PARTS.items():
            documents = getattr(parts, part)()
            meta["files"][name] = write_part(options.output / name, documents, tokenizer, options.format)
        if model:
            write_json(paths[2], model)
        write_json(paths[3], meta)
        for stale in paths[2:]:
            stale.unlink(missing_ok=True)
        publish([path for path in paths if model or path.name != "tokenizer.json"])
    finally:
        for path in paths:
            part_path(path).unlink(missing_ok=True)
    return meta


def main(arguments=None):
    """Runs the program; returns its exit code."""
    options = parse(arguments)
    try:
        meta = prepare(options)
    except (DataError, OSError, UnicodeError) as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return 1
    for name, counts in meta["files"].items():
        print(f"{options.output / name}  {counts['documents']} documents  {counts['bytes'] / 1e6:.2f} MB of text  "
              f"{counts['tokens']} tokens  sha256 {counts['sha256']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
