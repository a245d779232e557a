"""Statistics over independent runs: paired intervals, tests, and the correction for several of them. All by scipy."""
import math
from dataclasses import dataclass

import interpreter  # noqa: F401
import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """The mean of paired differences over runs."""

    mean: float
    interval: object   # (low, high) by Student's t, or None with one run
    p: object          # two-sided, of Student's t test; None with one run
    p_rank: object     # two-sided, of Wilcoxon's signed-rank test (exact); None with one run
    n: int             # runs


def signed(value, digits=4):
    """A difference as text, with a true minus sign; a dash where there is none."""
    if value is None or math.isnan(value):
        return "\u2013"
    return f"{value:+.{digits}f}".replace("-", "\u2212")


def estimate(differences, confidence=0.95):
    """The Estimate of independent differences."""
    values = np.asarray(differences, dtype=float)
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Estimate(mean, None, None, None, n)
    error = float(values.std(ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)
    rank = float(stats.wilcoxon(values, method="exact").pvalue) if (values != 0).all() and n < 50 else None
    return Estimate(mean, (mean - half, mean + half), p, rank, n)


def half_widths(curves, confidence):
    """Half of the interval of the mean over seeds at each step; curves: DataFrame [step, seed]. None with one seed."""
    n = curves.shape[1]
    if n < 2:
        return None
    return stats.t.ppf((1 + confidence) / 2, n - 1) * curves.std(axis=1, ddof=1).to_numpy() / math.sqrt(n)


def holm(p_values):
    """Holm's step-down correction (1979): the p values of a family, each so that the family's error rate is bounded. None stays."""
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected, highest = list(p_values), 0.0
    for rank, (p, i) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        corrected[i] = highest
    return corrected


def runs_needed(differences, confidence=0.95, power=0.8):
    """How many runs would resolve a mean as large as this one, given its spread over runs; None with one run or no spread."""
    values = np.asarray(differences, dtype=float)
    if len(values) < 2 or values.std(ddof=1) == 0 or values.mean() == 0:
        return None
    effect = abs(values.mean()) / values.std(ddof=1)
    with_known_spread = ((stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(power)) / effect) ** 2
    for n in range(max(2, int(min(with_known_spread, 10_000))), 10_000):
        with np.errstate(divide="ignore", invalid="ignore"):   # in the innards of nct, for few runs; its values are right
            reached = stats.nct.sf(stats.t.ppf((1 + confidence) / 2, n - 1), n - 1, effect * math.sqrt(n))
        if reached >= power:
            return n
    return None
