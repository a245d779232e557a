"""The table of runs: each trajectory once, families together, and what is recorded of them."""
import pytest
from a_figure import FIGURE, ROOT
from runs import Table
from spec import figures, load

BRANCH = FIGURE.replace("[axes.rate]", '''[axes.phase]
trunk = { }
late = { start = { run = { phase = "trunk" }, at = "75%" }, schedule.kind = "wsd", schedule.decay_steps = "25%" }
again = { start = { run = { phase = "trunk" }, average = "lawa" }, schedule.steps = "50%" }
[axes.rate]''').replace('stride = "5%"', 'stride = "5%"\nsave = true')


def test_the_same_trajectory_is_one_run_whatever_is_recorded(project):
    project.write(FIGURE.replace("window = 3", "window = 4").replace('evaluate.steps = "25%"', 'evaluate.steps = "50%"'), "other")
    first, second = project.load(), project.load("other")
    table = Table([first, second])
    assert len(table.rows) == 4 and table.places == 4
    assert all(len(run.users) == 2 for run in table.rows)
    run = table.rows[0]
    assert run.wanted(["made_up"]) == {"plain": {10, 20, 30, 40}, "lawa(k=3,nu=2)": {10, 20, 30, 40}}
    assert run.wanted(["other"]) == {"plain": {20, 40}, "lawa(k=4,nu=2)": {20, 40}}
    assert set(run.wanted()) == {"plain", "lawa(k=3,nu=2)", "lawa(k=4,nu=2)"}
    assert [other.key for other in Table([first], [second]).rows] == [run.key for run in table.rows]
    assert [run.key for run in Table([second]).rows] == [run.key for run in table.rows]


@pytest.mark.parametrize("old, new", [("peak_lr = 4e-2", "peak_lr = 5e-2"), ("seed = [1, 2]", "seed = [1, 3]"), ("steps = 40", "steps = 50"),
                                      ("global_sequences = 8", "global_sequences = 9"), ('files = ["README.md"]', 'files = ["data/README.md"]'),
                                      ("models/tiny.toml", "models/quickstart.toml")])
def test_what_determines_the_weights_is_in_the_key(project, old, new):
    before = {run.key for run in Table([project.load()]).rows}
    project.write(FIGURE.replace(old, new))
    assert {run.key for run in Table([project.load()]).rows} != before


def test_parts_are_of_the_run_and_the_peak(project):
    run = next(run for run in Table([project.load()]).rows if "high" in run.name())
    assert (run.keys["schedule.warmup_steps"], run.keys["schedule.final_lr"], run.tokens) == (4, 4e-3, 40 * 8 * 32)


def test_branches_follow_their_parent_and_share_its_place(project):
    project.write(BRANCH)
    table = Table([project.load()])
    assert table.places == 4 and len(table.rows) == 12
    for trunk, late, again in zip(*[iter(table.rows)] * 3):
        assert late.parent is trunk and again.parent is trunk and trunk.place == late.place == again.place
        assert (late.first_step, late.tokens, late.keys["schedule.decay_steps"]) == (30, 10 * 8 * 32, 10)
        assert (again.first_step, again.steps, again.parent_average) == (0, 20, "lawa_k003_nu000002")
        assert trunk.branch_steps == {30, 40} and min(late.wanted()["plain"]) == 40
    assert len({run.key for run in table.rows}) == 12


def test_a_branch_of_a_figure_that_is_asked_for_brings_its_parent(project):
    project.write(BRANCH.replace("trunk = { }", "").replace("[axes]", '[choices.phase]\n[axes]'), "wrong")
    with pytest.raises(ValueError, match="phase = 'trunk' is none of"):
        Table([project.load("wrong")])


@pytest.mark.parametrize("old, new, message", [
    ('at = "75%"', "at = 41", "begins at step 41, and its parent ends at 40"),
    ('average = "lawa"', 'average = "other"', "start.average names none of its averages"),
    ('start = { run = { phase = "trunk" }, at', 'start = { run = { phase = "late" }, at', "is a branch of itself"),
])
def test_wrong_branches_are_named(project, old, new, message):
    project.write(BRANCH.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        Table([project.load()])


def test_claims_name_what_their_figure_keeps():
    """Every claim of every figure finds its rows, at every scale: judged on a table whose losses are all equal."""
    import pandas
    from averages import model_name
    from table import MODEL, VALUES
    from table import Table as Results
    from verdicts import judge
    for name in figures():
        for scale in ("smoke", "workstation", "gpu", "paper"):
            try:
                spec = load(name, scale)
            except ValueError:
                continue
            rows = []
            for cell, run in Table([spec]).of_figure(spec):
                for average in [None, *spec.averages_of(cell)]:
                    points = run.needs[name]["plain"] if average is None else run.points_of_average(spec, average)
                    models = {"plain": 1.0} if average is None else average.models
                    rows += [{**cell, "average": average.name if average else "plain", "model": model, "scheme": "", "blend": blend,
                              "window": average.window if average else 1, "stride": average.keys.get("stride", 1) if average else 0,
                              "mean_age": 0.0, "step": average.label(step) if average else step, "trained_tokens": 1, "loss": 2.0,
                              "tune_loss": 2.0, "report_loss": 2.0, "run": run.key}
                             for model, blend in models.items() for step in points]
            data = pandas.DataFrame(rows)[[*spec.axes, *MODEL, *VALUES]].astype({axis: str for axis in spec.axes if axis != "seed"})
            verdicts = judge(Results(data.drop_duplicates([*spec.axes, "average", "model", "step"]), spec))
            assert [verdict.claim for verdict in verdicts] == [claim["name"] for claim in spec.claims], (name, scale)
            assert model_name({"scheme": "lawa"}) and all(verdict.mean == 0 for verdict in verdicts)


def test_run_scripts_name_their_own_figure():
    for name in figures():
        last = (ROOT / "experiments" / name / "run.sh").read_text().splitlines()[-1]
        assert last.split("/../run.sh\" ")[1].split()[0] == name
