"""Two processes and one run's folder: the second waits for the first, also on file systems that have no locks."""
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from faults import fault
from runner import TINY, end, kill, lawa, metrics, session, start

FULL = os.environ.get("LAWA_FULL") == "1"
FOREVER = ["train", TINY, "settings.toml", "run.directory=new", "evaluate.steps=0", "schedule.steps=1000000", "checkpoint.steps=0",
           "checkpoint.state_steps=0"]
HOLDER = rf"\(pid \d+ on {re.escape(socket.gethostname())}, job 77\)"


@pytest.fixture
def no_locks():
    """The environment of a process whose file system has no locks."""
    return fault("ENOLCK", "lock", ".lock")


class Running:
    """A process of lawa, without mpirun, and the lines that it has printed on stderr so far."""

    def __init__(self, *words, **variables):
        self.process, self.lines = start(*FOREVER, *words, ranks=None, **variables), []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        kill(session(self.process.pid))
        self.reader.join()
        end(self.process)

    def says(self, pattern, seconds=30):
        """Waits until a line has it."""
        deadline = time.monotonic() + seconds
        while not any(re.search(pattern, line) for line in self.lines):
            assert time.monotonic() < deadline and (self.process.poll() is None or self.reader.is_alive()), "".join(self.lines)
            time.sleep(0.005)

    def trains(self):
        self.says("tokens/s")
        return self

    def ends(self, code, seconds=30):
        assert self.process.wait(timeout=seconds) == code, "".join(self.lines)
        self.reader.join()


def test_a_job_that_is_queued_again_waits_for_its_predecessor(place):
    with Running(SLURM_JOB_ID="77") as first:
        first.trains()
        with Running() as second:
            second.says(rf"run\.lock: another process is running in this folder {HOLDER}; waiting up to 60 s for it \(run\.lock_seconds\)")
            first.process.send_signal(signal.SIGUSR1)
            first.ends(4)
            second.says("going on from step")
            second.trains().process.send_signal(signal.SIGTERM)
            second.ends(4)
    steps = [line["step"] for line in metrics("new") if line["kind"] == "train"]
    assert steps == list(range(1, len(steps) + 1))


def test_patience_ends(place):
    with Running(SLURM_JOB_ID="77") as first:
        first.trains()
        for seconds, says in ((0, r"; wait for it or end it"), (0.5, r", for 0\.5 s now \(run\.lock_seconds\); wait for it or end it")):
            result = lawa(*FOREVER, f"run.lock_seconds={seconds}", ranks=2)
            assert result.code == 1 and re.search(rf"new/run\.lock: another process is running in this folder {HOLDER}{says}", result.errors[0])
            assert ("waiting up to 0.5 s" in result.err) == (seconds > 0)
        with Running() as second:   # who waits can be asked to stop
            second.says("waiting up to")
            second.process.send_signal(signal.SIGTERM)
            second.ends(4, seconds=5)
        assert first.process.poll() is None


def test_without_locks_an_owner_file_stands_for_one(place, no_locks):
    owner = Path("new/run.lock.owner")
    with Running(**no_locks, SLURM_JOB_ID="77") as first:
        first.trains()
        assert sum("THIS FILE SYSTEM HAS NO LOCKS" in line for line in first.lines) == 1
        assert owner.read_text().split() == [socket.gethostname(), str(first.process.pid), "77"]
        with Running("run.lock_seconds=0", **no_locks) as second:
            second.ends(1)
            assert re.search(rf"lawa: error.*run\.lock\.owner: another process is running in this folder {HOLDER}", "".join(second.lines))
        first.process.send_signal(signal.SIGUSR1)
        first.ends(4)
        assert not owner.exists()


def test_an_owner_that_gives_no_sign_of_life_is_replaced(place, no_locks):
    owner = Path("new/run.lock.owner")
    with Running(**no_locks, SLURM_JOB_ID="77") as first:
        first.trains()
        first.process.send_signal(signal.SIGSTOP)
        with Running(**no_locks) as second:
            second.says(rf"run\.lock\.owner: another process is running in this folder {HOLDER}; waiting up to 60 s")
            os.utime(owner, (time.time() - 59, time.time() - 59))   # as if it had stood still for a minute
            second.trains()
            assert owner.read_text().split()[1] == str(second.process.pid)
            if FULL:   # seconds until it looks again
                first.process.send_signal(signal.SIGCONT)
                first.ends(1)
                assert "run.lock.owner: another process has taken over" in first.lines[-1]
                assert second.process.poll() is None
