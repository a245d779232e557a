"""What a run shows and how it ends: the moving line, losses on the screen, warnings, numbers that aren't finite, what it keeps."""
import fcntl
import os
import pty
import subprocess
from pathlib import Path

import numpy as np
import pytest
from runner import ENVIRONMENT, PROGRAM, TINY, lawa, metrics, succeed, weights, xxhash
from test_exit_codes import DIVERGING
from weights_file import put

TRAIN = ("train", TINY, "settings.toml", "run.directory=new")
FEW = ("schedule.steps=8", "schedule.warmup_steps=1", "evaluate.steps=4")
MPIRUN = ("mpirun", "-np", 2, "--oversubscribe", "--bind-to", "none")


def on_a_terminal(*command, **variables):
    """What a terminal shows of a command that has one as its stderr only."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(list(map(str, command)), env=ENVIRONMENT | variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:   # EIO: the last one that had it open has ended
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, shown
    return shown.decode()


@pytest.mark.parametrize("launcher", [(), MPIRUN, (*MPIRUN, "sh", "-c", '"$@"; exit $?', "sh")], ids=["alone", "mpirun", "a script under mpirun"])
def test_a_line_moves_where_a_terminal_shows_it(place, launcher):
    shown = on_a_terminal(*launcher, PROGRAM, *TRAIN, *FEW)
    assert "\r\x1b[K\x1b[?7l1/8  loss " in shown and "tokens/s" in shown and "done: new" in shown


@pytest.mark.parametrize("command", ['"$@" 2>&1 | cat >&2', '"$@" 2>log; cat log >&2'], ids=["a pipe", "a file"])
@pytest.mark.parametrize("launcher", [(), MPIRUN], ids=["alone", "mpirun"])
def test_no_line_moves_in_a_pipe_or_a_file(place, launcher, command):
    shown = on_a_terminal("sh", "-c", command, "sh", *launcher, PROGRAM, *TRAIN, *FEW)
    assert "\x1b" not in shown and "1/8  loss " in shown


def test_losses_are_shown_as_they_are_made_and_at_the_end(place):
    averages = "averages=[{window=2, stride=2}, {scheme='ema', beta=0.9}]"
    result = succeed(*TRAIN, *FEW, averages, ranks=2)
    loss = {(line["model"], line["step"]): line["loss"] for line in metrics("new") if line["kind"] == "evaluate"}
    texts = [", ".join(f"{model} {loss[model, step]:.4f}" for model in ("plain", "lawa(k=2,nu=2)", "ema(beta=0.9,nu=1)")) for step in (4, 8)]
    lines = result.err.splitlines()
    assert f"validation at step 4: {texts[0]}" in lines and lines[-1] == f"last validation losses, at step 8: {texts[1]}"
    assert lines.index("8 steps to come, of 256 tokens: " + next(line for line in lines if "to come" in line).split("tokens: ")[1]) < lines.index(
        f"validation at step 4: {texts[0]}")
    assert "new: 2 checkpoints of " in result.err
    assert succeed(*TRAIN, *FEW, averages).err.splitlines() == ["new: complete, 8 steps", lines[-1]]


def test_what_is_hardly_meant_is_said(place):
    words = ("schedule.steps=4", "schedule.warmup_steps=4", "evaluate.steps=0", "batch.global_sequences=2000")
    for command, prefix in (("plan", "warning     "), ("train", "warning: ")):
        result = succeed(command, *TRAIN[1:], *words, *(["plan.gemm_flops_per_second=1e11"] if command == "plan" else []))
        said = [line for line in (result.out + result.err).splitlines() if line.startswith("warning")]
        assert [line.removeprefix(prefix).split(" (")[0] for line in said] == ["schedule.warmup_steps", "batch.global_sequences"]
        assert "ends inside its warm-up of 4" in said[0] and "a step reads 64000 tokens" in said[1]


def test_tiny_fits_itself(place):
    result = succeed("train", TINY, "data.train=data/train.bin", "data.validation=data/val.bin", "run.directory=new")
    losses = [line["loss"] for line in metrics("new") if line["kind"] == "train"]
    assert "warning" not in result.err and len(losses) == 200 and np.mean(losses[-20:]) < 0.6 * losses[0]


# ---- numbers that aren't finite -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [("schedule.peak_lr=1e30", "evaluate.steps=2"), ("schedule.peak_lr=1e38", "evaluate.steps=0")],
                         ids=["gradients", "loss"])
def test_a_last_step_whose_weights_are_good_for_nothing_is_a_divergence(place, words):
    """The update of step 2 makes weights whose gradients, or whose loss, are no numbers: nothing in the step itself shows it."""
    for _ in range(2):   # again: from the state of step 1, to the same end
        result = lawa(*DIVERGING, "schedule.steps=2", *words, ranks=2)
        assert result.code == 3 and "step 2: the run has diverged (the last weights' loss, or its gradients, aren't finite: the " in result.errors[0]
        line = metrics("new")[-1]
        assert line | {"grad_norm": 0} == {"kind": "outcome", "outcome": "diverged", "step": 2, "loss": None, "grad_norm": 0, "rank": line["rank"],
                                           "host": line["host"], "tensor": line["tensor"]}
        assert not Path("new/checkpoints/step_00000002.json").exists()


def test_a_file_that_is_not_finite_ends_evaluate_like_a_divergence(place):
    if (library := xxhash()) is None:
        pytest.skip("needs libxxhash")
    put(weights(30), 27000, np.inf, library)
    result = lawa("evaluate", weights(30), weights(60), ranks=2)
    assert result.code == 3 and f"{weights(30)}: its weights, or their loss, aren't finite" in result.errors[0]
    assert [line["loss"] is None for line in result.objects] == [True, False], "every file has its line all the same"
    result = lawa("evaluate", weights(30), weights(60), "averaging.window=2", "averaging.allow_nonfinite=true")
    assert result.code == 3 and "the average of step 60: its weights" in result.errors[0] and result.objects[0]["loss"] is None


# ---- what it keeps -------------------------------------------------------------------------------------------------------------

KEEPING = (*TRAIN, "schedule.steps=40", "checkpoint.keep_weights=3", "checkpoint.keep_weights_steps=15", "checkpoint.keep_states=1", "evaluate.steps=0")


def kept():
    return [int(path.name[5:13]) for path in sorted(Path("new/checkpoints").glob("*.weights.h5"))]


def test_a_run_keeps_what_it_is_told_to(place):
    planned, = succeed("plan", "--json", *KEEPING[1:], "plan.gemm_flops_per_second=1e11").objects
    succeed(*KEEPING, ranks=2)
    assert kept() == [15, 30, 35, 40]
    assert planned["disk"]["checkpoints"] == 8 and planned["disk"]["most_checkpoints"] == 6
    assert planned["disk"]["bytes"] == 6 * planned["disk"]["weights_bytes"] + 2 * planned["disk"]["state_bytes"], "when the last one is written"
    succeed("average", "new", "destination=mean", "averaging.window=3", "averaging.stride=5", "averaging.first=30")


def test_nothing_goes_while_somebody_reads(place):
    Path("new").mkdir()
    with open("new/readers.lock", "w+") as reader:
        fcntl.lockf(reader, fcntl.LOCK_SH)
        result = succeed(*KEEPING)
        assert kept() == list(range(5, 45, 5)) and result.err.count("new: another process reads its checkpoints: none goes until it has ended\n") == 1


@pytest.mark.parametrize("words", ["checkpoint.keep_weights=-1", "checkpoint.keep_weights_steps=5"])
def test_mistakes_in_what_it_keeps_are_named(place, words):
    assert words.split("=")[0] in lawa(*TRAIN, words).errors[0]
