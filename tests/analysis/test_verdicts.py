"""The verdicts' arithmetic against numbers worked out by hand or looked up."""
import dataclasses
import json

import pytest
import table as tables
import verdicts
from made_up import rows


def judged(spec, **options):
    return {verdict.claim: verdict for verdict in verdicts.judge_all(tables.Table(rows(**options)), spec)}


@pytest.mark.parametrize("confidence, degrees, quantile", [   # from printed tables
    (0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 4, 2.776), (0.95, 30, 2.042), (0.99, 9, 3.250), (0.90, 5, 2.015)])
def test_student_t(confidence, degrees, quantile):
    assert verdicts.student_t(confidence, degrees) == pytest.approx(quantile, abs=6e-4)


def test_one_seed_has_a_mean_and_no_interval(spec):
    # 25-75 % of 100 steps: LAWA exists at 50, 60, 70
    result = judged(spec, gain=lambda arm, seed, step: -step / 1000 if arm == "high" else 0.01 * (step - 60) - 0.005)
    high = result["lawa_below_plain_high"]
    assert (high.state, high.n, high.interval) == ("holds", 1, None)
    assert high.mean == pytest.approx(-0.06)
    assert (high.first_step, high.last_step, high.points, high.points_below) == (50, 70, 3, 3)
    usual = result["lawa_below_plain_usual"]
    assert usual.mean == pytest.approx(-0.005) and usual.points_below == 2
    larger = result["gain_larger_high"]
    assert larger.mean == pytest.approx(-0.055)
    assert larger.points_below == 2   # at 50: -0.050 is above the usual rate's -0.105
    assert "n = 1: no interval over seeds" in high.sentence()


@pytest.mark.parametrize("gain, state", [(-0.003, "holds"), (-0.001, "not resolved"), (0.001, "not resolved"),
                                         (0.003, "contradicted")])
def test_one_seed_against_the_resolution(spec, gain, state):
    assert judged(spec, gain=lambda *_: gain)["lawa_below_plain_usual"].state == state


def test_seeds_give_a_paired_interval(spec):
    # mean gains over seeds 1, 2, 3: -0.01, -0.02, -0.03: mean -0.02, deviation 0.01, t(2) = 4.3027
    result = judged(spec, seeds=(1, 2, 3), gain=lambda arm, seed, step: -0.01 * seed - 0.05 * (arm == "high"))
    usual = result["lawa_below_plain_usual"]
    assert usual.mean == pytest.approx(-0.02)
    assert usual.interval == pytest.approx((-0.02 - 0.024841, -0.02 + 0.024841), abs=1e-5)
    assert usual.state == "not resolved"
    assert result["lawa_below_plain_high"].state == "holds"
    larger = result["gain_larger_high"]   # the seeds' common part cancels in the pairs
    assert larger.interval == pytest.approx((-0.05, -0.05)) and larger.state == "holds"
    assert "n = 3 seeds" in usual.sentence() and "95 % interval [" in usual.sentence()


def test_contradicted_by_seeds(spec):
    assert judged(spec, seeds=(1, 2), gain=lambda *_: 0.01)["lawa_below_plain_high"].state == "contradicted"


def test_unpaired_seeds_are_left_out_of_the_comparison(spec):
    table = tables.Table(row for row in rows(seeds=(1, 2, 3)) if (row.arm, row.seed) != ("high", 2))
    assert [verdict.n for verdict in verdicts.judge_all(table, spec)] == [3, 2, 2]


def test_nothing_to_compare_is_an_error(spec):
    plain = tables.Table(row for row in rows() if row.model == "plain")
    with pytest.raises(ValueError, match="lawa_below_plain_usual: no step in the verdict's range has both models"):
        verdicts.judge_all(plain, spec)


def test_json(spec):
    table = tables.Table(rows(seeds=(1, 2)))
    objects = json.loads(verdicts.to_json(verdicts.judge_all(table, spec)))
    assert {key for entry in objects for key in entry} == {field.name for field in dataclasses.fields(verdicts.Verdict)}
    assert objects[0]["mean"] == -0.01 and objects[0]["interval"] == [-0.01, -0.01]
