#!/usr/bin/env python3
"""Turns text into token files for training: DIR/train.bin, DIR/val.bin and DIR/meta.json.

Examples:
  prepare.py my_texts/ --tokenizer gpt2 --vocabulary gpt2_files/ --output tokens/
  prepare.py novel.txt --tokenizer bytes --validation-fraction 0.1 --output tokens/
  prepare.py pages.jsonl.gz --text-key content --skip-bad --tokenizer bpe:8192 --output tokens/
  prepare.py more/ --tokenizer tokens/tokenizer.json --validation held_out.txt --output more_tokens/
  prepare.py --source debian --tokenizer bytes --output tokens/
  prepare.py --source openwebtext --tokenizer gpt2 --output tokens/
"""

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "analysis"))
import interpreter  # noqa: E402, F401
import openwebtext  # noqa: E402
import prose  # noqa: E402
import tokenization  # noqa: E402
import tokenizer_file  # noqa: E402
from documents import Reading, read_documents  # noqa: E402
from encoding import write_part  # noqa: E402
from inputs import find_files, suffix  # noqa: E402
from problems import DataError, Problems, printable  # noqa: E402
from split import is_off, split, split_by_hand, split_whole  # noqa: E402
from token_file import part_path, publish, token_type, write_json  # noqa: E402

FRACTION, SEED = 0.02, 1337
PARTS = {"training": "train.bin", "validation": "val.bin"}
WRITTEN = (*PARTS.values(), "tokenizer.json", "meta.json")


def parse(arguments):
    """Options from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="text, .jsonl, .ndjson, .json or .parquet file, or a folder of them; also "
        "compressed: .gz, .bz2, .xz, .zst")
    add("--output", required=True, type=Path, metavar="DIR", help="folder for the token files")
    add("--tokenizer", required=True, metavar="NAME", help="bytes, bpe:N (N ids, learnt here), gpt2, or the path of a "
        "tokenizer.json")
    add("--vocabulary", type=Path, metavar="DIR", help="GPT-2's vocabulary files (default: caches)")
    add("--source", choices=("openwebtext", "debian"), help="a known corpus instead of own INPUT; openwebtext may have its "
        "downloaded files as INPUT")
    add("--all-files", action="store_true", help="read every file of a folder but hidden ones, whatever its name")
    add("--text-key", default="text", metavar="KEY", help="the key or column of a row that holds its text (default: text)")
    add("--separator", nargs="?", const=tokenization.END_OF_TEXT, default="", metavar="STRING", help="ends a document inside a "
        f"text; without STRING {tokenization.END_OF_TEXT}. INPUT stands before it")
    add("--skip-bad", action="store_true", help="leave out what is damaged or isn't text, and count it, instead of ending")
    add("--format", choices=("raw", "llmc"), default="raw", help="tokens alone or behind llm.c's header")
    add("--validation", nargs="+", metavar="FILE", help="files or folders to hold out; INPUT, which stands before it, is for "
        "training alone")
    add("--validation-fraction", type=float, metavar="F", help=f"default {FRACTION}, openwebtext {openwebtext.FRACTION}")
    add("--seed", type=int, help=f"of the split; default {SEED}, openwebtext {openwebtext.SEED}")
    add("--force", action="store_true", help="replace existing token files")
    options = parser.parse_args(arguments)
    known = openwebtext if options.source == "openwebtext" else None
    options.by_fraction = options.validation_fraction is not None
    options.validation_fraction = options.validation_fraction if options.by_fraction else known.FRACTION if known else FRACTION
    options.seed = options.seed if options.seed is not None else known.SEED if known else SEED
    return options


def check_options(options):
    """Raises DataError where options contradict each other."""
    if options.source == "debian" and options.inputs:
        raise DataError("--source debian takes no INPUT")
    if options.validation and options.source:
        raise DataError(f"--validation goes with own INPUT, not with --source {options.source}")
    if options.validation and options.by_fraction:
        raise DataError("--validation names the files that are held out: leave --validation-fraction out")
    if not options.inputs and not options.source:
        raise DataError("give INPUT files or folders" + (" before --validation" if options.validation else ", or --source"))


class OwnText:
    """The texts that the user names: where they are, how they are read, and what is said of them."""

    def __init__(self, options):
        self.options, self.problems = options, Problems(options.skip_bad)
        self.inputs = self.find(options.inputs)
        self.held_out = self.find(options.validation) if options.validation else None
        if self.held_out:
            self.inputs.leave_out(self.held_out, "held out by --validation")
            if not self.inputs.files:
                raise DataError("nothing is left for training: --validation names every file of the input")

    def find(self, paths):
        written = [self.options.output / name for name in WRITTEN]
        return find_files(paths, self.options.all_files, written)

    def documents(self, files):
        """A function that starts a pass over the documents of `files`."""
        reading = Reading(self.options.text_key, self.options.separator, self.problems)
        return lambda: read_documents(files, reading)

    def split(self):
        """The Split of these texts, with what is known of them."""
        try:
            parts = self.divide()
        except DataError as error:
            raise DataError("; ".join([str(error), *(self.problems.lines() if self.problems.skip else [])])) from None
        parts.provenance["inputs"] = [name for name, _ in self.inputs.files]
        if self.held_out:
            parts.provenance["validation_inputs"] = [name for name, _ in self.held_out.files]
        if left_out := self.problems.counts():
            parts.provenance["left_out"] = left_out
        return parts

    def divide(self):
        options, files = self.options, self.inputs.files
        if self.held_out:
            return split_by_hand(self.documents(files), self.documents(self.held_out.files), options.seed)
        if options.source and all(suffix(path) in openwebtext.TABLES for _, path in files):
            return openwebtext.load(files, options.validation_fraction, options.seed)
        return split(self.documents(files), options.validation_fraction, options.seed)

    def lines(self):
        """What was read, and what was not: list of str."""
        held_out = [f"for validation: {self.held_out.line()}"] if self.held_out else []
        return [self.inputs.line(), *held_out, *self.problems.lines()]


def open_source(options):
    """(Split, a function that returns what to say of what was read). Raises DataError."""
    if options.source == "debian":
        texts, provenance = prose.collect()
        parts = split_whole(lambda: ([text] for text in texts), options.validation_fraction, options.seed)
        parts.provenance = provenance
        return parts, list
    if not options.inputs:
        return openwebtext.load([], options.validation_fraction, options.seed), list
    text = OwnText(options)
    return text.split(), text.lines


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
    if tokenizer_file.names_file(options.tokenizer):
        loaded = tokenizer_file.load(options.tokenizer)
        return lambda parts: loaded
    raise DataError(f"unknown tokenizer {options.tokenizer}: choose bytes, bpe:N, gpt2 or the path of a tokenizer.json")


def described(options, parts, tokenizer):
    """meta.json without its "files": what was prepared, and how."""
    kind = token_type(tokenizer.vocabulary_size)
    split_by = {} if options.validation else {"validation_fraction": options.validation_fraction}
    return {"source": options.source or "files", **parts.provenance, "tokenizer": tokenizer.name,
            "vocabulary_size": tokenizer.vocabulary_size, "end_of_text": tokenizer.end_of_text,
            "format": options.format, "dtype": f"little-endian {kind}", **split_by, "seed": options.seed, "files": {}}


def warnings(options, parts, meta):
    """What is odd about the split: list of str."""
    train, validation = (meta["files"][name]["bytes"] for name in PARTS.values())
    actual = validation / (train + validation)
    off = [f"validation is {actual:.2%} of the text, not {options.validation_fraction:.2%}: {parts.missed}"] \
        if parts.missed and is_off(actual, options.validation_fraction) else []
    return off + [f"validation differs from training: {line}" for line in parts.warnings]


def prepare(options):
    """Writes train.bin, val.bin, meta.json (last) and tokenizer.json where one was learnt or given.

    Returns (meta, what to say of it: list of str).
    """
    check_options(options)
    paths = [options.output / name for name in WRITTEN]
    if not options.force:
        for path in paths:
            if path.exists():
                raise DataError(f"{printable(path)} exists: choose another --output, or --force to replace it")
    make_tokenizer = choose_tokenizer(options)
    parts, lines = open_source(options)
    tokenizer, model = make_tokenizer(parts)
    meta = described(options, parts, tokenizer)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for part, name in PARTS.items():
            meta["files"][name] = write_part(options.output / name, getattr(parts, part)(), tokenizer, options.format)
        if model:
            write_json(paths[2], model)
        write_json(paths[3], meta)
        if paths[3].exists():   # of an earlier preparation; without it a tokenizer.json is somebody else's
            for stale in paths[2:]:
                stale.unlink(missing_ok=True)
        publish([path for path in paths if model or path.name != "tokenizer.json"])
    finally:
        for path in paths:
            part_path(path).unlink(missing_ok=True)
    return meta, lines() + [f"warning: {line}" for line in warnings(options, parts, meta)]


def main(arguments=None):
    """Runs the program; returns its exit code."""
    options = parse(arguments)
    try:
        meta, lines = prepare(options)
    except (DataError, OSError, UnicodeError) as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return 1
    for line in lines:
        print(f"prepare.py: {line}", file=sys.stderr)
    for name, counts in meta["files"].items():
        print(f"{printable(options.output / name)}  {counts['documents']} documents  {counts['bytes'] / 1e6:.2f} MB of text  "
              f"{counts['tokens']} tokens  sha256 {counts['sha256']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
