"""What `lawa average` takes: files by the steps in their names, names that hold an =, a run and its branches, several runs at once."""
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import safetensors_file
from runner import ENVIRONMENT, PROGRAM, TINY, lawa, snapshot, succeed, weights
from weights_file import assert_rounded_once, read


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, value):
    safetensors_file.write(Path(name), {"a": ("F32", np.full((3, 5), value, np.float32))})


def value(path):
    return float(safetensors_file.read(Path(path))[0]["a"][1][0, 0])


def means(*names, window=1, words=(), ranks=0):
    """{step: mean} of files that hold 1, 2, 4, … in their order, and what was said."""
    for i, name in enumerate(names):
        write(name, 2.0**i)
    result = succeed("average", *names, "destination=new", f"averaging.window={window}", *words, ranks=ranks)
    return {line["step"]: value(line["file"]) for line in result.objects}, result.err.splitlines()


# ---- the steps in names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names, steps", [
    (["step=20.safetensors", "step=3.safetensors"], [20, 3]),
    (["epoch=9-step=300.safetensors", "epoch=10-step=400.safetensors"], [300, 400]),
    (["ep8-ba100/model.safetensors", "ep10-ba90/model.safetensors"], [100, 90]),
    (["step_9k.safetensors", "step_10k.safetensors"], [9000, 10000]),
])
def test_steps_stand_in_names_in_many_ways(folder, names, steps):
    found, said = means(*names)
    assert found == {step: 2.0**i for i, step in enumerate(steps)}
    first, last = sorted(zip(steps, names))
    assert f"first step {first[0]} is {first[1]}" in said and f"last step {last[0]} is {last[1]}" in said


def test_one_final_file_does_not_discard_the_steps_of_the_others(folder):
    found, said = means("step1000.safetensors", "final.safetensors", "step2000.safetensors")
    assert found == {1000: 1, 2000: 4, 2001: 2}
    assert "final.safetensors: names no step, and counts as the newest" in said


def test_epoch_0_was_trained_and_step_0_was_not(folder):
    found, said = means("epoch=0.safetensors", "epoch=1.safetensors")
    assert found == {1: 1, 2: 2} and "the files' names count epochs, from 0: epoch 0 is taken for step 1" in said
    for name, number in (("step0", 1), ("step1", 3)):
        write(f"{name}.safetensors", number)
    result = succeed("average", "step0.safetensors", "step1.safetensors", "destination=steps", "averaging.window=1", ranks=0)
    assert [line["step"] for line in result.objects] == [1]
    assert "first step 0 is step0.safetensors: the initial weights, which are in no average" in result.err


def test_a_final_file_that_is_a_copy_counts_once(folder):
    for name, number in (("step1000", 1), ("step2000", 3), ("last", 3)):
        write(f"{name}.safetensors", number)
    result = succeed("average", "last.safetensors", "step1000.safetensors", "step2000.safetensors", "destination=new", "averaging.window=2", ranks=0)
    assert [(line["step"], value(line["file"])) for line in result.objects] == [(2000, 2)]
    assert "last.safetensors: is left out: it holds what step2000.safetensors holds" in result.err


def test_without_steps_every_files_place_is_said(folder):
    found, said = means("model1.safetensors", "model10.safetensors", "model2.safetensors", window=2, ranks=2)
    assert found == {2: (1 + 4) / 2, 3: (4 + 2) / 2}
    assert [line for line in said if line.startswith("step ")] == [f"step {i + 1} is model{n}.safetensors" for i, n in enumerate((1, 2, 10))]


@pytest.mark.parametrize("names, says", [
    (["model2", "model10", "model5"], "model10.safetensors stands before model5.safetensors in the list, against their numbers"),
    (["step10", "best", "step20"], "best.safetensors: no step in the name, and step10.safetensors has one (10)"),
    (["a/step1", "a/step2", "b/step1"], "a/step2.safetensors stands before b/step1.safetensors in the list, against their steps (2, 1)"),
])
def test_an_order_that_is_not_clear_is_refused_with_a_way_out(folder, names, says):
    files = [f"{name}.safetensors" for name in names]
    for i, file in enumerate(files):
        write(file, 2.0**i)
    refused = lawa("average", *files, "destination=new", "averaging.window=1", ranks=2)
    assert refused.code == 1 and len(refused.errors) == 1 and says in refused.errors[0] and not Path("new").exists()
    assert "averaging.order=list" in refused.errors[0]
    found, said = means(*files, words=["averaging.order=list"])
    assert found == {1: 1, 2: 2, 3: 4} and f"step 2 is {files[1]}" in said


# ---- names that hold an = --------------------------------------------------------------------------------------------------


def test_what_is_there_is_a_place_though_its_name_holds_an_equals_sign(place):
    Path("run").rename("seed=1")
    file = weights(60, "seed=1").rename("step=60.weights.h5")
    assert succeed("inspect", file, ranks=0).objects[0]["step"] == 60
    assert succeed("evaluate", file, ranks=2).objects[0]["step"] == 60
    weights(60, "seed=1").with_name("step_00000060.json").unlink()
    assert len(succeed("evaluate", "seed=1", "averaging.at=55", "averaging.stride=5", ranks=0).objects) == 1
    Path("averaging.window=2").mkdir()   # what begins with a key is a key all the same
    assert succeed("average", "seed=1", "averaging.window=2", "averaging.at=55", "destination=new", ranks=0).objects[0]["window"] == 2
    Path("lr=1.toml").write_text("averaging.window = 3\n")
    assert succeed("average", "lr=1.toml", "seed=1", "averaging.at=55", "destination=three", ranks=0).objects[0]["window"] == 3
    assert "unknown key other" in lawa("inspect", "other=1", ranks=0).errors[0]
    assert "step=61.weights.h5: doesn't exist" in lawa("inspect", "step=61.weights.h5", ranks=0).errors[0]


# ---- runs and their branches -----------------------------------------------------------------------------------------------


def branch(name, of, step, *words):
    succeed("train", TINY, "settings.toml", f"run.directory={name}", f"start.checkpoint={weights(step, of)}", *words, ranks=2)


def test_a_run_and_its_branches_are_one_trajectory(place):
    branch("branch", "run", 40, "schedule.final_lr=0")
    branch("twig", "branch", 60, "schedule.steps=70")
    words = ("averaging.window=4", "averaging.stride=10")
    result = succeed("average", "branch", "run", *words, "averaging.at=60", "destination=new", ranks=2)
    assert_rounded_once(read(result.objects[0]["file"]), [read(weights(30)), read(weights(40)), read(weights(50, "branch")), read(weights(60, "branch"))])
    assert "run/checkpoints: 4 checkpoints after step 40, where the branch begins, are left out" in result.err
    assert succeed("average", "--rebuild", result.objects[0]["file"], "run", "branch").objects[0]["digest"] == result.objects[0]["digest"]
    whole = succeed("average", "run", "twig", "branch", "averaging.window=6", "averaging.stride=10", "averaging.at=70", "destination=whole").objects[0]
    assert_rounded_once(read(whole["file"]), [read(weights(step, run)) for step, run in
                                              ((20, "run"), (30, "run"), (40, "run"), (50, "branch"), (60, "branch"), (70, "twig"))])
    evaluated = succeed("evaluate", "run", "branch", *words, "averaging.at=60", ranks=0)
    assert evaluated.objects[0]["digest"] == result.objects[0]["digest"] and "are left out" in evaluated.err


def test_what_is_on_no_one_trajectory_is_refused(place):
    branch("one", "run", 40, "schedule.final_lr=0")
    branch("two", "run", 40, "schedule.steps=45")
    succeed("train", TINY, "settings.toml", "run.directory=begun", f"start.weights={weights(40)}", "schedule.steps=6", ranks=2)
    succeed("train", TINY, "settings.toml", "run.directory=other", "seed=2", "schedule.steps=10", ranks=2)
    for places, says in [
        (["run", "one", "two"], ["both are branches", weights(40)]),
        ([*(weights(step) for step in (10, 20, 30)), "one"], ["which began at", weights(40), "name that checkpoint too"]),
        (["run", "begun"], ["of another run"]),
        (["run", "other"], ["of another run", "trajectory hashes differ"]),
    ]:
        refused = lawa("average", *places, "destination=new", "averaging.window=2", ranks=0)
        assert refused.code == 1 and len(refused.errors) == 1 and "averaging.any_run=true" in refused.errors[0], refused.err
        assert all(str(part) in refused.errors[0] for part in says), refused.errors[0]


# ---- several runs at once --------------------------------------------------------------------------------------------------


def test_finished_runs_are_averaged_on_purpose(place):
    succeed("train", TINY, "settings.toml", "run.directory=other", "seed=2", ranks=2)
    words = ("averaging.any_run=true", "averaging.window=2")
    line = succeed("average", weights(60), weights(60, "other"), *words, "destination=soup", ranks=2).objects[0]
    assert (line["file"], line["step"], line["window"], line["stride"]) == ("soup/step_00000060.weights.h5", 60, 2, 0)
    assert_rounded_once(read(line["file"]), [read(weights(60)), read(weights(60, "other"))])
    header = succeed("inspect", line["file"], ranks=0).objects[0]
    assert header["step"] == 60 and [member["step"] for member in header["provenance"]["average"]["members"]] == [60, 60]
    assert succeed("evaluate", line["file"], ranks=0).objects[0]["step"] == 60
    again = succeed("average", "--rebuild", line["file"], "other", "run", "averaging.any_run=true", ranks=2).objects[0]
    assert again["digest"] == line["digest"]
    # whole runs: those of one step count together
    lines = succeed("average", "run", "other", *words, "averaging.stride=20", "destination=runs", ranks=2).objects
    assert [line["step"] for line in lines] == [20, 40, 60] and lines[-1]["digest"] == line["digest"]
    four = succeed("average", "run", "other", "averaging.any_run=true", "averaging.window=4", "averaging.at=60", "destination=four", ranks=0).objects[0]
    assert_rounded_once(read(four["file"]), [read(weights(step, run)) for step in (55, 60) for run in ("run", "other")])
    made = succeed("evaluate", "run", "other", *words, "averaging.at=60", ranks=2).objects[0]
    assert (made["digest"], made["step"]) == (line["digest"], 60)
    for places, more, says in [(["run", "other"], ["averaging.window=3"], "only a part of those of step 5;"),
                               ([weights(60), "other", f"./{weights(60)}"], [], "two of the checkpoints have step 60"),
                               (["run", "other"], ["averaging.any_run=false"], "averaging.any_run=true averages checkpoints of several runs")]:
        assert says in lawa("average", *places, *words, *more, "destination=no", ranks=0).errors[0]


# ---- where averages may lie ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("destination", ["run/checkpoints", "run/averages/../checkpoints/", "link", "run", "other/checkpoints", "files"])
def test_the_destination_is_not_a_folder_of_checkpoints(place, destination):
    Path("link").symlink_to("run/checkpoints")
    Path("other/checkpoints").mkdir(parents=True)
    Path("other/provenance.json").write_text("{}")
    Path("run/averages").mkdir()
    Path("files").mkdir()
    files = [weights(step).rename(f"files/{step}.h5") for step in (50, 60)] if destination == "files" else ["run"]
    before = snapshot()
    refused = lawa("average", *files, f"destination={destination}", "averaging.window=2", ranks=0)
    assert refused.code == 1 and len(refused.errors) == 1 and f"destination: {destination.rstrip('/')} is" in refused.errors[0], refused.err
    assert snapshot() == before


# ---- how many files there may be -------------------------------------------------------------------------------------------


def test_1300_inputs_and_1000_outputs_with_1024_open_files(folder):
    for step in range(1, 1301):
        write(f"in/step{step}.safetensors", step)
    words = [PROGRAM, "average", *(f"in/step{step}.safetensors" for step in range(1, 1301)), "destination=new", "averaging.window=301",
             "averaging.fsync=false", "averaging.verify=false"]
    result = subprocess.run(["bash", "-c", "ulimit -n 1024; exec \"$@\"", "-", *map(str, words)], env=ENVIRONMENT, check=True, capture_output=True,
                            text=True, timeout=60)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["step"] for line in lines] == list(range(301, 1301))
    assert all(value(line["file"]) == line["step"] - 150 for line in lines)
