"""A rank that is stopped, that waits for ever, or whose network is gone: the others say which one, where and at what, and the job ends."""
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from faults import fault
from runner import ENVIRONMENT, PROGRAM, TINY, digests, end, lawa, metrics, numbers, session, start, succeed

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


def process_of(rank, leader):
    """The process of lawa that is this rank."""
    for one in session(leader.pid):
        variables = Path(f"/proc/{one}/environ").read_bytes().split(b"\0")
        if one != leader.pid and f"OMPI_COMM_WORLD_RANK={rank}".encode() in variables:
            return one
    raise AssertionError(f"no rank {rank}")


@pytest.mark.parametrize("rank, ranks", [(1, 2), (2, 3), (0, 2)])
def test_a_rank_that_is_stopped_is_named(place, rank, ranks):
    process = start(*LONG, ranks=ranks, LAWA_HANG_SECONDS=str(LIMIT))
    try:
        wait_for(lambda: began("long"))
        os.kill(process_of(rank, process), signal.SIGSTOP)
        begin = time.monotonic()
        _, err = process.communicate(timeout=30)
    finally:
        end(process)
    assert process.returncode == LOST, err
    assert LIMIT / 2 < time.monotonic() - begin < LIMIT + 8
    assert re.search(rf"lawa: error \[rank \d\]: rank {rank} on {HOST}.*: not heard from for {LIMIT} s \(LAWA_HANG_SECONDS\)", err), err
    if rank > 0:
        assert re.search(rf"rank {rank} on {HOST} \((training|checkpoints|start|communication|between)", err), err
        assert err.count("lawa: error") == 1, err
    succeed("inspect", "long")   # and nothing is lost


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


# ---- two hosts: network namespaces with a cable between them ----------------------------------------------------------------------------

AGENT = """#!/bin/sh
host=$1
shift
exec ip netns exec "$host" unshare --uts sh -c 'hostname "$0"; shift 0; exec sh -c "$*"' "$host" "$@"
"""


class TwoHosts:
    """lawa_a and lawa_b with addresses 10.77.x.1 and .2; mpirun on the first reaches the second without ssh."""

    def __init__(self, folder):
        self.names = [f"lawa{os.getpid()}{letter}" for letter in "ab"]
        self.links = [f"lw{os.getpid()}{letter}" for letter in "ab"]
        self.addresses = [f"10.77.{os.getpid() % 250}.{i}" for i in (1, 2)]
        self.agent = folder / "agent.sh"
        self.agent.write_text(AGENT)
        self.agent.chmod(0o755)

    def ip(self, *words):
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    def __enter__(self):
        try:
            for name in self.names:
                self.ip("netns", "add", name)
            self.ip("link", "add", self.links[0], "type", "veth", "peer", "name", self.links[1])
            for name, link, address in zip(self.names, self.links, self.addresses):
                self.ip("link", "set", link, "netns", name)
                self.ip("-n", name, "address", "add", f"{address}/24", "dev", link)
                self.ip("-n", name, "link", "set", link, "up")
                self.ip("-n", name, "link", "set", "lo", "up")
        except (OSError, subprocess.CalledProcessError):
            self.__exit__()
            pytest.skip("no network namespaces here")
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    def cut(self):
        self.ip("-n", self.names[0], "link", "set", self.links[0], "down")

    def start(self, *words, **variables):
        """A rank on each."""
        options = ["-mca", "plm_rsh_agent", str(self.agent), "-mca", "btl", "self,tcp", "--host", ",".join(self.names), "-np", "2"]
        command = ["sh", str(self.agent), self.names[0], "mpirun", *options, "-x", "LAWA_HANG_SECONDS", str(PROGRAM), *map(str, words)]
        return subprocess.Popen(command, env=ENVIRONMENT | variables, text=True, start_new_session=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def is_lawa(process):
    try:
        return Path(f"/proc/{process}/comm").read_text() == "lawa\n"
    except OSError:   # it ended while we looked
        return False


def test_a_host_that_is_cut_off_is_named(place, tmp_path):
    """By both sides, and both end; mpirun itself may go on to wait for the other host."""
    with TwoHosts(tmp_path) as hosts:
        process = hosts.start(*LONG, LAWA_HANG_SECONDS=str(LIMIT))
        try:
            wait_for(lambda: began("long") or process.poll() is not None)
            assert process.poll() is None and sum(map(is_lawa, session(process.pid))) == 2
            hosts.cut()
            wait_for(lambda: not any(map(is_lawa, session(process.pid))), LIMIT + 10)
        finally:
            for one in session(process.pid):
                os.kill(one, signal.SIGKILL)
            err = process.stderr.read()
            end(process)
        assert re.search(rf"lawa: error \[rank 0\]: rank 1 on {hosts.names[1]} .*: not heard from for {LIMIT} s", err), err
