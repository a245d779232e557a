"""Commands that are asked to stop: at any moment, on one rank or all, they lose nothing, leave nothing behind, and end with 4."""
import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors_file
from runner import TINY, Result, digests, end, lawa, metrics, numbers, session, snapshot, start, succeed

FULL = os.environ.get("LAWA_FULL") == "1"
SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
TRAIN = ["train", TINY, "settings.toml", "evaluate.steps=5", "averages=[{window=2, stride=5, save=true}, {scheme='ema', beta=0.9}]"]


def status(pid, key):
    """What the system says about a process."""
    return re.search(rf"{key}:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())[1]


def ranks_of(process):
    """The processes of lawa: mpirun's children, or the process itself."""
    everyone = session(process.pid)
    return [one for one in everyone if one != process.pid] or everyone


def send(draw, process, ranks):
    """One of the three signals to all ranks or to one of them, or SIGUSR1 to mpirun, which passes it on."""
    if ranks and draw.random() < 0.3:
        return process.send_signal(signal.SIGUSR1)
    members = ranks_of(process)
    chosen = draw.choice([members, *[[one] for one in members]])
    number = draw.choice(SIGNALS)
    for one in chosen:
        os.kill(one, number)


def stopped(words, ready, send_to, ranks=2):
    """Starts `lawa words…`, and as soon as ready(process), send_to(process). Returns how it ended."""
    process = start(*words, ranks=ranks)
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and not ready(process):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        if process.poll() is None:
            send_to(process)
        out, err = process.communicate(timeout=60)
    finally:
        end(process)
    return Result(process.returncode, out, err, 0)


def lines(run):
    path = Path(run, "metrics.jsonl")
    return [line for line in path.read_text().splitlines() if line] if path.exists() else []


def last_step(run):
    return max((line["step"] for line in metrics(run) if line["kind"] == "train"), default=0)


def record(run, step):
    return json.loads(Path(run, f"checkpoints/step_{step:08d}.json").read_text())


def check_stopped(result, run):
    """It has said so in every way that it says it, and lost no step."""
    assert result.code == 4 and not result.errors, result.err
    line = metrics(run)[-1]
    assert line["kind"] == "stopped" and 0 <= line["seconds_to_durable"] < 10
    assert result.err.count(f"lawa: stopped by {line['signal']} at step {line['step']}: saved; the same command goes on\n") == 1
    assert line["step"] == last_step(run) and "state" in record(run, line["step"])
    assert not list(Path(run).rglob("*.part"))
    return line


def evaluations(run):
    return [(line.get("evaluated_at", line["step"]), line["model"]) for line in metrics(run) if line["kind"] == "evaluate"]


def check_same(run, whole):
    assert numbers(run) == numbers(whole) and evaluations(run) == evaluations(whole)
    for folder in ("checkpoints", "averages"):
        assert digests(f"{run}/{folder}") == digests(f"{whole}/{folder}")
    assert {path.name for path in Path(run).rglob("*.h5")} == {path.name for path in Path(whole).rglob("*.h5")}   # nothing temporary


def later(draw, run, most):
    """ready() of stopped(): some lines of metrics after the process has begun."""
    fewest, wait = len(lines(run)), draw.randrange(1, 2 + most)

    def ready(_):
        nonlocal fewest
        fewest = min(fewest, now := len(lines(run)))   # a run that goes on may cut some
        return now >= fewest + wait
    return ready


@pytest.mark.parametrize("ranks, trials", [(2, 14 if FULL else 3), (None, 8 if FULL else 2)], ids=["mpirun", "alone"])
def test_a_run_that_is_stopped_at_any_moment_ends_as_if_it_had_not_been(place, ranks, trials):
    draw, times = random.Random(int(os.environ.get("LAWA_SEED", "3"))), 0
    assert stopped([*TRAIN, "run.directory=whole"], lambda _: False, None, ranks).code == 0
    words = [*TRAIN, "run.directory=stopped"]

    def after_a_moment(process):
        time.sleep(draw.uniform(0, 0.02))
        send(draw, process, ranks)

    while times < trials:
        result = stopped(words, later(draw, "stopped", len(lines("whole")) // trials), after_a_moment, ranks)
        if result.code == 0:   # it was about to end: another one
            check_same("stopped", "whole")
            shutil.rmtree("stopped")
            continue
        check_stopped(result, "stopped")
        times += 1
    assert stopped(words, lambda _: False, None, ranks).code == 0
    check_same("stopped", "whole")


def test_a_run_that_has_not_begun_leaves_everything_as_it_is(place):
    """Nothing tells when it has read its tokens: it stops before or behind its first step."""
    before = snapshot()
    result = stopped([*TRAIN, "run.directory=new"], lambda process: int(status(process.pid, "SigCgt"), 16) & 2,
                     lambda process: process.send_signal(signal.SIGINT), ranks=None)
    if "at step" in result.err:
        assert check_stopped(result, "new")["step"] == 1
    else:
        assert result.code == 4 and result.err == "lawa: stopped by SIGINT before the first step; the same command goes on\n"
        assert snapshot() == before


def test_an_evaluation_that_is_abandoned_is_made_up_for(place):
    """Also that of the last step; and where it is abandoned again."""
    validation = ["data/train.bin"] * 4   # so that there is a moment in the middle
    long = [*TRAIN, f"data.validation={validation}", "schedule.steps=10", "checkpoint.state_steps=10"]
    succeed(*long, "run.directory=whole", ranks=2)

    def begun(step, model=0):
        """The evaluation of this step is under way, and has written `model` of its lines."""
        def ready(_):
            found = [json.loads(line) for line in lines("left") if line.endswith("}")]
            at = [line["kind"] for line in found if line.get("evaluated_at", line["step"]) == step]
            return at.count("train") == 1 and at.count("evaluate") == model and at[-1] in ("train", "evaluate", "resume")
        return ready

    for step, model, rank in ((5, 1, 0), (5, 0, 1), (10, 2, 1), (10, 1, 0)):
        line = check_stopped(stopped([*long, "run.directory=left"], begun(step, model),
                                     lambda process: os.kill(ranks_of(process)[rank], signal.SIGTERM)), "left")
        assert line["step"] == step and record("left", step)["evaluation"] == "missing"
    succeed(*long, "run.directory=left", ranks=2)
    assert "evaluation" not in record("left", 10)
    assert numbers("left") == numbers("whole") and digests("left") == digests("whole")
    assert "complete" in succeed(*long, "run.directory=left", ranks=2).err


def test_a_checkpoint_that_is_there_is_not_made_again(place):
    """Every step saves its state, so that most signals come while it does."""
    words = ["train", TINY, "settings.toml", "run.directory=saving", "evaluate.steps=0", "checkpoint.steps=1", "checkpoint.state_steps=1"]
    saving = lambda _: list(Path("saving").rglob("*.part")) and len(lines("saving")) > before + 5   # noqa: E731
    for _ in range(6 if FULL else 2):
        before = len(lines("saving"))
        line = check_stopped(stopped(words, saving, lambda process: process.send_signal(signal.SIGUSR1)), "saving")
        assert "temporary" not in record("saving", line["step"])
    steps = [line["step"] for line in metrics("saving") if line["kind"] == "checkpoint"]
    assert steps == list(range(1, line["step"] + 1))


def test_one_interrupt_stops_and_a_second_one_ends(place):
    slow = ["train", TINY, "settings.toml", "run.directory=slow", "model.channels=256", "model.layers=6", "batch.global_sequences=256"]

    def interrupt_twice(process):
        process.send_signal(signal.SIGINT)
        while int(status(process.pid, "SigCgt"), 16) & 2:   # signal 2 is caught
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)

    result = stopped(slow, lambda _: lines("slow"), interrupt_twice, ranks=None)
    assert result.code == -signal.SIGINT and result.out == "" and "stopped" not in result.err
    assert [line["kind"] for line in metrics("slow")] == ["train"]


@pytest.mark.skipif(not FULL, reason="waits for mpirun")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_mpirun_itself_lets_its_ranks_save(place, number):
    """It waits two seconds, sends SIGTERM, waits two seconds more, and ends with 1 whatever they end with."""
    words = ["train", TINY, "settings.toml", "run.directory=asked", "schedule.steps=1000000", "evaluate.steps=0"]
    process = start(*words, ranks=2, OMPI_MCA_odls_base_sigkill_timeout="2")
    try:
        while process.poll() is None and not lines("asked"):
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(timeout=30) == 1
    finally:
        end(process)
    assert metrics("asked")[-1]["kind"] == "stopped" and metrics("asked")[-1]["signal"] == "SIGTERM"


def test_a_run_stops_before_its_time_is_over(place):
    words = ["train", TINY, "settings.toml", "run.directory=timed", "schedule.steps=100000", "evaluate.steps=0"]
    result = lawa(*words, "run.wall_seconds=4", ranks=2)
    line = check_stopped(result, "timed")
    assert line["signal"] == "run.wall_seconds" and line["step"] > 3 and 2 < result.seconds < 7
    for more in (1, 2):   # there is always some progress
        assert check_stopped(lawa(*words, "run.wall_seconds=0.1", ranks=2), "timed")["step"] == line["step"] + more


@pytest.mark.parametrize("words, total", [([], 12), (["averaging.window=[1,2]"], 23)], ids=["files", "averages"])
@pytest.mark.parametrize("ranks", [None, 2])
def test_an_evaluation_of_files_says_how_many_it_has_made(place, words, total, ranks):
    draw = random.Random(total)
    words = ["evaluate", "run", *words, "data.validation=data/train.bin"]
    whole = lawa(*words, ranks=2).objects if ranks else None
    for _ in range(2 if FULL else 1):
        count = draw.randrange(1, total // 2)
        head = []

        def some_lines(process):
            head.append(process.stdout.readline())
            return len(head) >= count

        result = stopped(words, some_lines, lambda process: send(draw, process, ranks), ranks)
        made = [json.loads(line) for line in "".join(head).splitlines()] + result.objects
        assert result.code == 4 and not result.errors and count <= len(made) < total
        assert re.search(rf"lawa: stopped by SIG\w+: {len(made)} of {total} are evaluated\n", result.err)
        if whole:
            assert [line["loss"] for line in made] == [line["loss"] for line in whole[:len(made)]]


@pytest.mark.parametrize("ranks", [None, 2])
def test_averages_that_are_not_finished_leave_nothing(tmp_path, monkeypatch, ranks):
    monkeypatch.chdir(tmp_path)
    draw, numpy = random.Random(9), np.random.default_rng(9)
    for step in range(1, 7):
        safetensors_file.write(Path(f"m-{step}.safetensors"), {"w": ("F32", numpy.random((2048, 2048), dtype=np.float32))})
    files = [f"m-{step}.safetensors" for step in range(1, 7)]
    first = succeed("average", *files, "destination=new", "averaging.window=2", "averaging.at=3", ranks=2).objects
    words = ["average", *files, "destination=new", "averaging.window=2", "averaging.skip_existing=true"]
    for _ in range(4 if FULL else 1):
        result = stopped(words, lambda _: list(Path("new").glob("*.part")), lambda process: send(draw, process, ranks), ranks)
        assert result.code == 4 and not result.errors, result.err
        assert re.search(r"lawa: stopped by SIG\w+: of 5 averages 1 were there before and 0 are written, of the others nothing is kept", result.err)
        assert [path.name for path in Path("new").iterdir()] == ["step_00000003.safetensors"]
    made = {line["step"]: line["digest"] for line in succeed(*words, ranks=2).objects}
    assert len(made) == 5 and made[3] == first[0]["digest"]
