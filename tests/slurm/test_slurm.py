"""slurm/ on a real Slurm of one node, which the tests start and end themselves: runs, figures, failures, preemption."""
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster import ROOT, TINY, output, wait_for

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


full = pytest.mark.skipif(os.environ.get("LAWA_FULL") != "1", reason="takes more than a minute; LAWA_FULL=1 runs it")


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


@pytest.mark.parametrize("figure, runs", [("made_up", 2), pytest.param("fig3_stride", 4, marks=full)])
def test_a_figure_is_submitted_by_a_job_and_ends_in_its_picture(slurm, project, figure, runs):
    if figure != "made_up":
        shutil.copytree(ROOT / "experiments" / figure, project / "experiments" / figure)
    slurm.run(project, "sbatch", "--wait", "slurm/experiment.sh", figure, "smoke", "--time=10", LAWA_TASKS="1")
    array, draw = submitted(next(project.glob("experiment-*.out")).read_text())
    assert slurm.until(draw, "COMPLETED", 300)["Dependency"] == "(null)"
    assert len(list(project.glob(f"{figure}-{array}_*.out"))) == runs
    assert (project / "runs" / "smoke" / figure / "figure.png").read_bytes().startswith(b"\x89PNG")


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
