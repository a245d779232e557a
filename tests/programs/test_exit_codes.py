"""How a program ends: 0, 1 after an error, 3 where a run has diverged, 4 where it was stopped (as test_signals.py does it); 200: test_watchdog.py."""
import math
import os
import subprocess

import pytest
from runner import ENVIRONMENT, PROGRAM, TINY, digests, lawa, metrics, succeed

# The update of step 2 makes weights whose squares are beyond float32; step 3 shows it: all words are as likely, and the gradients are no
# numbers.
DIVERGING = ("train", TINY, "settings.toml", "run.directory=new", "schedule.warmup_steps=1", "schedule.peak_lr=1e30",
             "optimizer.clip_norm=0", "checkpoint.state_steps=1", "evaluate.steps=0")
OUTCOME = {"kind": "outcome", "outcome": "diverged", "step": 3, "loss": pytest.approx(math.log(256)), "grad_norm": None, "rank": 0,
           "host": os.uname().nodename, "tensor": "wte.weight", "recheck": "same"}


def kinds(run):
    """Of a run's lines, but those of checkpoints: they come when a save is done, which goes on beside the steps."""
    return [line["kind"] for line in metrics(run) if line["kind"] != "checkpoint"]


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_run_that_diverges_says_so_and_ends_with_3(place, ranks):
    result = lawa(*DIVERGING, ranks=ranks)
    assert result.code == 3 and result.out == ""
    error, = result.errors
    assert "step 3: the run has diverged" in error and "schedule.peak_lr" in error
    assert "the gradient of wte.weight isn't finite on rank 0" in error
    assert kinds("new") == ["train", "train", "outcome"] and len(digests("new")) == 2
    assert metrics("new")[-1] == OUTCOME


def test_a_run_that_diverged_goes_on_from_its_last_state(place):
    lawa(*DIVERGING)
    (place / "new/checkpoints/step_00000002.json").unlink()
    assert lawa(*DIVERGING, ranks=2).code == 3
    assert kinds("new") == ["train", "resume", "train", "outcome"]
    assert metrics("new")[-1] == OUTCOME
    assert next(line["step"] for line in metrics("new") if line["kind"] == "resume") == 1


def test_weights_that_aren_t_finite_are_no_checkpoint(place):
    """The update of step 2 makes them: its loss was finite."""
    result = lawa(*DIVERGING, "schedule.peak_lr=1e39", ranks=2)
    assert result.code == 3 and "step 2: the run has diverged" in result.errors[0]
    assert kinds("new") == ["train", "train", "outcome"]
    assert metrics("new")[-1] == {"kind": "outcome", "outcome": "diverged", "step": 2, "loss": pytest.approx(math.log(256), rel=0.1),
                                  "grad_norm": pytest.approx(1, rel=2)}
    assert sorted(path.name for path in (place / "new/checkpoints").iterdir()) == ["step_00000001.json", "step_00000001.state.h5",
                                                                                   "step_00000001.weights.h5"]


STOPPING = ("train", TINY, "settings.toml", "run.directory=new", "run.wall_seconds=0.1")


@pytest.mark.parametrize("words, code", [(DIVERGING, 3), (STOPPING, 4), (("train", "none.toml"), 1), (("--help",), 0)])
def test_every_rank_has_the_exit_code(place, words, code):
    """mpirun itself has only one: each rank's shell prints its own."""
    command = ["mpirun", "-np", "3", "--oversubscribe", "--bind-to", "none", "sh", "-c", '"$@" >&2; echo "code $?"', "sh", PROGRAM, *words]
    result = subprocess.run(list(map(str, command)), env=ENVIRONMENT, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    assert result.stdout.splitlines() == [f"code {code}"] * 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("words", [("--help",), ("train", "--help"), ("average", "--help"), ("evaluate", "run/checkpoints/step_00000060.weights.h5"),
                                   ("inspect", "run"), ("average", "run", "destination=new", "averaging.window=2")], ids=lambda words: words[0])
def test_results_that_can_t_be_written_are_an_error(place, words):
    """mpirun would write them itself: without it."""
    with open("/dev/full", "w") as full:
        result = subprocess.run([PROGRAM, *words], env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 1
    assert sum("lawa: error: standard output: the results could not be written to it" in line for line in result.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]], ids=" ".join)
def test_help_names_the_exit_codes(words):
    help = succeed(*words).out
    assert all(part in help for part in ("Exit codes", "1 an error", "3 the run diverged", "4 stopped on request: SIGUSR1, SIGTERM or", "200 a rank is stopped"))
