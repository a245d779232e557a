"""A real Slurm of one or two nodes on this machine, started and ended by the tests, and what they need to speak to it."""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build" / os.environ.get("LAWA_PRESET", "cpu") / "bin" / "lawa"
TINY = """model.layers=2 model.heads=2 model.channels=32 model.context=32 model.vocabulary=256 precision=fp32 batch.global_sequences=8
          schedule.steps=20 schedule.warmup_steps=2 evaluate.steps=10 data.validation_sequences=8 checkpoint.steps=10""".split()


class Slurm:
    """The Slurm that runs, and the environment that speaks to it. `with Slurm() as slurm` starts and ends it."""

    def __init__(self, nodes=1):
        self.node, self.nodes = ["bash", str(ROOT / "tests" / "slurm" / "one_node.sh")], nodes
        folder = tempfile.mkdtemp(prefix="lawa_slurm_")   # short: sockets lie there
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_", "LAWA_"))}
        self.environment = clean | {"LAWA_SLURM_FOLDER": folder, "LAWA_PYTHON": sys.executable}

    def __enter__(self):
        started = subprocess.run([*self.node, "start", str(self.nodes)], text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                 env=self.environment)
        if started.returncode != 0:
            pytest.skip(f"no Slurm on this machine: {started.stderr.strip()}")
        words = subprocess.run([*self.node, "env"], text=True, check=True, capture_output=True, env=self.environment).stdout.split()
        self.environment |= dict(word.split("=", 1) for word in words if "=" in word)
        return self

    def __exit__(self, *_):
        subprocess.run([*self.node, "stop"], check=True, env=self.environment)

    def run(self, folder, *words, code=0, **variables):
        """A command in a folder, to its end."""
        result = subprocess.run([str(word) for word in words], text=True, capture_output=True, cwd=folder, timeout=100,
                                env=self.environment | variables)
        assert result.returncode == code, result.stderr + result.stdout + output(folder)
        return result.stdout

    def job(self, number):
        """{Name: value} of what Slurm knows of a job."""
        words = self.run("/", "scontrol", "--oneliner", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def until(self, number, state, seconds=90):
        """Waits until a job is in a state, and returns what Slurm knows of it then."""
        end = time.monotonic() + seconds
        while (job := self.job(number))["JobState"] != state:
            over = job["JobState"] in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT") or time.monotonic() > end
            assert not over, f"job {number} is {job['JobState']}, not {state}; {job}"
            time.sleep(0.1)
        return job

    def until_gone(self, number):
        """Waits until a job is queued again and nothing of its last start is left on the nodes."""
        self.until(number, "PENDING", 120)
        sockets = f"spool.n*/n*_{number}.*"   # each of its daemons has one
        wait_for(lambda: not list(Path(self.environment["LAWA_SLURM_FOLDER"]).glob(sockets)))

    def start_again(self, number):
        """Waits until a job is queued again, and spares it the two minutes that Slurm would wait."""
        self.until_gone(number)
        time.sleep(1.1)   # Slurm tells starts apart by the second
        self.run("/", "scontrol", "update", f"jobid={number}", "StartTime=now")

    def resume(self, node):
        """Takes a node back that was down; it may have come back by itself."""
        def up():
            subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"], env=self.environment, capture_output=True)
            return self.run("/", "sinfo", "-h", "--nodes", node, "-o", "%t").split()[0] in ("idle", "alloc", "mix", "comp")
        wait_for(up)

    def processes(self, number):
        """{id: environment} of a job's processes, but for Slurm's own."""
        mine, found = {f"SLURM_JOB_ID={number}", f"LAWA_SLURM_FOLDER={self.environment['LAWA_SLURM_FOLDER']}"}, {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "environ").read_text().split("\0")
            except OSError:   # it ended while we looked, or is somebody else's
                continue
            if mine <= set(words):
                found[int(path.name)] = dict(word.split("=", 1) for word in words if "=" in word)
        return found

    def ranks(self, number):
        """The ids of a job's processes of lawa, in the order of their ranks."""
        ranks = {int(variables["SLURM_PROCID"]): process for process, variables in self.processes(number).items()
                 if "PMIX_RANK" in variables and os.path.realpath(f"/proc/{process}/exe") == str(PROGRAM)}
        return [ranks[rank] for rank in sorted(ranks)]


def output(folder):
    """What the jobs of a folder have printed."""
    return "".join(path.read_text() for path in sorted(Path(folder).glob("*.out")))


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def prepare_tokens(folder):
    """tokens/ in a folder: the README's bytes."""
    words = [ROOT / "data" / "prepare.py", ROOT / "README.md", "--tokenizer", "bytes", "--validation-fraction", "0.2", "--output", "tokens"]
    subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True)
