"""System calls that fail, or do less than they were asked to, on one rank or on all, at one call or from there on, while a run saves."""
from collections import Counter
from pathlib import Path

from faults import fault
from place import EVERY_STEP, MPI_IO, RUN, WRITES, Hang, Silent, check, finish
from runner import lawa

HANGS = {"LAWA_HANG_SECONDS": "20"}
FAULTS = {
    "EIO": ("EIO", ("open", "close", "write", "rename", "unlink", "truncate", "allocate", "list")),
    "ENOSPC": ("ENOSPC", ("write", "allocate", "open", "rename", "write,allocate,open,mkdir")),
    "short writes": ("SHORT", ("write",)),
    "ENOLCK": ("ENOLCK", ("lock", "flock", "lock,flock")),
    "failing fsync": ("EIO", ("fsync",)),
}


def how_it_ended(result, mpi_io=False):
    """Survived, or detected; nothing else will do. Inside MPI-IO a rank may wait for one that has failed, until LAWA_HANG_SECONDS."""
    if result.code == 0:
        return "survived"
    if result.code == 200 and not (mpi_io and result.errors):
        raise Hang(result.err)
    if result.code not in (1, 200) or not result.errors:
        raise Silent(f"ended with {result.code}, and no error of its own: {result.err}")
    return "detected"


def errors(what, writer):
    def trial(place, draw, writes, _):
        error, calls = FAULTS[what]
        words = place.train(*EVERY_STEP, *WRITES[writes], *writer, f"checkpoint.tries={draw.choice([1, 3])}")
        nth = f"{int(2 ** draw.uniform(0, 7))}{draw.choice(['', '+'])}"
        faulty = fault(error, draw.choice(calls), RUN, nth, draw.choice([0, 1, None]))
        outcome = how_it_ended(lawa(*words, ranks=2, timeout=120, FAULT_MET=str(Path.cwd() / "met"), **faulty, **HANGS), mpi_io=MPI_IO in writer)
        if not Path("met").exists():
            return Counter()   # there were fewer such calls
        check(place.whole())
        finish(place, words)
        return Counter([outcome])
    return trial


def kinds():
    posix = {f"{what}, POSIX": (errors(what, ()), (*WRITES,)) for what in FAULTS}
    mpi_io = {f"{what}, MPI-IO": (errors(what, (MPI_IO,)), ("synchronous", "fsync off")) for what in FAULTS}
    return posix | mpi_io
