"""experiments/run.py as a program: a made-up figure from a TOML and a draw function alone; kills; states; arrays; failures."""
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from a_figure import FIGURE
from a_project import Project, processes_with


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project whose figure has been made in out/."""
    project = Project(tmp_path_factory.mktemp("driver"))
    project.printed = project.run().stdout
    return project


def keys(project, *words):
    """[(place, key, state)] of the table."""
    lines = project.run("--dry-run", *words).stdout.splitlines()[1:-1]
    return [(int(line.split()[0]), line.split()[1], line) for line in lines]


def test_a_figure_is_a_toml_and_a_draw_function(made):
    assert made.file("figure.png").read_bytes().startswith(b"\x89PNG") and made.file("figure.pdf").read_bytes().startswith(b"%PDF")
    verdicts = json.loads(made.file("verdicts.json").read_text())
    assert [verdict["claim"] for verdict in verdicts] == ["below"] and verdicts[0]["n"] == 2 and verdicts[0]["text"] in made.printed
    rows = made.file("data.csv").read_text().splitlines()
    assert rows[0].startswith("seed,rate,peak_lr,steps,average,model,scheme,window,stride,mean_age,blend,step,trained_tokens,loss,")
    assert len(rows) == 1 + 4 * (4 + 4)   # four runs; plain and LAWA at 10, 20, 30, 40
    facts = json.loads(made.file("provenance.json").read_text())
    assert len(facts["runs"]) == 4 and facts["missing"] == [] and str(made.root) not in made.file("provenance.json").read_text()
    assert not list(made.root.rglob("*.part")) and not list((made.root / "out").rglob("*.weights.h5"))


def test_again_nothing_runs_and_nothing_changes(made):
    before = {path: path.read_bytes() for path in made.file("").iterdir()}
    text = made.run("--dry-run").stdout
    assert text.count("complete: made by") == 4 and "; 0 to run" in text
    assert "runs:" not in made.run().stderr
    assert {path: path.read_bytes() for path in made.file("").iterdir()} == before


def test_redrawing_from_the_table_gives_the_same_bytes(made):
    folder, names = made.file(""), ("figure.png", "figure.pdf", "verdicts.json")
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    subprocess.run([sys.executable, made.root / "analysis" / "run.py", "made_up", "--from", folder], check=True, capture_output=True)
    assert {name: (folder / name).read_bytes() for name in names} == before


def test_a_run_is_made_again_only_when_asked(made):
    key = keys(made)[1][1]
    assert "asked for with --again" in made.run("--dry-run", "--again", key).stdout
    before, log = made.file("data.csv").read_bytes(), made.root / "out" / "smoke" / "runs" / key / "log.txt"
    trained = log.stat().st_mtime_ns
    failing = subprocess.run(made.command("--again", key), text=True, capture_output=True, env=made.environment(made.root / "out") | {"LAWA_LAUNCH": "false"})
    assert failing.returncode == 1 and "failed" in made.run("--dry-run").stdout   # the wish stays
    assert "1 of 1 done" in made.run().stderr and log.stat().st_mtime_ns > trained
    assert made.file("data.csv").read_bytes() == before
    assert "no run of the table has this key" in made.run("--again", "nokey", code=1).stderr


def test_more_to_record_makes_a_run_again_and_says_why(made):
    shutil.copytree(made.root / "out", made.root / "more", dirs_exist_ok=True)
    made.write(FIGURE.replace("window = 3", "window = [3, 4]").replace('this = "lawa"', 'this = { average = "lawa", window = 3 }'))
    try:
        result = subprocess.run(made.command("--dry-run"), text=True, capture_output=True, env=made.environment(made.root / "more"))
        assert result.stdout.count("pending: recorded without lawa(k=4,nu=2)") == 4
    finally:
        made.write(FIGURE)


def test_job_arrays_share_the_work_out_and_a_later_call_draws(made):
    assert made.run("--array", out="array").stdout.split() == ["4", "1"]   # places, ranks of a run
    for part in (1, 2, 3):
        made.run("--only", f"{part}/3", out="array")
        missing = 4 - len(list((made.root / "array" / "smoke" / "records").glob("*.json")))
        assert missing == {1: 2, 2: 1, 3: 0}[part] and not made.file("", "array").exists()
        if part == 1:
            result = made.run("--draw", out="array", code=1)
            assert "2 of 4 runs are missing: made_up seed=1 high" in result.stderr
            made.run("--draw", "--partial", out="array", code=1)
            assert json.loads(made.file("provenance.json", "array").read_text())["missing"] != []
            shutil.rmtree(made.file("", "array"))
    made.run("--draw", out="array")
    assert made.file("data.csv", "array").read_bytes() == made.file("data.csv").read_bytes()


def test_two_drivers_share_the_work(made):
    """Started at once on one folder: each run is trained once, and both end in the same table."""
    both = [subprocess.Popen(made.command(), env=made.environment(made.root / "both"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)]
    ends = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert made.file("data.csv", "both").read_bytes() == made.file("data.csv").read_bytes()
    logs = list((made.root / "both" / "smoke" / "runs").glob("*/log.txt"))
    assert len(logs) == 4 and all(log.read_text(errors="replace").count("GPT-2, ") == 1 for log in logs)


def test_a_folder_that_was_moved_goes_on_where_it_lies(made):
    made.run("--only", "1/4", out="moved")
    with subprocess.Popen(made.command(), env=made.environment(made.root / "moved"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(1.2)
        process.kill()
    while processes_with(made.root / "moved"):
        time.sleep(0.1)
    (made.root / "moved").rename(made.root / "elsewhere")
    made.run(out="elsewhere")
    assert made.file("data.csv", "elsewhere").read_bytes() == made.file("data.csv").read_bytes()
    assert not (made.root / "moved").exists()


def test_publishing_keeps_every_record_and_they_count_elsewhere(made):
    made.run("--publish")
    published = made.root / "paper_figures"
    assert len(list((published / "runs").glob("*.json"))) == 4 and "made_up" in (published / "README.md").read_text()
    assert "runs:" not in made.run(out="fresh_machine").stderr   # nothing is trained
    assert made.file("data.csv", "fresh_machine").read_bytes() == made.file("data.csv").read_bytes()
    assert made.run("--fresh", "--dry-run", out="another").stdout.count("pending: not run yet") == 4
    shutil.rmtree(published)


BRANCHES = FIGURE.replace("[axes.rate]", '''[axes.phase]
trunk = { }
late = { start = { run = { phase = "trunk" }, at = "75%" }, schedule.kind = "wsd", schedule.decay_steps = "25%" }
again = { start = { run = { phase = "trunk" }, average = "lawa" }, schedule.steps = "50%" }
[axes.rate]''').replace('stride = "5%"', 'stride = "5%"\nsave = true').replace('where = { rate', 'where = { phase = "trunk", rate')


def test_branches_begin_from_their_parents_and_end_with_a_diverged_one(made):
    made.write(BRANCHES)
    try:
        made.run(out="branches")
        assert not list((made.root / "branches").rglob("*.h5"))
        made.write(BRANCHES.replace("schedule.peak_lr = 4e-2", "schedule.peak_lr = 1e30, optimizer.clip_norm = 0.0"))
        result = made.run(out="branches", code=1)
        assert result.stderr.count("diverged after step") == 2 and result.stderr.count("has diverged") == 4
        again = made.run(out="branches")   # they are outcomes: nothing is trained again
        assert "runs:" not in again.stderr and len(json.loads(made.file("provenance.json", "branches").read_text())["diverged"]) == 6
    finally:
        made.write(FIGURE)


def test_a_launcher_that_is_none_is_named(made):
    result = subprocess.run(made.command(), text=True, capture_output=True, timeout=60,
                            env=made.environment(made.root / "launcher") | {"LAWA_LAUNCH": "srun -n {n}"})
    assert result.returncode == 1 and "LAWA_LAUNCH='srun -n {n}': expected words with {ranks}" in result.stderr


def test_an_interrupted_driver_has_its_runs_save(made):
    log = lambda: "".join(path.read_text() for path in made.root.glob("interrupted/smoke/runs/*/log.txt"))   # noqa: E731
    process = subprocess.Popen(made.command(), env=made.environment(made.root / "interrupted"), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    while process.poll() is None and " tokens/s" not in log():   # until one is training
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and error.endswith("experiments: stopped; run it again to go on\n") and "Traceback" not in error
    assert "stopped by SIGUSR1 at step" in log() or "done: " in log()
    again = subprocess.run(made.command("--dry-run"), text=True, capture_output=True, env=made.environment(made.root / "interrupted")).stdout
    assert "failed" not in again and "running" not in again
    made.run(out="interrupted")
    assert made.file("data.csv", "interrupted").read_bytes() == made.file("data.csv").read_bytes()


def test_a_run_that_diverges_or_fails_does_not_stop_the_others(made):
    text = FIGURE.replace("high = { label = \"high\", schedule.peak_lr = 4e-2 }",
                          "high = { label = \"high\", schedule.peak_lr = 1e30, optimizer.clip_norm = 0.0 }\n"
                          "wrong = { label = \"wrong\", model.heads = 3 }")
    made.write(text)
    try:
        result = made.run(out="bad", code=1)
        assert result.stderr.count("diverged after step") == 2 and result.stderr.count("exit code 1: lawa: error") == 2
        assert "model.heads" in result.stderr or "heads" in result.stderr
        again = subprocess.run(made.command("--dry-run"), text=True, capture_output=True, env=made.environment(made.root / "bad")).stdout
        assert again.count("  diverged: at step") == 2 and again.count("  failed: exit code 1") == 2 and again.count("complete: ") == 2
        made.write(text.replace("wrong = { label = \"wrong\", model.heads = 3 }", ""))
        made.run(out="bad")   # diverged runs are outcomes: the figure is whole
        assert len(json.loads(made.file("provenance.json", "bad").read_text())["diverged"]) == 2
    finally:
        made.write(FIGURE)


def test_a_text_that_takes_hours_is_named_with_its_command(made):
    made.write(FIGURE.replace('{ files = ["README.md"], tokenizer = "bytes", validation_fraction = 0.2 }',
                              '{ source = "openwebtext", tokenizer = "gpt2" }'))
    try:
        error = made.run(out="hours", code=1).stderr
        assert "data/prepare.py --source openwebtext --tokenizer gpt2" in error and "LAWA_TEXT=FOLDER" in error
    finally:
        made.write(FIGURE)


@pytest.mark.parametrize("words, message", [
    (["--only", "3"], "expected I/N"), (["--only", "5/4"], "5 is not between 1 and 4"), (["--all"], "name figures, or --all"),
    (["--scale", "huge"], "invalid choice"), (["no_such_figure"], "there is no experiments/no_such_figure"),
])
def test_mistakes_are_named(made, words, message):
    result = subprocess.run([*made.command(), *words], text=True, capture_output=True, env=made.environment(made.root / "none"))
    assert result.returncode != 0 and message in result.stderr and "Traceback" not in result.stderr
