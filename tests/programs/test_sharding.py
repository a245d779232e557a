"""Ranks that share out weights and gradients (sharding = "full"): the same numbers, and runs that go on either way."""
import json

import pytest
from runner import TINY, digests, lawa, metrics, numbers, succeed

AVERAGES = "averages=[{scheme='lawa', window=2, stride=10}, {scheme='ema', beta=0.9}]"
WORDS = ("train", TINY, "settings.toml", "evaluate.steps=10", "checkpoint.steps=20", "batch.micro_sequences=0", AVERAGES)


def train(run, *keys, ranks=3):
    succeed(*WORDS, f"run.directory={run}", *keys, ranks=ranks)
    return numbers(run)


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_run_is_the_same_and_either_goes_on_with_the_others(place, ranks):
    whole = train("whole", ranks=ranks)
    assert train("shared", "sharding=full", ranks=ranks) == whole and digests("shared") == digests("whole")
    for run, sharding in (("whole_then_shared", "full"), ("shared_then_whole", "optimizer")):
        first = "optimizer" if sharding == "full" else "full"
        train(run, f"sharding={first}", "schedule.decay_steps=60", "schedule.steps=20", ranks=ranks)
        train(run, f"sharding={sharding}", "schedule.decay_steps=60", ranks=ranks)
        assert [line["step"] for line in metrics(run) if line["kind"] == "resume"] == [20]


def test_files_are_evaluated_alike(place):
    train("run", "sharding=full")
    whole, shared = (succeed("evaluate", "run", f"sharding={sharding}", ranks=3).objects for sharding in ("optimizer", "full"))
    assert [line["loss"] for line in shared] == [line["loss"] for line in whole]
    live = {line["step"]: line["loss"] for line in metrics("run") if line["kind"] == "evaluate" and line["model"] == "plain"}
    for line in shared:
        if line["step"] in live:
            assert line["loss"] == pytest.approx(live[line["step"]], rel=1e-6)
    assert {line["step"] for line in shared} >= {20, 40, 60}


def test_ranks_without_sequences_take_part(place):
    words = ("batch.global_sequences=2", "data.validation_sequences=4", "schedule.steps=12")
    assert train("shared", *words, "sharding=full") == train("whole", *words)


def test_a_plan_counts_what_is_held(place):
    plans = [json.loads(succeed("plan", TINY, "settings.toml", "run.directory=run", "--json", f"sharding={sharding}", "plan.ranks=4", "model.layers=24",
                                "plan.gemm_flops_per_second=1e11", "plan.write_bytes_per_second=1e9",
                                "model.channels=64").out) for sharding in ("optimizer", "full")]
    whole, shared = (plan["memory"] for plan in plans)
    for part in ("weights", "gradients"):
        assert shared[part] < 0.4 * whole[part]
    assert shared["optimizer"] == whole["optimizer"]


def test_the_key_is_checked(place):
    assert "sharding" in lawa(*WORDS, "run.directory=run", "sharding=half").errors[0]
