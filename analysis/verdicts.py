"""The paper's claims, judged from a table by the rule in figure.toml.

Every comparison is paired: LAWA minus plain of the same run at the same steps, and one learning rate's gain minus the
other's for the same seed. Negative is better. A claim holds, is contradicted, or is not resolved:

- two or more seeds: by the Student-t interval of the mean over seeds (does it lie on one side of zero?);
- one seed: by the mean alone against `resolution`, and the words say that it is one run, without an interval.

`python3 analysis/verdicts.py FIGURE [--from DIR]` prints them.
"""
import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import spec as specs
import table as tables


@dataclass(frozen=True)
class Verdict:
    """What the data say about one claim. Losses in nats/token; a negative mean is in favour of the claim."""

    claim: str        # identifier
    text: str         # the claim in words
    state: str        # "holds", "not resolved", "contradicted"
    mean: float       # over seeds, of the mean over steps
    interval: object  # (low, high) of the mean over seeds, or None with one seed
    confidence: object  # of the interval, or None
    n: int            # seeds
    first_step: int   # of the steps averaged over
    last_step: int
    points: int       # steps averaged over, a seed
    points_below: int  # of all seeds' points, those below zero

    def sentence(self):
        """The verdict for people: state, numbers, and how many runs it stands on."""
        spread = (f"{100 * self.confidence:g} % interval [{signed(self.interval[0])}, {signed(self.interval[1])}], n = {self.n} seeds"
                  if self.interval else "one run, n = 1: no interval over seeds")
        return (f"{self.text}: {self.state} ({signed(self.mean)} nats/token over steps {self.first_step}\u2013{self.last_step}, "
                f"below zero at {self.points_below} of {self.points * self.n} checkpoints; {spread})")


def signed(value):
    """A loss difference in nats/token as text, with a true minus sign."""
    return f"{value:+.4f}".replace("-", "\u2212")


def student_t(confidence, degrees):
    """The two-sided quantile of Student's t: P(|t| < quantile) = confidence, with `degrees` of freedom.

    With t = sqrt(degrees) tan(angle) the density is proportional to cos(angle)^(degrees - 1) on (-pi/2, pi/2).
    """
    angle = np.linspace(0, np.pi / 2, 200_001)
    density = np.cos(angle) ** (degrees - 1)
    below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(np.sqrt(degrees) * np.tan(np.interp(confidence * below[-1], below, angle)))


def mean_interval(values, confidence):
    """(mean, (low, high)) of independent values by Student's t; the interval is None for a single value."""
    values = np.asarray(values, dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None
    half = student_t(confidence, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return mean, (mean - half, mean + half)


def state(mean, interval, resolution):
    """Whether "the difference is negative" holds."""
    low, high = interval or (mean - resolution, mean + resolution)
    return "holds" if high < 0 else "contradicted" if low > 0 else "not resolved"


def gains(table, arm, seed, model="lawa"):
    """{step: loss of the average minus the plain loss, nats/token} of one run, where both were evaluated."""
    plain, averaged = table.curve(arm, seed, "plain"), table.curve(arm, seed, model)
    return {step: averaged[step] - plain[step] for step in averaged if step in plain}


def gains_in_range(table, spec, arm, seed):
    """gains(), only in the verdict's part of training."""
    first, last = (fraction * table.last_step(arm) for fraction in spec.verdict_range)
    return {step: gain for step, gain in gains(table, arm, seed).items() if first <= step <= last}


def judge(claim, text, differences, spec):
    """The Verdict on "these differences are negative". differences: for each seed a {step: nats/token}."""
    steps = sorted(set.intersection(*map(set, differences))) if differences else []
    if not steps:
        raise ValueError(f"{claim}: no step in the verdict's range has both models")
    values = np.array([[difference[step] for step in steps] for difference in differences])
    mean, interval = mean_interval(values.mean(axis=1), spec.confidence)
    return Verdict(claim, text, state(mean, interval, spec.resolution), mean, interval,
                   spec.confidence if interval else None, len(differences), steps[0], steps[-1], len(steps),
                   int((values < 0).sum()))


def judge_all(table, spec):
    """The verdicts of a figure: LAWA against plain in each arm, then the last arm's gain against the first one's."""
    verdicts, by_arm = [], {}
    for arm in spec.arms:
        rate = table.only("peak_lr", arm=arm.name)
        by_arm[arm.name] = {seed: gains_in_range(table, spec, arm.name, seed) for seed in table.values("seed", arm=arm.name)}
        verdicts.append(judge(f"lawa_below_plain_{arm.name}", f"LAWA is below plain at the {arm.label} ({rate:g})",
                              list(by_arm[arm.name].values()), spec))
    first, last = spec.arms[0], spec.arms[-1]
    if first != last:
        seeds = sorted(by_arm[first.name].keys() & by_arm[last.name].keys())
        pairs = [(by_arm[last.name][seed], by_arm[first.name][seed]) for seed in seeds]
        verdicts.append(judge(f"gain_larger_{last.name}", f"The gain is larger at the {last.label} than at the {first.label}",
                              [{step: b[step] - a[step] for step in b if step in a} for b, a in pairs], spec))
    return verdicts


def to_json(verdicts):
    """verdicts.json's text: one object a claim, losses in nats/token to six digits after the point."""
    def tidy(value):
        return round(value, 6) if isinstance(value, float) else [round(v, 6) for v in value] if isinstance(value, tuple) else value
    return json.dumps([{key: tidy(value) for key, value in asdict(verdict).items()} for verdict in verdicts], indent=2) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Prints the verdicts of a figure.")
    parser.add_argument("figure")
    parser.add_argument("--from", dest="folder", type=Path, help="where data.csv is (default: paper_figures/FIGURE)")
    args = parser.parse_args()
    folder = args.folder or specs.ROOT / "paper_figures" / args.figure
    for verdict in judge_all(tables.read(folder / "data.csv"), specs.load(args.figure)):
        print(verdict.sentence())


if __name__ == "__main__":
    main()
