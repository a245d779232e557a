"""figure.toml: layers, axes, parts of training, and what is wrong is named."""
import pytest
from averages import expand, model_name
from a_figure import FIGURE, ROOT
from spec import SCALES, figures, load


def test_layers_the_figure_over_its_base_and_its_scale_over_both(project):
    (project.root / "experiments" / "base.toml").write_text(
        'columns = ["seed"]\nview_from = 0.3\n[train]\nprecision = "fp32"\nbatch.global_sequences = 4\n'
        '[scale.smoke.train]\nprecision = "bf16"\noptimizer.beta1 = 0.8\n')
    project.write('base = "base.toml"\n' + FIGURE + "[scale.smoke.train]\noptimizer.beta1 = 0.7\n")
    spec = project.load()
    assert (spec.train["precision"], spec.train["batch.global_sequences"], spec.train["optimizer.beta1"]) == ("bf16", 8, 0.7)
    assert spec.view_from == 0.3 and spec.columns == ("seed",)


def test_axes_multiply_in_the_order_of_the_file(project):
    cells = project.load().cells()
    assert [(cell["seed"], cell["rate"]) for cell in cells] == [(1, "usual"), (1, "high"), (2, "usual"), (2, "high")]


def test_choices_are_arms_by_name(project):
    text = FIGURE.replace("[axes.rate]", "[choices.rate]").replace("seed = [1, 2]", 'seed = [1, 2]\nrate = ["high"]')
    project.write(text)
    assert [arm.keys for arm in project.load().axes["rate"]] == [{"schedule.peak_lr": 4e-2}]
    project.write(text.replace('rate = ["high"]', 'rate = ["low"]'))
    with pytest.raises(ValueError, match=r"figure\.toml: axes\.rate: 'low' is none of choices\.rate: usual, high"):
        project.load()


@pytest.mark.parametrize("old, new, message", [
    ('title = "A made-up figure"', "", r"made_up/figure\.toml: has no 'title'"),
    ('status = "not run"', 'status = "soon"', r"status = 'soon' is none of 'run', 'not run'"),
    ("[axes]", "[colour]\na = 1\n[axes]", r"unknown: colour; known are"),
    ("title = ", "title ", r"figure\.toml: not valid TOML"),
    ("window = 3", "widow = 3", r"averages: unknown key widow"),
    ('stride = "5%"', 'stride = "5%"\nwhere = { rate = "low" }', r"rate = 'low' is none of \['usual', 'high'\]"),
])
def test_what_is_wrong_is_named(project, old, new, message):
    assert old in FIGURE
    project.write(FIGURE.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        project.load()


def test_an_unknown_scale_and_figure_are_named(project):
    with pytest.raises(ValueError, match=r"has no scale 'paper'; there are smoke"):
        project.load(scale="paper")
    with pytest.raises(ValueError, match=r"no experiments/other/figure\.toml; the figures are: made_up"):
        project.load("other")


def test_lists_multiply_and_parts_become_steps():
    grid = expand([{"name": "grid", "window": [2, 5], "stride": ["1%", "10%"], "evaluate_at": ["50%", "100%"]}], 200)
    assert [(one.window, one.keys["stride"], one.at) for one in grid] == [(2, 2, (100, 200)), (2, 20, (100, 200)), (5, 2, (100, 200)),
                                                                         (5, 20, (100, 200))]
    assert len(expand([{"stride": ["0.1%", "0.2%"]}], 200)) == 1   # both round to one step
    assert [one.name for one in expand([{"name": "a"}, {"name": "b"}], 10)] == ["a", "b"]   # one average under two names


def test_mean_age_makes_an_ema_as_old_as_a_window():
    lawa, ema = expand([{"window": 5, "stride": 20}, {"scheme": "ema", "mean_age": 40}], 1000)
    assert lawa.mean_age == 40 and ema.mean_age == pytest.approx(40) and ema.keys["beta"] == pytest.approx(40 / 41)
    half_life = expand([{"scheme": "ema", "half_life_steps": 100, "stride": 1}], 1000)[0]
    assert half_life.mean_age == pytest.approx(100 / 0.6931, rel=0.01)
    assert expand([{"scheme": "swa"}], 10)[0].mean_age is None


def test_a_line_has_the_newest_snapshots_step():
    average = expand([{"stride": 8, "last": 50}], 100)[0]
    assert [average.label(step) for step in (8, 15, 16, 60)] == [8, 8, 16, 48]


@pytest.mark.parametrize("keys, blend, name", [
    ({"scheme": "lawa", "window": 5, "stride": 200}, 1, "lawa(k=5,nu=200)"),
    ({"scheme": "ema", "beta": 0.999}, 1, "ema(beta=0.999,nu=1)"),
    ({"scheme": "swa", "stride": 10, "first": 350}, 1, "swa(nu=10,first=350)"),
    ({"scheme": "ema", "beta": 0.9, "warmup": True}, 1, "ema(beta=0.9,nu=1,warmup)"),
    ({"scheme": "ema", "half_life_steps": 50, "exclude": ["wte", "wpe"]}, 0.6, "ema(half_life_steps=50,nu=1,exclude=wte+wpe,blend=0.6)"),
])
def test_names_are_those_of_metrics_jsonl(keys, blend, name):
    assert model_name(keys, blend) == name


@pytest.mark.parametrize("name", figures())
def test_every_figure_loads_at_its_scales(name):
    loaded = 0
    for scale in SCALES:
        try:
            load(name, scale)
            loaded += 1
        except ValueError as error:
            assert "has no scale" in str(error), error
    assert loaded >= 2, "workstation and smoke at least"
    assert all((ROOT / "experiments" / name / file).exists() for file in ("figure.toml", "run.sh"))
