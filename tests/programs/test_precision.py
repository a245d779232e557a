"""Training in bfloat16: as good as float32 as far as seeds can tell, and as repeatable."""
from pathlib import Path

import numpy as np
import pytest
from runner import TINY, digests, lawa, metrics, succeed

# A rate at which no seed is about to leave a plateau: when it does is a matter of chance, and losses then differ by tenths.
WORDS = ("train", TINY, "settings.toml", "evaluate.steps=5", "checkpoint.steps=30", "schedule.peak_lr=2e-3", "schedule.warmup_steps=20")


def train(run, *keys, ranks=1):
    succeed(*WORDS, f"run.directory={run}", *keys, ranks=ranks)
    return np.array([line["loss"] for line in metrics(run) if line["kind"] == "evaluate"])


@pytest.fixture
def bf16(place):
    """Skips where the processor or the build can't."""
    result = lawa(*WORDS, "run.directory=probe", "precision=bf16", "schedule.steps=5")
    if result.code != 0 and "can't multiply in bf16" in result.err:
        pytest.skip("no products of bfloat16 numbers here")
    return place


def test_the_loss_follows_float32_within_the_spread_of_seeds(bf16):
    exact = [train(f"seed{seed}", f"seed={seed}") for seed in (1, 2, 3)]
    coarse = train("coarse", "seed=1", "precision=bf16")
    spread = np.std(exact, axis=0, ddof=1).max()
    assert 0 < np.abs(coarse - exact[0]).max() < spread


def test_it_repeats_and_its_files_are_evaluated_in_its_precision(bf16):
    first, second = train("first", "precision=bf16", ranks=2), train("second", "precision=bf16", ranks=2)
    assert (first == second).all() and digests("first") == digests("second")
    live = {line["step"]: line["loss"] for line in metrics("first") if line["kind"] == "evaluate"}
    lines = succeed("evaluate", "first").objects
    assert [line["step"] for line in lines] == [20, 30, 40, 60]
    for line in lines:   # in other batches: a sum's last bit may turn a rounding over
        assert line["loss"] == pytest.approx(live[line["step"]], rel=1e-4)


def test_the_precision_is_part_of_what_a_run_is(bf16):
    train("run32")
    assert "holds another run" in lawa(*WORDS, "run.directory=run32", "precision=bf16").errors[0]


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(bf16, ranks):
    words = ("precision=bf16", "checkpoint.keep_states=3", "averages=[{scheme='lawa', window=2, stride=10}]")
    whole, expected = train("run16", *words, ranks=ranks), digests("run16")
    for path in Path("run16/checkpoints").iterdir():
        if not path.name.startswith("step_00000020."):
            path.unlink()
    resumed = train("run16", *words, ranks=ranks)
    assert [line["step"] for line in metrics("run16") if line["kind"] == "resume"] == [20]
    assert (resumed == whole).all() and digests("run16") == {step: expected[step] for step in (20, 30, 40, 60)}


def test_recomputing_and_averages_leave_every_bit(bf16):
    train("kept", "precision=bf16")
    for recompute in ("attention", "block"):
        train(recompute, "precision=bf16", f"batch.recompute={recompute}", "averages=[{scheme='ema', beta=0.9}]")
        assert digests(recompute) == digests("kept")
