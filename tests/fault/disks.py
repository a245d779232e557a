"""A file system that fills while a run writes to it, and a folder that becomes read-only."""
import os
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from errors import how_it_ended
from place import EVERY_STEP, MPI_IO, RUN, WRITES, Silent, Skipped, check, finish
from runner import Result, end, lawa, start


@contextmanager
def mounted(*words, at):
    if subprocess.run(["mount", *words, at], capture_output=True).returncode != 0:
        raise Skipped("mounting isn't allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)


def fills(place, draw, writes, _):
    """At any moment between its first file and more than the run needs; later there is room, and it goes on."""
    writer = [MPI_IO] if writes != "asynchronous" and draw.random() < 0.5 else []
    words = place.train(*EVERY_STEP, *WRITES[writes], *writer, "checkpoint.tries=1")
    kilobytes = int(16 * 600 ** draw.random())
    Path(RUN).mkdir()
    with mounted("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", at=RUN):
        result = lawa(*words, ranks=2, timeout=120)
        outcome = how_it_ended(result, mpi_io=bool(writer))
        if outcome == "detected" and not any("No space left on device" in error for error in result.errors):
            raise Silent(result.err)
        check(place.whole())
        subprocess.run(["mount", "-o", "remount,size=100m", RUN], check=True)
        finish(place, words)
    return Counter([outcome])


@contextmanager
def read_only(folder):
    """From now on, for everybody; root needs a mount for that."""
    if os.geteuid() != 0:
        os.chmod(folder, 0o555)
        try:
            yield
        finally:
            os.chmod(folder, 0o755)
        return
    Path("aside").mkdir(exist_ok=True)   # where nobody can open a file to write before it is read-only
    with mounted("--bind", folder, at="aside"):
        subprocess.run(["mount", "-o", "remount,ro,bind", "aside"], check=True)
        with mounted("--bind", "aside", at=folder):
            yield


def becomes_read_only(place, draw, writes, _):
    """The folder of the run, of the checkpoints or of an average, before the run goes on or beside it."""
    words = place.train(*EVERY_STEP, *WRITES[writes], "checkpoint.tries=1")
    place.copy_until(draw.choice([10, 20, 30]))
    moment = draw.choice([0, draw.uniform(0, sum(place.seconds()))])
    process = start(*words, ranks=2) if moment > 0 else None
    try:
        time.sleep(moment)
        with read_only(Path(RUN) / draw.choice([".", "checkpoints", "averages/lawa_k002_nu000005"])):
            process = process or start(*words, ranks=2)
            if process.poll() is not None:
                return Counter()   # it was done
            out, err = process.communicate(timeout=120)
    finally:
        end(process)
    outcome = how_it_ended(Result(process.returncode, out, err, 0))
    check(place.whole())
    finish(place, words)
    return Counter([outcome])


def kinds():
    return {"a disk that fills": (fills, (*WRITES,)), "a folder that becomes read-only": (becomes_read_only, (*WRITES,))}
