"""Commands under srun that are asked to stop, at any moment and on one rank or all: nothing is lost or left, and they end with 4."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cluster import PROGRAM, ROOT, TINY, prepare_tokens
from preemption import last_step, lines

sys.path.insert(0, str(ROOT / "tests" / "programs"))
import safetensors_file   # noqa: E402

FULL = os.environ.get("LAWA_FULL") == "1"
SRUN = ["srun", "--ntasks=2", "--kill-on-bad-exit=0", "--wait=60", str(PROGRAM)]   # as slurm/job.sh has it
TRAIN = ["train", *TINY, "schedule.steps=600", "checkpoint.steps=50", "checkpoint.state_steps=200", "evaluate.steps=100",
         "data.train=tokens/train.bin", "data.validation=tokens/val.bin", "averages=[{scheme='lawa', window=2, stride=50, save=true}]"]


@pytest.fixture
def draw():
    seed = int(os.environ.get("LAWA_SEED", random.randrange(10**6)))
    print(f"LAWA_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="module")
def run(slurm, tmp_path_factory):
    """A folder with a finished run/: twelve checkpoints."""
    folder = tmp_path_factory.mktemp("run")
    prepare_tokens(folder)
    slurm.run(folder, *SRUN, *TRAIN, "run.directory=run")
    return folder


def ask(slurm, draw, process):
    """SIGUSR1 to srun or with scancel, which both pass it on to all ranks, or one of three signals to one rank."""
    how = draw.choice(["srun", "scancel", "rank"])
    number = slurm.run("/", "squeue", "-h", "-o", "%i").split()[0]
    if how == "srun":
        process.send_signal(signal.SIGUSR1)
    elif how == "scancel":
        slurm.run("/", "scancel", "--signal=USR1", number)
    else:
        os.kill(draw.choice(slurm.ranks(number)), draw.choice([signal.SIGUSR1, signal.SIGTERM, signal.SIGINT]))


def stopped(slurm, draw, folder, words, ready):
    """Asks `lawa words…` to stop as soon as ready(lines of stdout so far). Returns (exit code, stdout, stderr)."""
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen([*SRUN, *words], cwd=folder, env=slurm.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        deadline = time.monotonic() + 60
        while process.poll() is None and not ready((folder / "out").read_text().count("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        if process.poll() is None:
            ask(slurm, draw, process)
        code = process.wait(timeout=60)
    return code, (folder / "out").read_text(), (folder / "err").read_text()


def evaluated(text):
    return [(line["file"], line.get("model"), line["loss"]) for line in map(json.loads, text.splitlines())]


def digests(slurm, folder, place):
    return [json.loads(line)["digest"] for line in slurm.run(folder, PROGRAM, "inspect", place).splitlines()]


def test_training(slurm, run, draw):
    for _ in range(4 if FULL else 1):
        begin = last_step(run / "left")
        moment = draw.randrange(begin + 1, begin + 120)
        code, _, err = stopped(slurm, draw, run, [*TRAIN, "run.directory=left"], lambda _: last_step(run / "left") >= moment)
        line = lines(run / "left")[-1]
        assert code == 4 and line["kind"] == "stopped" and moment <= line["step"] == last_step(run / "left"), err
        assert f"lawa: stopped by {line['signal']} at step {line['step']}: saved; the same command goes on\n" in err
        assert line["seconds_to_durable"] < 10 and not list(run.rglob("*.part"))
    slurm.run(run, *SRUN, *TRAIN, "run.directory=left")
    for place in ("checkpoints", "averages/lawa_k002_nu000050"):
        assert digests(slurm, run, f"left/{place}") == digests(slurm, run, f"run/{place}")


@pytest.mark.parametrize("words, total", [([], 12), (["averaging.window=[1,2]"], 23)], ids=["files", "averages"])
def test_evaluations(slurm, run, draw, words, total):
    words = ["evaluate", "run", *words, f"data.validation={['tokens/train.bin'] * 2}", "data.validation_sequences=900"]
    whole = evaluated(slurm.run(run, *SRUN, *words))
    assert len(whole) == total
    for _ in range(4 if FULL else 1):
        count = draw.randrange(1, total // 2)
        code, out, err = stopped(slurm, draw, run, words, lambda made: made >= count)
        made = evaluated(out)
        assert code == 4 and count <= len(made) < total and made == whole[:len(made)], err
        assert re.search(rf"lawa: stopped by SIG\w+: {len(made)} of {total} are evaluated\n", err)


def test_averages(slurm, tmp_path, draw):
    numpy, files, new = np.random.default_rng(9), [f"m-{step}.safetensors" for step in range(1, 11)], tmp_path / "new"
    for file in files:
        safetensors_file.write(tmp_path / file, {"w": ("F32", numpy.random((2048, 2048), dtype=np.float32))})
    words = ["average", *files, "destination=new", "averaging.window=2", "averaging.skip_existing=true"]
    slurm.run(tmp_path, *SRUN, *words, "averaging.at=3")
    for _ in range(4 if FULL else 1):
        before = {path.name for path in new.iterdir()}
        code, out, err = stopped(slurm, draw, tmp_path, words, lambda _: list(new.glob("*.part")))
        assert code == 4, err
        said = re.search(r"lawa: stopped by SIG\w+: of 9 averages (\d+) were there before and (\d+) are written, of the others nothing is kept", err)
        lines = list(map(json.loads, out.splitlines()))
        written = {Path(line["file"]).name for line in lines if "existed" not in line}
        assert said and (int(said[1]), int(said[2])) == (len(before), len(written)) and len(written) == len(lines) - len(before), err
        assert {path.name for path in new.iterdir()} == before | written
    slurm.run(tmp_path, *SRUN, *words)
    assert {path.name for path in new.iterdir()} == {f"step_{step:08d}.safetensors" for step in range(2, 11)}
