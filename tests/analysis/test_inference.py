"""Statistics against numbers worked out by hand or printed in tables."""
import math

import pandas
import pytest
from inference import estimate, half_widths, holm, runs_needed


@pytest.mark.parametrize("confidence, n, quantile", [   # Student's t from printed tables, n - 1 degrees of freedom
    (0.95, 2, 12.706), (0.95, 3, 4.303), (0.95, 5, 2.776), (0.95, 31, 2.042), (0.99, 10, 3.250), (0.90, 6, 2.015)])
def test_the_interval_is_students(confidence, n, quantile):
    values = [(-1) ** i + i / 100 for i in range(n)]
    mean = sum(values) / n
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    low, high = estimate(values, confidence).interval
    assert high - mean == pytest.approx(quantile * deviation / math.sqrt(n), rel=3e-4) and mean - low == pytest.approx(high - mean)


def test_p_and_interval_agree():
    # -1, -2, -3: mean -2, deviation 1, t = -2 sqrt 3 = -3.4641 with 2 degrees: p = 0.0742
    found = estimate([-1.0, -2.0, -3.0])
    assert (found.mean, found.n) == (-2, 3) and found.p == pytest.approx(0.0742, abs=1e-4)
    assert found.interval == pytest.approx((-2 - 2.4841, -2 + 2.4841), abs=1e-4)
    assert found.p_rank == pytest.approx(0.25)   # three of the same sign: 2 of 8 orders of signs


def test_one_run_has_no_interval_and_equal_runs_have_one_of_no_width():
    one = estimate([-0.5])
    assert (one.mean, one.interval, one.p, one.p_rank, one.n) == (-0.5, None, None, None, 1)
    equal = estimate([-0.5, -0.5])
    assert equal.interval == (-0.5, -0.5) and equal.p == 0
    assert estimate([0.0, 0.0]).p == 1


def test_holm_is_step_down():
    # ordered 0.01, 0.02, 0.03, 0.2: times 4, 3, 2, 1, never falling
    assert holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx([0.06, 0.04, 0.2, 0.06])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


def test_runs_needed_grows_with_the_spread():
    narrow, wide = runs_needed([-0.02, -0.025, -0.015]), runs_needed([-0.02, -0.06, 0.02])
    assert 2 <= narrow < 10 < wide
    assert runs_needed([-0.1]) is None and runs_needed([0.1, 0.1]) is None


def test_half_widths_are_of_the_mean_over_seeds():
    curves = pandas.DataFrame({1: [1.0, 2.0], 2: [3.0, 2.0]})
    assert list(half_widths(curves, 0.95)) == pytest.approx([12.706 * math.sqrt(2) / math.sqrt(2), 0], rel=1e-4)
    assert half_widths(curves[[1]], 0.95) is None
