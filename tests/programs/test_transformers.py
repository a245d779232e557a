"""What `import`, `export` and `evaluate` do, against transformers itself, where a Python has it: LAWA_TRANSFORMERS_PYTHON, or this one."""
import json
import os
import subprocess
import sys

import pytest
from runner import ROOT

PYTHON = os.environ.get("LAWA_TRANSFORMERS_PYTHON", sys.executable)
RESULT = ROOT / "tests" / "parity" / "transformers.jsonl"


def test_it_agrees_with_transformers():
    find = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, ('torch', 'transformers', 'h5py'))))"
    if subprocess.run([PYTHON, "-c", find], capture_output=True, check=False).returncode:
        pytest.skip(f"{PYTHON} has no torch, transformers and h5py; LAWA_TRANSFORMERS_PYTHON names one that has")
    done = subprocess.run([PYTHON, ROOT / "tests" / "parity" / "transformers_check.py"], text=True, capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == len(RESULT.read_text().splitlines())


def test_the_committed_result_agrees():
    *lines, versions = map(json.loads, RESULT.read_text().splitlines())
    assert len(lines) >= 14 and {"torch", "transformers"} <= versions.keys()
    for line in lines:
        assert line["loss"] <= 1e-5 and line.get("logits", 0) <= 1e-4 and line.get("average", 0) <= 1e-5 and line["same_bits"]
