"""Every drawing, of made-up tables: at each scale, with one seed and several, with runs missing; and the lists of figures agree."""
import importlib

import made_up
import matplotlib.text
import pytest
import spec as specs
import style
import verdicts
from spec import ROOT

PUBLISHED = ("data.csv", "timing.csv", "figure.png", "figure.pdf", "verdicts.json", "provenance.json")
CASES = [(name, scale, seeds) for name in specs.figures() for scale in ("smoke", "workstation") for seeds in ((1,), (1, 2, 3))]


def judged(name, scale="smoke", **options):
    table = made_up.table(specs.load(name, scale), **options)
    table.verdicts = verdicts.judge(table)
    return table


def drawn(table):
    figure = importlib.import_module(table.spec.name).draw(table)
    style.mark(figure, table)
    return figure


def words(figure):
    return [text.get_text() for text in figure.texts]


def colliding(figure):
    """Pairs of texts that lie on each other, and texts that leave the page; ticks beyond an axis's limits aren't drawn."""
    figure.canvas.draw()
    hidden = set()
    for axis in (one for axes in figure.axes for one in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        for tick in axis.get_major_ticks() + axis.get_minor_ticks():
            if not low - slack <= tick.get_loc() <= high + slack:
                hidden |= {tick.label1, tick.label2}
    boxes = [(text.get_text(), text.get_window_extent()) for text in figure.findobj(matplotlib.text.Text)
             if text.get_visible() and text.get_text().strip() and text not in hidden]
    page = figure.bbox
    found = [text for text, box in boxes if box.x0 < page.x0 - 1 or box.y0 < page.y0 - 1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1]
    for place, (text, box) in enumerate(boxes):
        for other, its_box in boxes[place + 1:]:
            if min(box.x1, its_box.x1) - max(box.x0, its_box.x0) > 1 and min(box.y1, its_box.y1) - max(box.y0, its_box.y0) > 1:
                found.append((text, other))
    return found


@pytest.mark.parametrize("name, scale, seeds", CASES)
def test_a_drawing_is_complete_and_nothing_lies_on_anything(name, scale, seeds):
    table = judged(name, scale, seeds=seeds)
    figure = drawn(table)
    text = " ".join(" ".join(words(figure)).split())   # notes are wrapped
    assert table.spec.title in text and f"{scale} scale, n = {len(seeds)} seed" in text
    assert ("95 % Student-t intervals" if len(seeds) > 1 else "One seed: there are no intervals.") in text
    assert all(verdict.text in text for verdict in table.verdicts) and len(table.verdicts) == len(table.spec.claims)
    assert "PARTIAL" not in text and colliding(figure) == []
    style.plt.close(figure)


@pytest.mark.parametrize("name", [name for name in specs.figures() if name != "quickstart"])
@pytest.mark.parametrize("scale", ["gpu", "paper"])
def test_reduced_axes_can_be_drawn(name, scale):
    figure = drawn(judged(name, scale))
    assert colliding(figure) == []
    papers = {line.get_label() for axis in figure.axes for line in axis.lines} & {"the paper's (digitised)"}
    assert bool(papers) == (scale == "paper" and name in ("fig1_validation_loss", "fig2_learning_rate", "fig5_swa"))
    style.plt.close(figure)


@pytest.mark.parametrize("name", specs.figures())
def test_a_drawing_repeats_byte_for_byte(tmp_path, name):
    table = judged(name)
    files = [[open(path, "rb").read() for path in style.save(drawn(table), tmp_path / stem)] for stem in "ab"]
    assert files[0] == files[1]
    assert files[0][0].startswith(b"\x89PNG") and b"CreationDate" not in files[0][1]


@pytest.mark.parametrize("name", specs.figures())
def test_missing_and_diverged_runs_stand_on_the_picture(name):
    spec = specs.load(name, "smoke")
    axis = next((axis for axis, arms in spec.axes.items() if axis != "seed" and len(arms) > 1), "seed")
    for gone in ({"seed": 2}, {axis: spec.axes[axis][0].name} if axis != "seed" else {"seed": 3}):
        table = judged(name, seeds=(1, 2, 3), missing=[gone], diverged=[{"seed": 1}])
        figure = drawn(table)
        text = " ".join(words(figure))
        assert f"PARTIAL: {len(table.missing)} run" in text and "diverged: seed=1" in text
        assert len(table.verdicts) <= len(spec.claims)
        assert colliding(figure) == []
        style.plt.close(figure)


def test_every_experiment_has_a_drawing_and_every_drawing_an_experiment():
    drawings = {path.stem for path in (ROOT / "analysis").glob("*.py") if "\ndef draw(table):" in path.read_text(encoding="utf-8")}
    assert drawings == set(specs.figures())


def test_published_figures_are_the_ones_that_were_run():
    folder = ROOT / "paper_figures"
    published = {path.name for path in folder.iterdir() if path.is_dir() and path.name != "runs"}
    assert published == {name for name in specs.figures() if specs.load(name).status == "run"}
    assert [f"{name}/{file}" for name in sorted(published) for file in PUBLISHED if not (folder / name / file).exists()] == []
