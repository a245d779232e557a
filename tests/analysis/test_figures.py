"""Drawings repeat byte for byte, and the lists of figures agree: experiments/, analysis/, paper_figures/."""
import importlib

import pytest
import run
import spec as specs
import table as tables
from made_up import rows
from spec import ROOT

PUBLISHED = ("data.csv", "figure.png", "figure.pdf", "verdicts.json", "provenance.json")


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_a_drawing_repeats_byte_for_byte(tmp_path, seeds):
    files = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "data.csv").write_text(tables.Table(rows(seeds, range(5, 201, 5))).to_csv())
        run.redraw("quickstart", folder)
        files.append({name: (folder / name).read_bytes() for name in PUBLISHED[1:4]})
    assert files[0] == files[1]
    assert files[0]["figure.png"].startswith(b"\x89PNG") and b"CreationDate" not in files[0]["figure.pdf"]


@pytest.mark.parametrize("seeds, words", [((1,), "n = 1 seed, so there is no interval"), ((1, 2, 3), "n = 3 seeds; bands: 95 %")])
def test_n_stands_on_the_picture(spec, seeds, words):
    drawing = importlib.import_module("quickstart").draw(tables.Table(rows(seeds)), spec)
    assert any(words in text.get_text() for text in drawing.texts)


def test_every_experiment_has_a_drawing_and_every_drawing_an_experiment():
    drawings = {path.stem for path in (ROOT / "analysis").glob("*.py") if "\ndef draw(" in path.read_text()}
    assert drawings == set(specs.figures())


def test_published_figures_are_the_ones_that_were_run():
    run_ones = {name for name in specs.figures() if specs.load(name).status == "run"}
    folder = ROOT / "paper_figures"
    published = {path.name for path in folder.iterdir() if path.is_dir() and path.name != "runs"} if folder.exists() else set()
    assert published == run_ones
    for name in published:
        assert [file for file in PUBLISHED if not (folder / name / file).exists()] == []


@pytest.mark.parametrize("name", specs.figures())
def test_a_figure_is_complete(name):
    folder = ROOT / "experiments" / name
    assert all((folder / file).exists() for file in ("figure.toml", "README.md", "run.sh"))
    for arm in specs.load(name).arms:
        assert (folder / f"{arm.name}.toml").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("**/*.toml")), ids=lambda path: path.stem)
def test_toml_is_valid(path):
    specs.read_toml(path)


def test_a_wrong_figure_toml_is_named(tmp_path):
    folder = tmp_path / "experiments" / "wrong"
    folder.mkdir(parents=True)
    good = (ROOT / "experiments" / "quickstart" / "figure.toml").read_text()
    for text, message in ((good.replace("[verdict]", "[other]"), "has no 'verdict'"),
                          (good.replace("status = ", "status = 1 #"), "status = 1 is none of"),
                          (good.replace("range = [", "range = [1.5, "), "is not a part of"),
                          (good.replace("title = ", "title "), r"figure\.toml: not valid TOML")):
        (folder / "figure.toml").write_text(text)
        with pytest.raises(ValueError, match=message):
            specs.load("wrong", tmp_path)
