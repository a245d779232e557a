"""Rounds of run.sh become a line of tests/benchmark/gpu.jsonl."""
import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("gpu_lines", Path(__file__).with_name("lines.py"))
SCRIPT = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(SCRIPT)


def written(ours, peer, outcome="passed", peer_tokens=64):
    speed = {"model": "small", "precision": "bf16", "parameters": 5, "device": "GPU", "git": "g", "step_tokens": 64,
             "tokens_per_second": ours, "peak_memory_bytes_per_rank": ours * 2, "gemm_flops_per_second": ours * 4}
    pytorch = {"version": "2", "step_tokens": peer_tokens, "tokens_per_second": peer, "peak_memory_bytes": peer * 3, "attention": "FLASH"}
    return {"git": "g", "versions": {"driver": "580"}, "parts": [{"name": "speed", "outcome": "passed", "numbers": speed},
                                                     {"name": "compiled PyTorch", "outcome": outcome, "numbers": pytorch}]}


def test_rounds_of_a_case_are_one_line_and_what_has_failed_is_none():
    line, = SCRIPT.lines([written(100, 50), written(130, 50), written(150, 100), written(1, 1, "failed")])
    assert line["rounds"] == 3 and line["ratios"] == [2, 2.6, 1.5] and line["ratio"] == 2
    assert line["ours"] == {"tokens_per_second": 130, "least": 100, "most": 150, "peak_memory_bytes": 300, "gemm_flops_per_second": 600}
    assert line["pytorch"]["tokens_per_second"] == 50 and line["pytorch"]["peak_memory_bytes"] == 300


def test_other_batches_are_refused():
    with pytest.raises(ValueError, match="small: 64 tokens a step, but PyTorch 32"):
        list(SCRIPT.lines([written(1, 1, peer_tokens=32)]))


def test_the_last_outcome_of_a_part_stands_for_its_commit():
    def file(git, outcome):
        return written(1, 1) | {"git": git, "parts": [{"name": "tests of ops", "outcome": outcome, "seconds": 3, "detail": "words"}]}
    first, second = SCRIPT.outcomes([file("a", "failed"), file("b", "passed"), file("a", "passed")])
    assert first == {"case": "parts", "git": "a", "driver": "580", "parts": {"tests of ops": {"outcome": "passed", "seconds": 3, "detail": "words"}}}
    assert second["git"] == "b"
