"""The token files of a run: prepared where that takes seconds, named with the command that makes them where it takes hours.

`text` of a figure.toml: source = "debian" (English prose from Debian's documentation) or "openwebtext", or files = [paths in the
project]; tokenizer. LAWA_TEXT, a text or a folder of texts, or a folder with train.bin and val.bin, replaces it.
"""
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from files import locked, read_json
from spec import ROOT

SAMPLE = 1 << 26        # bytes
SLOW = ("openwebtext",)   # sources that nobody wants to wait for by accident


def chosen(text):
    """The text that counts: the figure's, or the user's own."""
    return {"own": own().name, "digest": digest(own()), "tokenizer": text.get("tokenizer", "bytes")} if own() else text


def digest(path):
    """A word on the content of a file, or of all files below a folder: of large ones on their size, beginning and end."""
    content = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            with open(file, "rb") as opened:
                size = file.stat().st_size
                content.update(f"{size} ".encode() + opened.read(SAMPLE))
                opened.seek(max(size - SAMPLE, 0))
                content.update(opened.read(SAMPLE))
    return content.hexdigest()[:12]


def own():
    """The path that LAWA_TEXT names, or None."""
    return Path(os.environ["LAWA_TEXT"]).resolve() if os.environ.get("LAWA_TEXT") else None


def folder_of(text, base):
    """Where its token files lie."""
    if "own" in text and (own() / "train.bin").exists():
        return own()
    name = f"{text.get('source', 'project')}_{text['tokenizer'].replace(':', '')}"
    if set(text) - {"source", "tokenizer"}:   # a text of its own, whatever it is called
        name += "_" + hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()[:8]
    return base / "text" / name


def prepare(text, base):
    """(train, validation): absolute paths of the token files, made where they are missing. Errors: it would take hours."""
    folder = folder_of(text, base)
    if "own" in text and folder == own():
        return _prepared(text, folder)
    with locked(folder.with_name(f"{folder.name}.lock")):
        return _prepared(text, folder)


def _prepared(text, folder):
    files = tuple(str((folder / name).resolve()) for name in ("train.bin", "val.bin"))
    if all(os.path.exists(file) for file in files) and ((folder / "meta.json").exists() or "own" in text):
        return files
    inputs = [str(own())] if "own" in text else text.get("files") or ["--source", text["source"]]
    words = ["data/prepare.py", *inputs, "--tokenizer", text["tokenizer"], "--output", str(folder)]
    words += ["--validation-fraction", str(text["validation_fraction"])] if "validation_fraction" in text else []
    if text.get("source") in SLOW:
        raise ValueError(f"{folder} has no train.bin and val.bin; make them (hours, tens of GB) with\n  {sys.executable} {' '.join(words)}\n"
                         "or name a folder that has them: LAWA_TEXT=FOLDER")
    print(f"text: {folder}", file=sys.stderr)
    result = subprocess.run([sys.executable, *words, "--force"], cwd=ROOT, stdout=sys.stderr, check=False)
    if result.returncode != 0:
        raise ValueError(f"data/prepare.py failed (exit code {result.returncode})")
    return files


def described(text, base):
    """meta.json of the token files, and nothing of this machine; {} where there is none."""
    return read_json(folder_of(text, base) / "meta.json")
