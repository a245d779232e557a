"""slurm/ on a real Slurm of one node, which the tests start and end themselves: runs, figures, failures, preemption."""
import json
import os
import re
import shutil
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

FIGURE = '''
title = "A made-up figure"
subtitle = "of a few steps"
status = "not run"
[train]
files = ["models/tiny.toml"]
batch.global_sequences = 8
schedule = { kind = "cosine", steps = 20, warmup_steps = "10%", peak_lr = 1e-2, final_lr = "10%" }
evaluate.steps = "50%"
data.validation_sequences = 8
checkpoint.fsync = false
[axes]
seed = [1]
[axes.rate]
usual = { label = "usual" }
high = { label = "high", schedule.peak_lr = 4e-2 }
[scale.smoke]
text = { files = ["README.md"], tokenizer = "bytes", validation_fraction = 0.2 }
'''

DRAW = '''from matplotlib.figure import Figure


def draw(table):
    figure = Figure()
    figure.subplots().plot(table.curves(average="plain", rate="usual").mean(axis=1))
    return figure
'''

# Stands for `lawa` where only the batch scripts are looked at: 4 when it is asked to stop, and done when there is a file `done`.
STAND_IN = '''#!/bin/sh
trap 'echo "saved"; exit 4' USR1 TERM
echo "begins"
[ -e done ] && exit 0
: >begun
while :; do sleep 0.1; done
'''


class Slurm:
    """The Slurm that runs, and the environment that speaks to it."""

    def __init__(self, folder):
        self.node = ["bash", str(ROOT / "tests" / "slurm" / "one_node.sh")]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_", "LAWA_"))}
        self.environment = clean | {"LAWA_SLURM_FOLDER": folder, "LAWA_PYTHON": sys.executable}

    def start(self):
        started = subprocess.run([*self.node, "start"], text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self.environment)
        if started.returncode != 0:
            pytest.skip(f"no Slurm on this machine: {started.stderr.strip()}")
        words = subprocess.run([*self.node, "env"], text=True, check=True, capture_output=True, env=self.environment).stdout.split()
        self.environment |= dict(word.split("=", 1) for word in words[1:])

    def stop(self):
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

    def start_again(self, number):
        """Waits until a job is queued again, and spares it the two minutes that Slurm would wait."""
        self.until(number, "PENDING")
        time.sleep(1.1)   # Slurm tells starts apart by the second
        self.run("/", "scontrol", "update", f"jobid={number}", "StartTime=now")


def output(folder):
    """What the jobs of a folder have printed."""
    return "".join(path.read_text() for path in sorted(Path(folder).glob("*.out")))


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def slurm():
    slurm = Slurm(tempfile.mkdtemp(prefix="lawa_slurm_"))   # short: sockets lie there
    slurm.start()
    yield slurm
    slurm.stop()


@pytest.fixture
def tokens(tmp_path):
    """A folder with tokens/, to submit from."""
    words = [ROOT / "data" / "prepare.py", ROOT / "README.md", "--tokenizer", "bytes", "--validation-fraction", "0.2", "--output", "tokens"]
    subprocess.run([sys.executable, *words], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def project(tmp_path):
    """A copy of the project's scripts with a figure of its own; the program is the one that is built."""
    def figures(folder, names):
        return [name for name in names if name == "__pycache__" or (Path(folder) / name / "figure.toml").exists()]
    for folder in ("experiments", "analysis", "data", "slurm", "framework/setup"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=figures)
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "build").symlink_to(ROOT / "build")
    (tmp_path / "experiments" / "made_up").mkdir()
    (tmp_path / "experiments" / "made_up" / "figure.toml").write_text(FIGURE)
    (tmp_path / "analysis" / "made_up.py").write_text(DRAW)
    return tmp_path


def test_a_run_as_it_stands_then_averages_then_losses(slurm, tokens):
    def job(script, *words):
        slurm.run(tokens, "sbatch", "--wait", ROOT / "slurm" / script, *words, LAWA_ROOT=str(ROOT))
    job("gpt2_large_lawa.sh", *TINY)
    lines = [json.loads(line) for line in (tokens / "runs" / "gpt2_large_lawa" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "evaluate"] == [10, 20]
    assert f"on {len(os.sched_getaffinity(0))} ranks" in output(tokens)   # one on each core of the node
    job("average.sh", "runs/gpt2_large_lawa", "destination=mean", "averaging.window=2")
    job("evaluate.sh", "mean")
    found = next(tokens.glob("evaluate-*.out")).read_text()
    assert '"file":"mean/step_00000020.weights.h5","step":20,"loss":' in found


def test_missing_data_is_named_with_the_command_that_makes_it(slurm, tmp_path):
    words = [ROOT / "slurm" / "gpt2_small_lawa.sh", *TINY, "data.train=text/train.bin"]
    slurm.run(tmp_path, "sbatch", "--wait", *words, code=1, LAWA_ROOT=str(ROOT))
    assert "data.train: there is no text/train.bin; make it" in output(tmp_path)
    assert "python3 data/prepare.py --source openwebtext --tokenizer gpt2 --output text\n" in output(tmp_path)
    assert "srun" not in output(tmp_path) and not (tmp_path / "runs").exists()


def submitted(printed):
    """(array, drawing job) that experiment.sh has submitted."""
    words = printed.replace(";", "").replace(",", "").split()
    return [words[i + 1] for i, word in enumerate(words) if word in ("array", "job") and words[i + 1].isdigit()][:2]


def test_a_figure_is_submitted_by_a_job_and_ends_in_its_picture(slurm, project):
    slurm.run(project, "sbatch", "--wait", "slurm/experiment.sh", "made_up", "smoke", "--time=10", LAWA_TASKS="1")
    array, draw = submitted(next(project.glob("experiment-*.out")).read_text())
    assert slurm.until(draw, "COMPLETED")["Dependency"] == "(null)"
    assert len(list(project.glob(f"made_up-{array}_*.out"))) == 2
    assert (project / "runs" / "smoke" / "made_up" / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_failed_task_is_named_and_can_be_submitted_alone(slurm, project):
    figure = project / "experiments" / "made_up" / "figure.toml"
    figure.write_text(FIGURE.replace('label = "high"', 'label = "high", model.heads = 3'))   # 32 channels
    printed = slurm.run(project, "bash", "slurm/experiment.sh", "made_up", "smoke")
    array, draw = submitted(printed)
    assert slurm.until(draw, "FAILED")["ExitCode"] == "1:0" and slurm.job(f"{array}_2")["JobState"] == "FAILED"
    said = (project / f"made_up_draw-{draw}.out").read_text()
    assert "1 of 2 runs are missing" in said and "place 2: made_up seed=1 high: exit code 1: lawa: error" in said
    alone = printed.partition("one of them alone: ")[2].strip()
    assert alone in said and not (project / "runs" / "smoke" / "made_up").exists()
    figure.write_text(FIGURE)
    slurm.run(project, *alone.replace("PLACE", "2").replace("sbatch ", "sbatch --wait ").split())
    slurm.run(project, sys.executable, "experiments/run.py", "made_up", "--scale", "smoke", "--draw")
    assert (project / "runs" / "smoke" / "made_up" / "figure.png").exists()


# ---- asked to stop ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stand_in(project):
    """The project with STAND_IN in place of the program; and a job of it."""
    (project / "build").unlink()
    program = project / "build" / "cpu" / "bin" / "lawa"
    program.parent.mkdir(parents=True)
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return project


def submit(slurm, folder, *words, **variables):
    return slurm.run(folder, "sbatch", "--parsable", "--ntasks=1", *words, **variables).strip()


def asked_to_stop(slurm, folder, number):
    """The batch shell of a job gets the signal that Slurm sends before the time is over."""
    wait_for((folder / "begun").exists)
    (folder / "begun").unlink()
    slurm.run(folder, "scancel", "--batch", "--signal=USR1", number)


def test_a_stopped_job_is_queued_again_and_goes_on(slurm, stand_in):
    number = submit(slurm, stand_in, "slurm/average.sh")
    asked_to_stop(slurm, stand_in, number)
    (stand_in / "done").touch()
    slurm.start_again(number)
    assert slurm.until(number, "COMPLETED")["Restarts"] == "1"
    said = output(stand_in)
    assert said.count("begins") == 2 and "saved" in said and "queued again (1 of at most 20 times)" in said


def test_a_job_is_preempted_and_goes_on(slurm, stand_in):
    number = submit(slurm, stand_in, "--exclusive", "slurm/average.sh")
    wait_for((stand_in / "begun").exists)
    (stand_in / "done").touch()
    slurm.run(stand_in, "sbatch", "--wait", "--partition=urgent", "--exclusive", "--output=urgent.txt", "--wrap=true")
    slurm.start_again(number)
    assert slurm.until(number, "COMPLETED")["Restarts"] == "1" and output(stand_in).count("saved") == 1


@pytest.mark.skipif(not os.environ.get("LAWA_FULL"), reason="takes more than a minute; LAWA_FULL=1 runs it")
def test_slurm_asks_before_the_time_is_over(slurm, stand_in):
    number = submit(slurm, stand_in, "--time=3", "slurm/average.sh")
    slurm.until(number, "RUNNING")
    assert slurm.until(number, "PENDING", 120)["Restarts"] == "1" and "asked to stop" in output(stand_in)
    slurm.run(stand_in, "scancel", number)


def test_a_job_that_was_stopped_too_often_ends_with_lawa_s_code(slurm, stand_in):
    number = submit(slurm, stand_in, "slurm/average.sh", LAWA_REQUEUES="0")
    asked_to_stop(slurm, stand_in, number)
    assert slurm.until(number, "FAILED")["ExitCode"] == "4:0"
    assert "not queued again after 0 times (LAWA_REQUEUES)" in output(stand_in)


def test_a_cancelled_job_stays_cancelled(slurm, stand_in):
    number = submit(slurm, stand_in, "slurm/average.sh")
    wait_for((stand_in / "begun").exists)
    slurm.run(stand_in, "scancel", number)
    slurm.until(number, "CANCELLED")
    time.sleep(1)
    assert slurm.job(number)["JobState"] == "CANCELLED" and "queued again" not in output(stand_in)


def test_a_figure_s_task_passes_the_request_on(slurm, stand_in):
    slurm.run(stand_in, sys.executable, "experiments/run.py", "made_up", "--scale", "smoke", "--array")   # its text
    number = submit(slurm, stand_in, "--array=1", "slurm/experiment_task.sh", "made_up", "smoke", "2")
    asked_to_stop(slurm, stand_in, f"{number}_1")
    slurm.until(f"{number}_1", "PENDING")
    slurm.run(stand_in, "scancel", number)
    assert "asked to stop; run it again to go on" in output(stand_in) and "queued again (1 of" in output(stand_in)
    assert not list((stand_in / "runs" / "smoke" / "runs").glob("*/failure.txt"))


def knows_how_to_stop():
    """Whether the program has the exit code 4."""
    return PROGRAM.exists() and re.search(r"\b4\b", subprocess.run([PROGRAM, "--help"], text=True, capture_output=True).stdout)


stops = pytest.mark.skipif(not knows_how_to_stop(), reason=f"{PROGRAM.name} does not end with 4 on a signal yet")


@stops
def test_training_stopped_and_queued_again_ends_in_the_same_weights(slurm, tokens):
    words = [ROOT / "slurm" / "gpt2_small_lawa.sh", *TINY, "schedule.steps=3000", "checkpoint.steps=0", "checkpoint.state_steps=0"]
    number = submit(slurm, tokens, *words, "run.directory=stopped", LAWA_ROOT=str(ROOT))
    metrics = tokens / "stopped" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") > 50)
    slurm.run(tokens, "scancel", "--batch", "--signal=USR1", number)
    slurm.start_again(number)
    assert slurm.until(number, "COMPLETED")["Restarts"] == "1"
    slurm.run(tokens, "sbatch", "--wait", "--ntasks=1", *words, "run.directory=whole", LAWA_ROOT=str(ROOT))
    files = [tokens / run / "checkpoints" / "step_00003000.weights.h5" for run in ("stopped", "whole")]
    digests = [json.loads(slurm.run(tokens, PROGRAM, "inspect", file))["digest"] for file in files]
    assert digests[0] == digests[1]


@stops
def test_a_figure_s_task_stopped_and_queued_again_ends(slurm, project):
    text = FIGURE.replace("steps = 20", "steps = 3000")
    (project / "experiments" / "made_up" / "figure.toml").write_text(text)
    slurm.run(project, sys.executable, "experiments/run.py", "made_up", "--scale", "smoke", "--array")
    number = submit(slurm, project, "--array=1", "slurm/experiment_task.sh", "made_up", "smoke", "2")
    logs = project / "runs" / "smoke" / "runs"
    wait_for(lambda: any("/3000 " in path.read_text() for path in logs.glob("*/log.txt")))
    slurm.run(project, "scancel", "--batch", "--signal=USR1", f"{number}_1")
    slurm.start_again(f"{number}_1")
    assert slurm.until(f"{number}_1", "COMPLETED")["Restarts"] == "1"
    assert len(list((project / "runs" / "smoke" / "records").glob("*.json"))) == 1
