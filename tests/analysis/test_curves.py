"""Any run's curves: what is read from metrics.jsonl, drawn, written, watched, and what is said where that can't be."""
import csv
import io
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import curves
import events
import metrics
import numpy as np
import picture
import pytest
import screen

PROGRAM = Path(curves.__file__)
LAWA, EMA = "lawa(k=5,nu=10)", "ema(beta=0.9,nu=1)"


def lines(steps=100, shift=0.0, averages=(LAWA, EMA), first=1):
    """A run's lines: training loss 5 - step/50, plain 0.1 above it, each average 0.1 below the one before from step 50 on."""
    for step in range(first, steps + 1):
        loss = 5 - step / 50 + shift
        yield {"kind": "train", "step": step, "loss": loss, "lr": 1e-3 * step, "grad_norm": 1.5, "trained_tokens": 64 * step,
               "seconds": 0.1, "tokens_per_second": 640.0}
        if step % 10 == 0:
            for i, model in enumerate(("plain", *averages)):
                if i == 0 or step >= 50:
                    yield {"kind": "evaluate", "step": step, "model": model, "loss": loss + 0.1 - 0.1 * i, "trained_tokens": 64 * step}


def make_run(folder, objects, tail=""):
    folder.mkdir(exist_ok=True)
    (folder / "new").write_text("".join(json.dumps(line) + "\n" for line in objects) + tail)
    (folder / "new").replace(folder / "metrics.jsonl")   # whole for those who watch it
    return folder


def made_run(tmp_path, name="made", **options):
    return metrics.read(make_run(tmp_path / name, lines(**options)), name)


def run_program(*arguments, options=(), cwd=None):
    return subprocess.run([sys.executable, *options, PROGRAM, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=60)


def test_reads_every_curve(tmp_path):
    run = made_run(tmp_path)
    assert list(run.validation) == ["plain", LAWA, EMA]
    assert run.training["step"].tolist() == list(range(1, 101))
    assert run.training["loss"][[0, 99]] == pytest.approx([4.98, 3.0]) and run.training["lr"][99] == pytest.approx(0.1)
    assert run.training["grad_norm"][3] == 1.5 and run.training["tokens_per_second"][3] == 640
    assert run.validation[EMA]["step"].tolist() == [50, 60, 70, 80, 90, 100]
    assert run.validation[EMA]["loss"][-1] == pytest.approx(2.9)
    assert run.validation["plain"]["trained_tokens"].tolist() == [640 * i for i in range(1, 11)]
    assert run.best_average() == EMA and run.unreadable == () and not run.ended
    assert run.sentence() == f"made, step 100: training 3.0100, plain 3.1000, {EMA} 2.9000"


def test_reads_older_lines_and_those_of_resumes(tmp_path):
    old = [{("tokens" if key == "trained_tokens" else key): value for key, value in line.items()} for line in lines(steps=20)]
    again = [{"kind": "resume", "step": 15, "ranks": 2}, {**old[15], "loss": 7.0}, {"kind": "summary", "step": 20}]
    run = metrics.read(make_run(tmp_path / "old", old + again), "old")
    assert run.training["trained_tokens"][19] == 1280 and run.validation["plain"]["trained_tokens"].tolist() == [640, 1280]
    assert run.training["step"].tolist() == list(range(1, 21))   # a step that stands twice counts once,
    assert run.training["loss"][old[15]["step"] - 1] == 7.0      # as its later line says
    assert run.ended and list(run.validation) == ["plain"]


@pytest.mark.parametrize("kind, ended", [("summary", True), ("outcome", True), ("checkpoint", False), ("resume", False)])
def test_the_last_line_says_whether_the_run_has_ended(tmp_path, kind, ended):
    assert metrics.read(make_run(tmp_path / "run", [*lines(steps=10), {"kind": kind, "step": 10}]), "run").ended == ended


@pytest.mark.parametrize("tail, unreadable", [
    ('{"kind":"train","st', ()),                                # cut by a kill
    ('{"kind":"train","st\n', ()),
    ('{"kind":"tr\n{"kind":"checkpoint","step":10}\n', (12,)),  # cut, and the run went on behind it
    ('[1]\n"x"\n{"step":1}\n{"kind":"checkpoint"}\n', (12, 13, 14)),
    ('{"kind":"train","loss":1}\n{"kind":"evaluate","step":3}\n{"kind":"train","step":"x"}\n{"kind":"checkpoint"}\n', (12, 13, 14)),
])
def test_unreadable_lines_are_skipped_and_their_numbers_kept(tmp_path, tail, unreadable):
    run = metrics.read(make_run(tmp_path / "run", lines(steps=10), tail), "run")   # 11 lines
    assert run.unreadable == unreadable
    assert len(run.training["step"]) == 10 and len(run.validation["plain"]["step"]) == 1 and not run.ended


def test_a_loss_that_is_null_is_a_gap(tmp_path):
    broken = [{**line, "loss": None} if line["step"] > 60 else line for line in lines()]
    run = metrics.read(make_run(tmp_path / "diverged", broken), "diverged")
    assert np.isnan(run.training["loss"]).sum() == 40 and np.isnan(run.validation["plain"]["loss"][-1])
    assert run.best_average() == LAWA and "plain nan" in run.sentence()
    assert picture.lowest([run]) == f"Lowest validation loss 3.7000: {EMA}, step 60"
    picture.of_runs([run])
    picture.of_runs([metrics.read(make_run(tmp_path / "nothing", [{**line, "loss": None} for line in lines()]), "nothing")])


def test_smoothing_is_a_centred_mean_of_numbers():
    losses = np.random.default_rng(1).normal(size=1000)
    losses[[3, 500, 999]] = np.nan
    smoothed = metrics.smooth(losses)
    for i in (0, 9, 10, 57, 200, 500, 995, 999):
        half = min(10, i // 10)
        assert smoothed[i] == pytest.approx(np.nanmean(losses[max(i - half, 0):i + half + 1]))
    assert np.isnan(metrics.smooth(np.array([np.nan, 1.0]))[0])


def test_the_csv_has_every_point_exactly(tmp_path):
    run = made_run(tmp_path, shift=1 / 3)
    rows = list(csv.DictReader(io.StringIO(metrics.to_csv([run, made_run(tmp_path, "other")]))))
    assert list(rows[0]) == ["run", "step", "kind", "model", "loss", "trained_tokens"]
    assert len(rows) == 2 * (100 + 10 + 6 + 6) and {row["run"] for row in rows} == {"made", "other"}
    for kind, model, curve in (("train", "plain", run.training), ("validation", EMA, run.validation[EMA])):
        mine = [row for row in rows if (row["run"], row["kind"], row["model"]) == ("made", kind, model)]
        assert [float(row["loss"]) for row in mine] == curve["loss"].tolist()
        assert [(int(row["step"]), int(row["trained_tokens"])) for row in mine] == [(step, 64 * step) for step in curve["step"]]


def test_names_tell_folders_apart():
    assert curves.names([Path("/a/b/run"), Path("/a/c/other")]) == ["run", "other"]
    assert curves.names([Path("/a/b/run"), Path("/a/c/run"), Path("/a/c/other")]) == ["b/run", "c/run", "c/other"]


def drawn(axis):
    """(colour, line style, y values) of each line."""
    return [(line.get_color(), line.get_linestyle(), line.get_ydata()) for line in axis.get_lines()]


def test_the_picture_of_one_run(tmp_path):
    run = made_run(tmp_path, "with$dollar")
    figure = picture.of_runs([run])
    training, validation, rate = figure.axes
    assert figure.texts[0].get_text() == r"with\$dollar" and not figure.legends
    assert [line.get_ydata().tolist() for line in training.get_lines()] == [run.training["loss"].tolist(),
                                                                            metrics.smooth(run.training["loss"]).tolist()]
    assert rate.get_lines()[0].get_ydata().tolist() == run.training["lr"].tolist()
    assert [values.tolist() for _, _, values in drawn(validation)] == [run.validation[m]["loss"].tolist() for m in ("plain", LAWA, EMA)]
    assert len({colour for colour, _, _ in drawn(validation)}) == 3
    assert [text.get_text() for text in validation.get_legend().get_texts()] == ["plain  3.1000", f"{LAWA}  3.0000", f"{EMA}  2.9000"]
    low, high = validation.get_ylim()   # fitted to steps 20 to 100, with a little room
    assert 2.7 < low < 2.9 and 4.7 < high < 4.9


def test_of_many_averages_the_lowest_have_names(tmp_path):
    averages = tuple(f"lawa(k={k},nu=1)" for k in range(2, 42))   # each 0.1 below the one before
    validation = picture.of_runs([made_run(tmp_path, averages=averages)]).axes[1]
    names = [text.get_text() for text in validation.get_legend().get_texts()]
    assert names[0] == "plain  3.1000" and names[-1] == "the other averages" and len(names) == 11
    assert names[1].startswith("lawa(k=41,nu=1)") and names[9].startswith("lawa(k=33,nu=1)")
    assert len(validation.get_lines()) == 41


def test_the_picture_of_several_runs(tmp_path):
    runs = [made_run(tmp_path, "a", averages=(LAWA,)), made_run(tmp_path, "b", averages=(EMA, LAWA), shift=1.0)]
    figure = picture.of_runs(runs)
    training, validation, _ = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert [text.get_text() for text in validation.get_legend().get_texts()] == ["plain", LAWA, EMA]
    look = dict(zip([(run.name, model) for run in runs for model in run.validation], drawn(validation)))
    assert look["a", LAWA][0] == look["a", "plain"][0] != look["b", LAWA][0]             # a run, a colour, in both panels
    assert training.get_lines()[3].get_color() == look["b", EMA][0]
    assert look["a", LAWA][1] == look["b", LAWA][1] != look["b", EMA][1]                 # an average, a line style


@pytest.mark.parametrize("n", [1, 4, 7, 8, 40])
def test_any_number_of_looks_can_be_told_apart(n):
    assert len(set(picture.colours(n))) == len({picture.dashes(i) for i in range(n)}) == n


def test_files_repeat_byte_for_byte_and_replace_each_other(tmp_path):
    runs = [made_run(tmp_path, "a"), made_run(tmp_path, "b", shift=0.5)]
    files = []
    for folder in (tmp_path / "x", tmp_path / "y", tmp_path / "y"):
        assert curves.write(runs, folder) == folder / "curves.png"
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert files[0] == files[1] == files[2] and set(files[0]) == {"curves.png", "curves.pdf", "curves.csv"}
    assert files[0]["curves.png"].startswith(b"\x89PNG") and b"CreationDate" not in files[0]["curves.pdf"]


def test_a_drawing_that_fails_leaves_the_files_before_it(tmp_path, monkeypatch):
    curves.write([made_run(tmp_path)], tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr(curves.style, "save", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        curves.write([made_run(tmp_path, "other")], tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_the_command_draws_into_the_run_or_the_current_folder(tmp_path):
    one, two = (make_run(tmp_path / name, lines(), tail) for name, tail in (("one", "???\n{}\n"), ("two", '{"kind"')))
    done = run_program(one)
    assert done.returncode == 0 and (one / "curves.png").exists()
    assert done.stderr == f"curves: {one / 'metrics.jsonl'}:123: skipped, as it can't be read\n"
    (tmp_path / "here").mkdir()
    done = run_program(two, one, two, cwd=tmp_path / "here")
    assert done.returncode == 0 and {path.name for path in (tmp_path / "here").iterdir()} == {"curves.png", "curves.pdf", "curves.csv"}
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["two", "one", "curves.png"]
    assert not (two / "curves.png").exists()


@pytest.mark.parametrize("name, message", [
    ("empty --watch", "has no metrics.jsonl"),
    ("nowhere", "is not there; name a run's folder"),
    ("run/metrics.jsonl", "is a file; name a run's folder"),
    ("empty", "has no metrics.jsonl"),
    ("run", "run, step 9: training 4.8200; no evaluation yet"),
    ("whole", "File exists"),
])
def test_an_error_is_one_line(tmp_path, name, message):
    make_run(tmp_path / "run", lines(steps=9))
    make_run(tmp_path / "whole", lines(steps=10))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    name, *options = name.split()
    done = run_program(tmp_path / name, "--output", tmp_path / "file", *options)
    assert done.returncode == 1 and done.stdout == ""
    assert message in done.stderr and done.stderr.startswith("curves: ") and done.stderr.count("\n") == 1


def test_a_python_without_modules_is_named():
    done = run_program("run", options=("-E", "-S"))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"curves: {sys.executable} has no numpy; ") and "apt install" in done.stderr


@pytest.mark.parametrize("words", ["0", "-1", "nan", "inf", "run"])
def test_an_interval_is_a_number_of_seconds(words):
    with pytest.raises(curves.argparse.ArgumentTypeError, match=f"'{words}' is no number of seconds"):
        curves.interval(words)


class Watching:
    """The command with --watch as a process of its own, for a minute at most."""

    def __init__(self, *runs):
        self.process = subprocess.Popen([sys.executable, PROGRAM, *map(str, runs), "--watch", "0.05"], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.limit = threading.Timer(60, self.process.kill)
        self.limit.start()

    def line(self):
        return self.process.stdout.readline().rstrip()

    def end(self):
        output, errors = self.process.communicate()
        self.limit.cancel()
        return self.process.returncode, output, errors


def append(folder, *objects):
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in objects))


def test_watching_draws_what_is_added_until_the_run_ends(tmp_path):
    run = make_run(tmp_path / "run", lines(steps=5))
    watching = Watching(run)
    assert watching.line() == "run, step 5: training 4.9000" and not (run / "curves.png").exists()   # no evaluation to draw yet
    append(run, *lines(steps=10, first=6))
    assert watching.line() == "run, step 10: training 4.8000, plain 4.9000"
    before = (run / "curves.csv").read_text()
    make_run(run, lines(steps=8))      # a resume cuts what came after its checkpoint
    assert watching.line() == "run, step 8: training 4.8400"
    make_run(run, [*lines(steps=20), {"kind": "summary", "step": 20}])
    assert watching.end() == (0, "run, step 20: training 4.6000, plain 4.7000, ended\n", "")
    assert before.count("\n") == 12 and (run / "curves.csv").read_text().count("\n") == 23


def test_watching_ends_cleanly_by_ctrl_c(tmp_path):
    run = make_run(tmp_path / "run", lines())
    watching = Watching(run)
    watching.line()
    time.sleep(0.1)
    watching.process.send_signal(signal.SIGINT)
    assert watching.end() == (130, "", "")
    assert {path.name for path in run.iterdir()} == {"metrics.jsonl", "curves.png", "curves.pdf", "curves.csv"}


def test_curves_as_text(tmp_path):
    runs = [made_run(tmp_path, "a"), made_run(tmp_path, "b", shift=1.0, averages=())]
    shown = screen.picture(runs, 80, 12)
    assert len(shown) == 12 + 2 + 2 and max(map(len, shown)) == 79
    plot = [line[screen.MARGIN + 1:] for line in shown[:12]]
    assert [line[:screen.MARGIN].strip() for line in shown[:12]] == ["5.9000", *[""] * 10, "2.9000"]
    assert plot[0].strip() == "bbbbb" and plot[11].endswith("A")
    last = {row: line[-1] for row, line in enumerate(plot) if line[-1] != " "}
    assert last == {7: "b", 10: "a", 11: "A"}   # 4.1, 3.1, 2.9: eleven rows span 3.0
    assert not any("B" in line for line in plot) and shown[13].endswith("step 100")
    assert shown[14] == "a plain, A average | a, step 100: training 3.0100, plain 3.1000, ema(beta=0.9,nu=1) 2.9000"[:79]
    assert screen.picture([made_run(tmp_path, "c", steps=9)], 80, 12) == ["a plain, A average | c, step 9: training 4.8200"]
    assert [len(line) for line in screen.picture(runs, 8, 4)] == [7] * 8   # a terminal narrower than the losses


def test_text_is_refreshed_in_place_on_a_terminal(tmp_path, capsys, monkeypatch):
    run = made_run(tmp_path)
    monkeypatch.setattr(curves.shutil, "get_terminal_size", lambda: curves.os.terminal_size((60, 14)))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    rows = curves.show([run], 0)
    first = capsys.readouterr().out
    assert rows == first.count("\n") == 9 + 3 and first.startswith("\x1b[J")   # 14 rows less the cursor's and one spare
    assert curves.show([run], rows) == rows and capsys.readouterr().out == "\x1b[12F" + first
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert curves.show([run, run], rows) == 0 and capsys.readouterr().out == f"{run.sentence()}; {run.sentence()}\n"


def test_without_tensorboard_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("tensorboard.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ValueError, match="^--tensorboard needs the package tensorboard.*pip install tensorboard.*$"):
        events.Events(tmp_path)


def test_tensorboard_reads_what_its_writer_wrote(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs the package tensorboard")

    def scalars(model, tag):
        found = reading.EventAccumulator(str(tmp_path / "board" / "run" / model), size_guidance={"scalars": 0}).Reload()
        return [(event.step, event.value) for event in found.Scalars(tag)]

    for _ in range(2):   # a second command replaces what the first wrote
        board = events.Events(tmp_path / "board")
        for steps in (50, 50, 30, 100):   # nothing new, a resume, and on
            board.add([made_run(tmp_path, "run", steps=steps)])
        board.close()
        run = made_run(tmp_path, "run")
        for model, tag, curve, column in (("plain", "train/lr", run.training, "lr"),
                                          ("plain", "validation/loss", run.validation["plain"], "loss"),
                                          (EMA, "validation/loss", run.validation[EMA], "loss")):
            assert scalars(model, tag) == [(step, pytest.approx(value)) for step, value in zip(curve["step"], curve[column])]
