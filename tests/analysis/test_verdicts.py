"""Claims judged on small tables whose differences are known."""
import json
from types import SimpleNamespace

import pandas
import pytest
import verdicts
from spec import Arm, Spec
from table import MODEL, VALUES, Table


def spec_of(claims, resolution=0.002, seeds=(1, 2, 3)):
    axes = {"seed": tuple(Arm(seed, "", {}) for seed in seeds), "rate": (Arm("usual", "usual", {}), Arm("high", "high", {}))}
    return Spec("made_up", "smoke", "not run", "", "", "", "", {}, 1, 0, (), {}, 100, axes, (), tuple(claims), (), 0.95, resolution, 0.1)


def table(claims, loss, seeds=(1, 2, 3), steps=(25, 50, 75, 100), models=("plain", "a", "b"), resolution=0.002):
    """loss(rate, seed, model, step) -> nats/token; on the two halves 0.01 less and 0.01 more, b's tune_loss 0.5 less."""
    rows = []
    for seed in seeds:
        for rate in ("usual", "high"):
            for model in models:
                for step in steps:
                    value = loss(rate, seed, model, step)
                    if value is not None:
                        rows.append({"seed": seed, "rate": rate, "average": "grid" if model in "ab" else model, "model": model, "scheme": "lawa",
                                     "window": 5, "stride": {"a": 1, "b": 10}.get(model, 0), "mean_age": 1.0, "blend": 1.0, "step": step,
                                     "trained_tokens": step, "loss": value, "tune_loss": value - 0.01 - 0.5 * (model == "b"),
                                     "report_loss": value + 0.01, "run": f"{rate}{seed}"})
    return Table(pandas.DataFrame(rows)[["seed", "rate", *MODEL, *VALUES]], spec_of(claims, resolution, seeds))


def claim(**keys):
    return {"name": "c", "text": "a is below plain", "this": {"average": "grid", "stride": 1}, "that": "plain", "at": "50%",
            "where": {"rate": "high"}} | keys


def falling(rate, seed, model, step):
    """Plain falls by 0.01 a step; a is 0.02 + 0.01 seed below it, twice that at the high rate."""
    return 3 - step / 100 + 0.1 * seed - (0.02 + 0.01 * seed) * (1 + (rate == "high")) * (model != "plain")


def one(claims, loss=falling, **options):
    return verdicts.judge(table(claims, loss, **options))[0]


def test_paired_by_seed_with_an_interval():
    found = one([claim()])
    # 0.06, 0.08, 0.10 below: mean -0.08, deviation 0.02, half-width 4.3027 * 0.02 / sqrt 3
    assert found.mean == pytest.approx(-0.08) and found.n == 3 and found.state == "holds"
    assert found.interval == pytest.approx((-0.08 - 0.049683, -0.08 + 0.049683), abs=1e-5)
    assert found.p_holm == found.p and found.models == ("a", "plain") and found.steps == (50,) and found.on == "loss"


def test_differences_of_differences():
    found = one([claim(where={}, this={"average": "grid", "stride": 1, "rate": "high"}, that={"average": "plain", "rate": "high"},
                       than={"this": {"average": "grid", "stride": 1, "rate": "usual"}, "that": {"average": "plain", "rate": "usual"}})])
    assert found.mean == pytest.approx(-0.04) and found.steps_saved is None


@pytest.mark.parametrize("gain, direction, state", [(-0.05, "below", "holds"), (0.05, "below", "contradicted"), (-0.05, "above", "contradicted"),
                                                    (0.05, "above", "holds")])
def test_directions(gain, direction, state):
    loss = lambda rate, seed, model, step: 2 + (gain + 0.001 * seed) * (model == "a")   # noqa: E731
    assert one([claim(direction=direction)], loss).state == state


def test_an_interval_around_zero_is_not_resolved_and_says_how_many_runs_would():
    found = one([claim()], lambda rate, seed, model, step: 2 + (0.1 * seed - 0.22) * (model == "a"))
    assert found.state == "not resolved" and found.runs_needed > 3


def test_holm_over_a_family_only():
    claims = [claim(name=str(i), family="f", at=at) for i, at in enumerate(("25%", "50%", "75%"))] + [claim(name="alone")]
    found = verdicts.judge(table(claims, lambda rate, seed, model, step: 2 - (0.02 + 0.004 * seed) * (model == "a")))
    assert [verdict.p_holm / verdict.p for verdict in found] == pytest.approx([3, 3, 3, 1])


@pytest.mark.parametrize("gain, state", [(-0.003, "holds"), (-0.001, "not resolved"), (0.001, "not resolved"), (0.003, "contradicted")])
def test_one_run_against_the_resolution(gain, state):
    found = one([claim()], lambda rate, seed, model, step: 2 + gain * (model == "a"), seeds=(1,))
    assert (found.state, found.interval, found.n) == (state, None, 1) and "one run, n = 1: no interval" in found.sentence()


def test_the_mean_over_a_part_of_training():
    found = one([claim(at=None, over=["40%", "80%"])], lambda rate, seed, model, step: 2 - step / 1000 * (model == "a") + seed / 1e6 * (model == "a"))
    assert found.steps == (50, 75) and found.mean == pytest.approx(-0.0625, abs=1e-5)


def test_sides_at_steps_of_their_own():
    found = one([claim(this={"average": "grid", "stride": 1, "at": "50%"}, that={"average": "plain", "at": "75%"})])
    assert found.mean == pytest.approx(0.25 - 0.08)


def test_the_best_is_picked_on_one_half_and_judged_on_the_other():
    found = one([claim(this={"average": "grid", "best": True})])
    assert found.models == ("b", "plain") and found.on == "report_loss" and found.mean == pytest.approx(-0.08)


def test_steps_saved_are_interpolated_or_a_bound():
    found = one([claim(at="25%")])   # the high rate: 0.08 below on average, plain falls 0.01 a step
    assert found.steps_saved == pytest.approx(8) and not found.saved_at_least
    late = one([claim(at="75%")], lambda rate, seed, model, step: 2 - (0.5 + 0.01 * seed) * (model == "a"))
    assert (late.steps_saved, late.saved_at_least) == (25, True)
    assert one([claim(at="100%")]).steps_saved is None   # there is nothing later


@pytest.mark.parametrize("keys", [{"this": "other"}, {"at": "60%"}, {"at": None, "over": ["60%", "70%"]}])
def test_where_nothing_has_a_value_nothing_is_resolved(keys):
    found = one([claim(**keys)])
    assert (found.state, found.n, found.lost) == ("not resolved", 0, 3) and "no run has a value" in found.sentence()
    assert json.loads(verdicts.to_json([found]))[0]["mean"] is None


def test_a_diverged_seed_is_lost_and_does_not_shorten_the_range():
    """Seed 2 ends before step 50: the others are compared over all of the range, on the same steps on both sides."""
    def loss(rate, seed, model, step):
        return None if seed == 2 and model == "a" and step > 25 else falling(rate, seed, model, step)
    found = one([claim(at=None, over=["25%", "100%"])], loss)
    assert (found.n, found.lost, found.steps) == (2, 1, (25, 50, 75, 100)) and found.mean == pytest.approx(-0.08)


def test_only_steps_that_both_sides_have_are_compared():
    def loss(rate, seed, model, step):
        return None if (model == "a" and step == 50) or (model == "plain" and step == 75) else falling(rate, seed, model, step)
    assert one([claim(at=None, over=["25%", "100%"])], loss).steps == (25, 100)


def test_one_run_left_of_several_resolves_nothing():
    found = one([claim()], lambda rate, seed, model, step: None if seed > 1 and model == "a" else falling(rate, seed, model, step))
    assert (found.state, found.n, found.lost) == ("not resolved", 1, 2)


def test_steps_later_never_looks_before_the_step():
    assert verdicts.steps_later(pandas.Series({60: 1.0, 70: 0.9}), 50, 1.2) == (10, True)
    assert verdicts.steps_later(pandas.Series({50: 1.0, 70: 0.8}), 50, 0.9) == (pytest.approx(10), True)
    assert verdicts.steps_later(pandas.Series({50: 1.0, 70: 0.8}), 50, 0.7) == (20, False)


def test_steps_saved_only_within_a_run():
    found = one([claim(where={}, this={"average": "grid", "stride": 1, "rate": "high"}, that={"average": "plain", "rate": "usual"})])
    assert found.mean < 0 and found.steps_saved is None


def test_a_seed_without_a_value_is_counted():
    found = one([claim()], lambda rate, seed, model, step: None if (seed, rate) == (2, "high") else falling(rate, seed, model, step))
    assert found.n == 2 and found.lost == 1 and found.mean == pytest.approx(-0.08)


@pytest.mark.parametrize("keys, message", [
    ({"this": "grid"}, "several models: a, b"), ({"where": {}}, "rate isn't fixed"),
    ({"this": {"average": "grid", "colour": 1}}, "colour is neither an axis"), ({"when": 1}, "unknown key when"),
])
def test_a_claim_that_cannot_be_judged_is_named(keys, message):
    with pytest.raises(ValueError, match=f"made_up: claim c: .*{message}"):
        one([claim(**keys)])


def test_json_and_sentence():
    found = verdicts.judge(table([claim(), claim(name="d")], falling))
    entries = json.loads(verdicts.to_json(found))
    assert [entry["claim"] for entry in entries] == ["c", "d"] and entries[0]["mean"] == -0.08 and entries[0]["n"] == 3
    assert "a is below plain: holds (\u22120.0800 nats/token; 95 % interval [\u22120.1297, \u22120.0303], n = 3, corrected p = 0.02" in found[0].sentence()
    assert SimpleNamespace(**entries[0]).models == ["a", "plain"]
