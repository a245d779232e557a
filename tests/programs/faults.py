"""Environments of processes that meet an error of the system, or whose calls are counted or written down: see tests/support/fault.c."""
import functools
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runner import ROOT


FOLDER = tempfile.TemporaryDirectory()   # of what is compiled here; gone with this process


@functools.cache
def library(source="fault"):
    """The path of a library that is preloaded; it is compiled once."""
    path = Path(FOLDER.name) / f"{source}.so"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", path, ROOT / "tests" / "support" / f"{source}.c", "-ldl"],
                   check=True)
    return str(path)


def fault(what, calls, path="", nth="1+", rank=None):
    """The n-th of these calls ("read,write") meets `what` ("EIO", "SHORT", "SIGSTOP") in a rank, or in all, on files with `path` in their names."""
    variables = {"LD_PRELOAD": library(), "FAULT": what, "FAULT_CALL": calls, "FAULT_PATH": path, "FAULT_NTH": str(nth)}
    return variables if rank is None else variables | {"FAULT_RANK": str(rank)}


def wrong_product(nth, rank=0):
    """The n-th matrix product of a rank comes out wrong, as on a machine with a fault; tests/support/wrong_product.c says how."""
    return {"LD_PRELOAD": library("wrong_product"), "PRODUCT_NTH": str(nth), "PRODUCT_RANK": str(rank)}


def counting(file, path=""):
    """Counts the calls on files with `path` in their names; counts(file) reads them when the process has ended."""
    return {"LD_PRELOAD": library(), "COUNT_FILE": str(file), "COUNT_PATH": path}


def tracing(file, path=""):
    """Writes down what the processes do to files with `path` in their names; trace(file) reads it when they have ended."""
    return {"LD_PRELOAD": library(), "TRACE_FILE": str(file), "TRACE_PATH": path}


@dataclass(frozen=True)
class Call:
    """A call as it began, in the order of all ranks' calls; "fsynced" is the end of an fsync."""
    rank: int
    thread: int
    call: str
    path: str


def trace(file):
    """What the processes of tracing(file) have done, in order."""
    lines = (line.split(" ", 3) for line in Path(file).read_text().splitlines())
    return [Call(int(rank), int(thread), call, path) for rank, thread, call, path in lines]


@dataclass(frozen=True)
class Count:
    """The calls of a kind on a file that a rank has made, and the bytes that they have read or written."""
    rank: int
    call: str
    calls: int
    bytes: int
    path: str


def counts(file):
    """What the processes of counting(file) have left there."""
    found = []
    for left in sorted(Path(file).parent.glob(f"{Path(file).name}.*")):
        for line in left.read_text().splitlines():
            call, calls, size, path = line.split(" ", 3)
            found.append(Count(int(left.suffix[1:]), call, int(calls), int(size), path))
    return found
