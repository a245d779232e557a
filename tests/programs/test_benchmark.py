"""The benchmark runs to its end and writes whole lines. How fast anything is, no test judges."""
import importlib.util
import json
import subprocess
import sys

import pytest
from runner import ROOT, TINY

PROGRAM = ROOT / "build" / "cpu" / "bin" / "benchmark_training"
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="the benchmark isn't built")


def measure(*words):
    """training.py's lines for the tiny model, in one round of a few steps."""
    command = [sys.executable, ROOT / "tests" / "benchmark" / "training.py", "--seconds", 0.05, "--rounds", 1, "--tokens", 64,
               "--models", TINY, "--alone", TINY, "--precisions", "fp32", *words]
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_without_pytorch_ours_is_measured_alone_and_other_lines_stay(tmp_path):
    out = tmp_path / "lines.jsonl"
    other = {"case": "training", "model": "other", "precision": "fp32"}
    old = {"case": "training", "model": "tiny", "precision": "fp32", "git": "old"}
    out.write_text(json.dumps(old) + "\n" + json.dumps(other) + "\n")
    lines = measure("--torch", tmp_path / "nothing", "--out", out)
    training, ranks, attention, recompute = lines
    assert [line["case"] for line in lines] == ["training", "ranks", "recompute", "recompute"]
    assert "ratio" not in training and training["pytorch"].keys() == {"search"} and "skipped" in training["pytorch"]["search"][0]
    assert attention["ours"]["recompute"] == "attention"
    assert recompute["ours"]["recompute"] == "block" and recompute["one_rank"]["recompute"] == "none"
    assert ranks["ours"]["step_tokens"] == ranks["ours"]["ranks"] * 64 and ranks["one_rank"]["ranks"] == 1
    assert ranks["ratio"] == ranks["ours"]["tokens_per_second"] / ranks["one_rank"]["tokens_per_second"]
    assert [json.loads(line) for line in out.read_text().splitlines()] == [training, other, ranks, attention, recompute]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="no PyTorch here")
def test_beside_pytorch_at_its_fastest_setting():
    line, = measure("--cases", "training", "--eager")
    peer = line["pytorch"]
    assert peer["step_tokens"] == line["ours"]["step_tokens"] and line["ratio"] > 0
    best = max(peer["search"], key=lambda tried: tried["tokens_per_second"])
    assert (peer["threads"], peer["compiled"]) == (best["threads"], best["compiled"])
