"""Steps whose numbers nobody expects: spikes, what isn't finite, and products that come out wrong."""
import os
from pathlib import Path

import numpy as np
import pytest
from faults import wrong_product
from runner import PROGRAM, TINY, digests, lawa, metrics, numbers, succeed, weights, xxhash
from test_damaged_run import go_on
from weights_file import put

NEW = ("train", TINY, "settings.toml", "run.directory=new", "evaluate.steps=0")


def of_kind(kind, run="new"):
    return [{key: value for key, value in line.items() if key not in ("seconds", "tokens_per_second")} for line in metrics(run) if line["kind"] == kind]


# ---- spikes -------------------------------------------------------------------------------------------------------------------------

def test_spikes_are_said_and_change_nothing(place):
    words = ("train", TINY, "settings.toml", "run.directory=new", "numerics.spike_deviations=0.1")
    result = succeed(*words, ranks=2)
    spikes = of_kind("spike")
    losses = {line["step"]: line["loss"] for line in of_kind("train")}
    assert spikes and result.err.count(" is a spike: ") == len(spikes) and numbers("new") == numbers("run")
    for spike in spikes:
        before = sorted(losses[step] for step in range(max(1, spike["step"] - 64), spike["step"]))
        expected = before[len(before) // 2]
        deviation = 1.4826 * sorted(abs(loss - expected) for loss in before)[len(before) // 2]
        assert spike["loss"] == losses[spike["step"]] and spike["expected"] == expected and spike["recheck"] == "same"
        assert spike["deviations"] == pytest.approx((spike["loss"] - expected) / deviation, rel=1e-12)
    for path in Path("new/checkpoints").glob("step_*"):
        if int(path.name[5:13]) > 40:
            path.unlink()
    succeed(*words, ranks=2)
    assert of_kind("spike") == spikes and spikes[-1]["step"] > 40, "a resumed run says them again"


def test_a_common_run_has_none(place):
    assert not of_kind("spike", "run")
    go_on()
    assert not of_kind("spike", "run")


# ---- what isn't finite --------------------------------------------------------------------------------------------------------------

SKIPPING = (*NEW, "model.architecture=gpt_neox", "data.train=data/rare.bin", "start.weights=start/checkpoints/step_00000001.weights.h5",
            "numerics.nonfinite=skip", "schedule.steps=40", "checkpoint.steps=10", "checkpoint.state_steps=10")


@pytest.fixture
def rare(place):
    """A token that occurs now and then, and a start whose embedding of it overflows."""
    if (library := xxhash()) is None:
        pytest.skip("needs libxxhash")
    tokens = np.fromfile("data/train.bin", "<u2")
    tokens[::2000] = 0
    tokens.tofile("data/rare.bin")
    succeed(*NEW[:3], "run.directory=start", "model.architecture=gpt_neox", "evaluate.steps=0", "schedule.steps=1", "schedule.warmup_steps=1")
    put(weights(1, "start"), slice(0, 32), 3e38, library)


def test_a_step_is_skipped_and_the_run_goes_on(rare):
    result = succeed(*SKIPPING, ranks=2)
    skips, steps = of_kind("skip"), [line["step"] for line in of_kind("train")]
    assert 2 <= len(skips) < 20 and sorted(steps + [line["step"] for line in skips]) == list(range(1, 41))
    for line in skips:
        assert line["tensor"] == "gpt_neox.embed_in.weight" and line["rank"] in (0, 1) and line["host"] and line["recheck"] == "same"
        assert line["trained_tokens"] == 256 * line["step"]
    assert result.err.count(" is skipped, weights and moments stay as they are: the gradient of gpt_neox.embed_in.weight isn't finite on rank ") == len(skips)
    made, lines = digests("new"), of_kind("train")
    for path in Path("new/checkpoints").glob("step_*"):
        if int(path.name[5:13]) > 20:
            path.unlink()
    succeed(*SKIPPING, ranks=2)
    assert digests("new") == made and of_kind("train") == lines and of_kind("skip") == skips, "a resumed run is the same, bit for bit"


def test_without_the_key_the_run_ends_and_goes_on_with_it(rare):
    first = next(line for line in (succeed(*SKIPPING) and of_kind("skip")))
    stopping = [*(word for word in SKIPPING if word != "numerics.nonfinite=skip"), "run.directory=other"]
    result = lawa(*stopping)
    assert result.code == 3 and f"step {first['step']}: the run has diverged" in result.errors[0]
    assert "the gradient of gpt_neox.embed_in.weight isn't finite on rank 0 (host " in result.errors[0]
    outcome = metrics("other")[-1]
    assert outcome["kind"] == "outcome" and outcome["tensor"] == "gpt_neox.embed_in.weight" and outcome["rank"] == 0 and outcome["recheck"] == "same"
    succeed(*SKIPPING, "run.directory=other")
    assert digests("other") == digests("new")


def test_too_many_in_a_row_end_the_run(rare):
    np.zeros(5000, "<u2").tofile("data/rare.bin")
    result = lawa(*SKIPPING, "numerics.skips=3")
    assert result.code == 3 and "step 4: the run has diverged" in result.errors[0] and "3 skipped steps in a row" in result.errors[0]
    assert [line["step"] for line in of_kind("skip")] == [1, 2, 3]


@pytest.mark.parametrize("words", ["numerics.nonfinite=ignore", "numerics.skips=0", "numerics.spike_deviations=-1", "numerics.recheck=5",
                                   "checkpoint.damaged=-1"])
def test_mistakes_are_named(place, words):
    result = lawa(*NEW, words)
    assert result.code == 1 and words.split("=")[0] in result.errors[0] and not Path("new").exists()


# ---- faults of a machine ------------------------------------------------------------------------------------------------------------

def test_a_product_that_comes_out_wrong_is_found_and_not_saved(place):
    """As of old, it would have been a divergence of the run."""
    if not any(name in PROGRAM.read_bytes() for name in (b"dnnl_sgemm", b"cblas_sgemm")):
        pytest.skip("this build's products are of another library")
    words = (*NEW, "schedule.steps=20", "checkpoint.steps=1", "checkpoint.state_steps=1")
    result = lawa(*words, ranks=2, **wrong_product(500, rank=1))
    step = of_kind("train")[-1]["step"] + 1
    assert result.code == 1 and f"step {step}: computed twice from the same weights and tokens, and it isn't the same: loss " in result.errors[0]
    assert f"a fault of the machine, on rank 1 (host {os.uname().nodename})" in result.errors[0]
    line = metrics("new")[-1]
    assert line["kind"] == "fault" and line["step"] == step and line["grad_norm"] is None and line["second_grad_norm"] > 0 and "rank 1" in line["where"]
    assert 1 < step < 20 and max(digests("new")) == step - 1
    succeed(*words, ranks=2)
    losses = [line["loss"] for line in of_kind("train")]
    succeed(*words, "run.directory=sound", ranks=2)
    assert losses == [line["loss"] for line in of_kind("train", "sound")] and digests("new") == digests("sound")


def test_without_a_second_look_it_is_a_divergence(place):
    result = lawa(*NEW, "schedule.steps=20", "numerics.recheck=false", **wrong_product(500))
    assert result.code == 3 and "recheck" not in metrics("new")[-1]
