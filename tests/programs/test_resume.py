"""What a start does when files, tokens or the machine aren't as they were: only damage makes it go back, and nothing changes in silence."""
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from faults import fault
from runner import TINY, lawa, metrics, numbers, succeed
from test_damaged_run import go_on

RUN = ("train", TINY, "settings.toml", "run.directory=run")
CHECKPOINTS = Path("run/checkpoints")


def killed_behind_step_40():
    for path in CHECKPOINTS.glob("step_*"):
        if int(path.name[5:13]) > 40:
            path.unlink()


def resumed(run="run"):
    return [line["step"] for line in metrics(run) if line["kind"] == "resume"]


# ---- what the system refuses ------------------------------------------------------------------------------------------------------

STATE, WEIGHTS, RECORD = (f"step_00000040.{kind}" for kind in ("state.h5", "weights.h5", "json"))


@pytest.mark.parametrize("error, call, file, nth, rank", [
    ("EIO", "read", STATE, 1, 0), ("EIO", "read", WEIGHTS, 3, 1), ("EMFILE", "open", STATE, 1, 1), ("ENOMEM", "open", "run/checkpoints", 1, 0),
    ("ESTALE", "stat", WEIGHTS, 1, 0)])
def test_what_passes_is_tried_again(place, error, call, file, nth, rank):
    whole = numbers("run")
    killed_behind_step_40()
    result = succeed(*RUN, ranks=2, **fault(error, call, file, nth, rank))
    assert "tried again: " in result.err
    assert resumed() == [40] and metrics("run")[-1]["kind"] == "summary" and numbers("run") == whole


@pytest.mark.parametrize("error, call, file, rank", [("EIO", "read", STATE, 1), ("EACCES", "open", STATE, 0), ("EIO", "stat", WEIGHTS, 0)])
def test_what_does_not_pass_ends_the_run_and_nothing_is_thrown_away(place, error, call, file, rank):
    whole = numbers("run")
    killed_behind_step_40()
    before = sorted(CHECKPOINTS.iterdir())
    result = lawa(*RUN, "checkpoint.tries=2", ranks=2, **fault(error, call, file, "1+", rank))
    assert result.code == 1 and len(result.errors) == 1
    assert file in result.errors[0] and "it was tried 2 times" in result.errors[0]
    assert os.strerror(getattr(errno, error)) in result.errors[0]
    assert resumed() == [] and sorted(CHECKPOINTS.iterdir()) == before and "skipped the checkpoint" not in result.err
    go_on()
    assert resumed() == [40] and numbers("run") == whole


STATES = (*RUN[:3], "run.directory=new", "schedule.steps=20", "checkpoint.state_steps=5", "checkpoint.keep_states=4", "evaluate.steps=0")


def test_a_checkpoint_that_can_t_be_read_is_named_with_the_way_past_it(place):
    succeed(*STATES)
    for path in Path("new/checkpoints").glob("step_00000020.json"):
        path.unlink()
    broken = fault("EIO", "read", "step_00000015.state.h5")
    result = lawa(*STATES, "checkpoint.tries=2", **broken)
    assert "the checkpoint of step 15 can't be loaded, and it is tried again: " in result.err
    assert "without new/checkpoints/step_00000015.json it goes on from an older state" in result.errors[0]
    Path("new/checkpoints/step_00000015.json").unlink()
    succeed(*STATES, "checkpoint.state_steps=20", **broken)
    assert resumed("new") == [10]


def test_so_many_damaged_checkpoints_and_no_more_are_passed_over(place):
    succeed(*STATES)
    for step in (15, 20):
        Path(f"new/checkpoints/step_{step:08}.json").write_text("{")
    result = lawa(*STATES, "checkpoint.damaged=1")
    assert result.code == 1 and "step_00000015.json: not a commit record" in result.errors[0] and "checkpoint.damaged = 1: see" in result.errors[0]
    result = succeed(*STATES)
    assert result.err.count("skipped the checkpoint of step ") == 2 and resumed("new") == [10]


# ---- what it is evaluated on ------------------------------------------------------------------------------------------------------

def evaluations(run="run"):
    return [line for line in metrics(run) if line["kind"] == "evaluate"]


def provenance(run="run"):
    return json.loads((Path(run) / "provenance.json").read_text())


def other_validation():
    tokens = np.fromfile("data/val.bin", "<u2")
    tokens[100] = 97 if tokens[100] != 97 else 98
    tokens.tofile("data/other.bin")


def test_lines_say_what_they_were_evaluated_on(place):
    digest = provenance()["validation_digest"]
    assert len(digest) == 32 and {line["validation_digest"] for line in evaluations()} == {digest[:16]}
    line, = succeed("evaluate", "run/checkpoints/step_00000060.weights.h5").objects
    assert line["validation_digest"] == digest[:16]
    other_validation()
    line, = succeed("evaluate", "run/checkpoints/step_00000060.weights.h5", "data.validation=data/other.bin").objects
    assert line["validation_digest"] != digest[:16]


@pytest.mark.parametrize("lost", [None, "provenance.json"])
def test_another_validation_set_is_refused(place, lost):
    other_validation()
    digest = provenance()["validation_digest"]
    if lost:
        (Path("run") / lost).unlink()
    for words in ((), ("schedule.steps=80",)):   # of a finished run, and where other keys differ too
        result = lawa(*RUN, "data.validation=data/other.bin", *words)
        assert result.code == 1 and "data/val.bin" in result.errors[0] and "data/other.bin" in result.errors[0]
        assert digest[:8] in result.errors[0] and "another run.directory" in result.errors[0]
    assert "evaluated on another set of tokens" in lawa(*RUN, "data.validation=data/other.bin").errors[0]
    os.rename("data/val.bin", "data/moved.bin")
    assert "run: complete" in succeed(*RUN, "data.validation=data/moved.bin").err, "the same tokens in another place"


def test_a_start_without_evaluations_keeps_what_the_run_is_evaluated_on(place):
    killed_behind_step_40()
    digest = provenance()["validation_digest"]
    succeed(*RUN, "evaluate.steps=0")
    assert provenance()["validation_digest"] == digest


def test_a_run_made_before_gets_it_at_its_next_start(place):
    killed_behind_step_40()
    for path in CHECKPOINTS.glob("*.h5"):   # a run without evaluations says nothing of them, as one of an older program
        path.unlink()
    for path in CHECKPOINTS.glob("*.json"):
        path.unlink()
    old = {key: value for key, value in provenance().items() if key != "validation_digest"}
    Path("run/provenance.json").write_text(json.dumps(old))
    succeed(*RUN, "schedule.steps=60", ranks=2)
    assert len(provenance()["validation_digest"]) == 32


# ---- how fast it is ----------------------------------------------------------------------------------------------------------------

def make_faster(factor, **changes):
    lines = [line | ({"tokens_per_second": factor * line["tokens_per_second"]} if line["kind"] == "train" else {}) for line in metrics("run")]
    Path("run/metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Path("run/provenance.json").write_text(json.dumps(provenance() | changes))


@pytest.mark.parametrize("factor, changes, warned", [(100, {}, True), (0.01, {}, False), (100, {"ranks": 3}, False), (100, {"device": "another"}, False)])
def test_a_far_slower_start_is_a_warning(place, factor, changes, warned):
    killed_behind_step_40()
    make_faster(factor, **changes)
    result = succeed(*RUN, "schedule.steps=60", ranks=2)
    lines = [line for line in result.err.splitlines() if line.startswith("warning: this start makes ")]
    assert len(lines) == warned
