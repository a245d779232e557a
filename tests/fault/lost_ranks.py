"""A rank that is stopped for ever, and a host that is cut off: the others name it, its host and what it was at, and the job ends with 200."""
import os
import re
import signal
import socket
import time
from collections import Counter
from pathlib import Path

from kills import lines, wait_for_a_moment
from place import EVERY_STEP, WRITES, Hang, Skipped, check, finish
from runner import end, ranks_of, session, start
from two_hosts import NoNamespaces, TwoHosts

LIMIT = 3   # seconds
LATE = 10   # seconds that the job may take besides, to notice and to end
LOST = 200
PHASES = "training|checkpoints|start|communication|evaluation|between"


def wait_for(ready, seconds, otherwise):
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise Hang(otherwise)
        time.sleep(0.01)


def stopped(place, draw, writes, _):
    """Rank 0's phase is nobody's to tell: the others tell it theirs."""
    words = place.train(*EVERY_STEP, *WRITES[writes])
    ranks = draw.choice([2, 2, 3])
    process = start(*words, ranks=ranks, LAWA_HANG_SECONDS=str(LIMIT))
    try:
        wait_for(lambda: len(ranks_of(process)) == ranks and lines() > 0 or process.poll() is not None, 60, "no step")
        wait_for_a_moment(process, draw, lines, place.seconds()[1])
        rank, running = draw.randrange(ranks), ranks_of(process)
        if len(running) < ranks:
            return Counter()   # it was done
        os.kill(running[rank], signal.SIGSTOP)
        begin = time.monotonic()
        wait_for(lambda: process.poll() is not None, LIMIT + LATE + 20, f"rank {rank} was stopped, and nobody has noticed")
        err = process.stderr.read()
    finally:
        end(process)
    if process.returncode == 0 and time.monotonic() - begin < LIMIT:
        return Counter()
    named = rf"lawa: error \[rank \d\]: .*rank {rank} on {socket.gethostname()}" + (rf" \(({PHASES})" if rank > 0 else "")
    if process.returncode != LOST or not re.search(named, err):
        raise Hang(f"rank {rank} was stopped: ended with {process.returncode}: {err}")
    check(place.whole(ranks))
    finish(place, words, place.whole(ranks), ranks=ranks)
    return Counter(detected=1)


def is_lawa(process):
    try:
        return Path(f"/proc/{process}/comm").read_text() == "lawa\n"
    except OSError:   # it ended while we looked
        return False


def cut_off(place, draw, writes, _):
    """Both sides notice, and both end; mpirun itself may go on to wait for the other host."""
    words = place.train(*EVERY_STEP, *WRITES[writes])
    try:
        with TwoHosts(Path.cwd()) as hosts:
            process = hosts.start(*words, LAWA_HANG_SECONDS=str(LIMIT))
            try:
                wait_for(lambda: lines() > 0 or process.poll() is not None, 60, "no step")
                wait_for_a_moment(process, draw, lines, 0)
                if sum(map(is_lawa, session(process.pid))) < 2:
                    return Counter()   # it was done
                hosts.cut()
                wait_for(lambda: not any(map(is_lawa, session(process.pid))), LIMIT + LATE, "a host is cut off, and ranks go on waiting")
            finally:
                for one in session(process.pid):
                    os.kill(one, signal.SIGKILL)
                err = process.stderr.read()
                end(process)
    except NoNamespaces:
        raise Skipped("no network namespaces here") from None
    if not re.search(rf"lawa: error \[rank 0\]: rank 1 on {hosts.names[1]} .*: not heard from for {LIMIT} s", err):
        raise Hang(f"a host was cut off, and not named: {err}")
    check(place.whole())
    finish(place, words)
    return Counter(detected=1)


def kinds():
    return {"a rank stopped for ever": (stopped, (*WRITES,)), "a host cut off from the network": (cut_off, (*WRITES,))}
