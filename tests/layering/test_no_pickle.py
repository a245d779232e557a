"""No program here unpickles: a pickle is a program, and whoever reads one runs it."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("analysis", "data", "experiments", "framework", "slurm", "tests") for path in (ROOT / folder).rglob("*.py")
                 if path != Path(__file__).resolve())
# What reads pickles, or runs what it reads in another way.
READERS = (r"\b(import|from)\s+(c?pickle|dill|cloudpickle|joblib|shelve|marshal)\b", r"\bread_pickle\b", r"allow_pickle\s*=\s*True", r"weights_only\s*=\s*False",
           r"\btorch\.load\((?![^\n]*weights_only=True)", r"\byaml\.(unsafe_|full_)?load\(", r"(?<![\w.])(eval|exec)\(", r"trust_remote_code\s*=\s*True")


def readers_in(text):
    """The places in a Python text that unpickle."""
    return [found.group() for pattern in READERS for found in re.finditer(pattern, text)]


def test_no_program_unpickles():
    assert len(SOURCES) > 50
    found = {str(path.relative_to(ROOT)): readers_in(path.read_text()) for path in SOURCES}
    assert {path: places for path, places in found.items() if places} == {}


@pytest.mark.parametrize("line", ["import pickle", "from pickle import loads", 'torch.load("a.pt", map_location="cpu")', "numpy.load(path, allow_pickle=True)",
                                  "pandas.read_pickle(path)", "torch.load(path, weights_only=False)", "eval(text)", "import joblib"])
def test_what_unpickles_is_found(line):
    assert readers_in(line)
