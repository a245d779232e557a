"""Runs the program under mpirun, and looks at what it left behind."""
import ctypes.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build" / os.environ.get("LAWA_PRESET", "cpu") / "bin" / "lawa"
TINY = ROOT / "experiments" / "models" / "tiny.toml"

# As framework/setup/environment.sh has it: a rank a core, shared memory, and Open MPI asks twice before it runs as root. Besides,
# mpirun would grant the other ranks of a failed job two seconds to end.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMPI_MCA_pml": "ob1", "OMPI_MCA_odls_base_sigkill_timeout": "0"}
if os.geteuid() == 0:
    ENVIRONMENT |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


@dataclass(frozen=True)
class Result:
    """How a program ended and what it printed."""
    code: int
    out: str
    err: str
    seconds: float

    @property
    def errors(self):
        """The program's own error lines; mpirun may add its remarks on the exit code."""
        return [line for line in self.err.splitlines() if line.startswith("lawa: error")]

    @property
    def objects(self):
        """The JSON objects on stdout, where every line must be one."""
        return [json.loads(line) for line in self.out.splitlines()]


def start(*words, ranks=1, **variables):
    """Starts `lawa words…` in a session of its own, in the current folder, with more environment variables; on no ranks: without mpirun."""
    launcher = ["mpirun", "-np", ranks, "--oversubscribe", "--bind-to", "none"] if ranks else []
    command = [*launcher, PROGRAM, *words]
    return subprocess.Popen([str(word) for word in command], env=ENVIRONMENT | variables, text=True, start_new_session=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def lawa(*words, ranks=1, timeout=60, **variables):
    """Runs `lawa words…` to its end, whatever that is."""
    begin = time.monotonic()
    process = start(*words, ranks=ranks, **variables)
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        end(process)
    return Result(process.returncode, out, err, time.monotonic() - begin)


def succeed(*words, ranks=1, timeout=60, **variables):
    """The same for a command that has to succeed."""
    result = lawa(*words, ranks=ranks, timeout=timeout, **variables)
    assert result.code == 0 and not result.errors, result.err
    return result


def session(leader):
    """The ids of the living processes of a session: mpirun's ranks have process groups of their own, but its session."""
    members = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of_session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:   # it ended while we looked
            continue
        if int(of_session) == leader and state != "Z":
            members.append(int(path.parent.name))
    return members


def rank_of(process):
    """MPI's rank of a process; None where it has none, or has ended."""
    try:
        variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((int(one.partition(b"=")[2]) for one in variables if one.startswith(b"OMPI_COMM_WORLD_RANK=")), None)


def ranks_of(leader):
    """{rank: process} of the living ranks that mpirun has started."""
    found = {rank_of(process): process for process in session(leader.pid) if process != leader.pid}
    return {rank: process for rank, process in found.items() if rank is not None}


def kill(processes):
    """kill -9."""
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


def end(process):
    """Leaves nothing of what start() began."""
    while alive := session(process.pid):
        kill(alive)
        time.sleep(0.01)
    process.wait()
    process.stdout.close()
    process.stderr.close()


def python(script, *words):
    """Runs one of the project's Python programs."""
    return subprocess.run([sys.executable, ROOT / script, *map(str, words)], text=True, capture_output=True, timeout=60)


def snapshot(folder="."):
    """{file: (time of change, bytes)} of everything below a folder. A lock file is no content."""
    files = (path for path in Path(folder).rglob("*") if path.is_file() and path.name != "run.lock")
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def metrics(run):
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]


def numbers(run):
    """What must repeat bit for bit: losses, rates and norms by step, without the time that they took."""
    timing = ("seconds", "tokens_per_second")
    return [{key: value for key, value in line.items() if key not in timing}
            for line in metrics(run) if line["kind"] in ("train", "evaluate")]


def digests(place):
    """{step: digest of the weights}, verified by `lawa inspect`."""
    return {header["step"]: header["digest"] for header in succeed("inspect", place).objects}


def weights(step, run="run"):
    """The path of a checkpoint's weights."""
    return Path(run) / "checkpoints" / f"step_{step:08d}.weights.h5"


def xxhash():
    """The library that the program takes its checksums from, or None."""
    name = ctypes.util.find_library("xxhash")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.XXH3_64bits.restype = ctypes.c_uint64
    library.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return library


def xxh3_128(library, content):
    """32 hexadecimal digits, as the program writes them."""
    class Halves(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]
    library.XXH3_128bits.restype = Halves
    library.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    halves = library.XXH3_128bits(content, len(content))
    return f"{halves.high:016x}{halves.low:016x}"
