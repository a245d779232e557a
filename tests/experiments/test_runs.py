"""The table of runs: each trajectory once, families together, and what is recorded of them."""
import pytest
from a_figure import FIGURE, ROOT
from rehearse import rehearse
from runs import Table
from spec import SCALES, figures, load

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


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", figures())
def test_every_claim_can_be_judged(name, scale):
    try:
        spec = load(name, scale)
    except ValueError as error:
        pytest.skip(str(error))
    judged = rehearse(spec, Table([spec]).of_figure(spec))
    assert [verdict.claim for verdict in judged] == [claim["name"] for claim in spec.claims]
    assert all(verdict.mean == 0 and verdict.state == "not resolved" for verdict in judged)


@pytest.mark.parametrize("old, new, message", [
    ('that = "plain"', 'that = "plian"', "claim below: lawa.* and  don't both have values"),
    ('at = "50%"', 'at = "60%"', "claim below: .* don't both have values at .24,."),
    ('at = "50%"', 'at = "50%"\nwhen = 1', "claim below: unknown key when"),
    ("seed = [1, 2]", "", "has no axis seed"),
])
def test_a_claim_that_cannot_be_judged_is_named_before_anything_runs(project, old, new, message):
    assert old in FIGURE
    project.write(FIGURE.replace(old, new))
    spec = project.load()
    with pytest.raises(ValueError, match=message):
        rehearse(spec, Table([spec]).of_figure(spec))


def test_run_scripts_name_their_own_figure():
    for name in figures():
        last = (ROOT / "experiments" / name / "run.sh").read_text().splitlines()[-1]
        assert last.split("/../run.sh\" ")[1].split()[0] == name
