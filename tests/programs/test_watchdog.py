"""A rank that waits for ever: the others say which one, where and at what, and the job ends. tests/fault stops ranks and cuts off hosts."""
import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from faults import fault
from runner import TINY, digests, end, lawa, session, start, succeed

LIMIT = 2   # seconds
LOST = 200
LONG = ("train", TINY, "settings.toml", "run.directory=long", "schedule.steps=100000", "evaluate.steps=0", "checkpoint.steps=20")
HOST = socket.gethostname()


def began(run):
    """Whether it has kept a checkpoint."""
    return any(Path(run, "checkpoints").glob("step_*.json"))


def wait_for(ready, seconds=30):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_job_that_is_stopped_as_a_whole_goes_on(place):
    """As Slurm does it with a job that makes room for another one."""
    words = ("train", TINY, "settings.toml", "run.directory=again", "checkpoint.steps=5", "checkpoint.state_steps=20")
    process = start(*words, ranks=2, LAWA_HANG_SECONDS=str(LIMIT))
    try:
        wait_for(lambda: began("again"))
        everyone = session(process.pid)
        for one in everyone:
            os.kill(one, signal.SIGSTOP)
        time.sleep(3 * LIMIT)
        for one in everyone:
            os.kill(one, signal.SIGCONT)
        _, err = process.communicate(timeout=60)
    finally:
        end(process)
    assert process.returncode == 0, err
    assert digests("again") == digests("run")


@pytest.mark.parametrize("rank, path, part", [(1, "step_00000020.weights", "checkpoints"), (0, "step_00000020.json", "checkpoints")])
def test_a_call_that_never_returns_is_named(place, rank, path, part):
    result = lawa(*LONG, "checkpoint.state_steps=20", ranks=2, LAWA_HANG_SECONDS=str(LIMIT), **fault("HANG", "write", path, rank=rank))
    assert result.code == LOST and result.seconds < LIMIT + 20, result.err
    assert re.search(rf"\[rank 0\]: nothing has gone on for {LIMIT} s \(LAWA_HANG_SECONDS\): .*rank {rank} on {HOST} \({part}", result.err), result.err
    assert result.err.count("lawa: error") == 1


@pytest.mark.parametrize("words", [("evaluate", "run"), ("average", "run", "destination=new", "averaging.window=2")], ids=["evaluate", "average"])
def test_other_commands_are_watched_too(place, words):
    result = lawa(*words, ranks=2, LAWA_HANG_SECONDS=str(LIMIT), **fault("SIGSTOP", "read", ".weights.h5", rank=1))
    assert result.code == LOST and f"rank 1 on {HOST}" in result.err, result.err


def test_a_wrong_limit_is_said(place):
    for text in ("soon", "-1", ""):
        result = lawa("inspect", "run", ranks=1, LAWA_HANG_SECONDS=text)
        assert result.code == 1 and "LAWA_HANG_SECONDS" in result.errors[0]
    succeed("train", TINY, "settings.toml", "run.directory=run", ranks=2, LAWA_HANG_SECONDS="0")
