"""Every figure at smoke scale, through the driver: from text to pictures and verdicts."""
import json
import os
import subprocess
import sys

import pandas
import pytest
from a_figure import ROOT
from spec import figures, load


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(the folder of the figures, what was printed)"""
    out = tmp_path_factory.mktemp("smoke")
    environment = {name: value for name, value in os.environ.items() if name != "LAWA_TEXT"} | {"LAWA_OUT": str(out)}
    result = subprocess.run([sys.executable, ROOT / "experiments" / "run.py", "--all", "--scale", "smoke", "--fresh"], text=True,
                            capture_output=True, timeout=600, env=environment)
    assert result.returncode == 0, result.stderr
    return out / "smoke", result.stdout


@pytest.mark.parametrize("name", figures())
def test_a_figure_ends_in_a_picture_and_verdicts(made, name):
    folder, printed = made
    spec = load(name, "smoke")
    assert (folder / name / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / name / "figure.pdf").read_bytes().startswith(b"%PDF")
    verdicts = json.loads((folder / name / "verdicts.json").read_text())
    assert [verdict["claim"] for verdict in verdicts] == [claim["name"] for claim in spec.claims]
    assert all(verdict["text"] in printed and verdict["n"] == len(spec.axes["seed"]) for verdict in verdicts)
    data = pandas.read_csv(folder / name / "data.csv")
    assert set(data["seed"]) == {arm.name for arm in spec.axes["seed"]} and data["loss"].between(0, 50).all()   # a spike at ten times the rate; its height is the text's
    assert set(data["average"]) == {"plain", *(average.name for average in spec.averages)}
    facts = json.loads((folder / name / "provenance.json").read_text())
    assert facts["missing"] == [] and facts["diverged"] == [] and len(facts["tokens_digest"]) == 1


def test_shared_trajectories_are_trained_once(made):
    folder, _ = made
    runs = {key for name in figures() for key in json.loads((folder / name / "provenance.json").read_text())["runs"]}
    assert {path.stem for path in (folder / "records").glob("*.json")} == runs
    fig3, fig4 = (set(json.loads((folder / name / "provenance.json").read_text())["runs"]) for name in ("fig3_stride", "fig4_ema"))
    assert fig3 == fig4


def test_a_grid_comes_from_one_set_of_trajectories(made):
    folder, _ = made
    data = pandas.read_csv(folder / "fig3_stride" / "data.csv")
    grid = data[data["average"] == "grid"].groupby("run")["model"].nunique()
    assert len(grid) == 4 and (grid >= 10).all()


def test_nothing_bulky_is_left(made):
    folder, _ = made
    assert not list(folder.rglob("*.h5")) and not list(folder.rglob("*.part"))
