"""The claims of a figure, judged from its table by what figure.toml says of them; claims stand there before the runs.

A claim compares `this` with `that`: a model of some runs, paired by seed, at given steps (averaged over them). With `than`, the
difference is compared with another one: this - that - (than.this - than.that). It
  holds            the difference lies on the claimed side of zero: Student's t over seeds, p corrected by Holm over the claim's family
  is contradicted  it lies on the other side
  is not resolved  neither
Where one run was planned there is no interval: the mean is held against `resolution`, and the words say so. Where several were and less
than two have a value (they diverged, or are missing), nothing is resolved.

`best` picks, among the models of a name, the one with the lowest mean loss on the first half of the validation set (tune_loss); all
of the claim is then judged on the second half (report_loss). Both sides of a comparison can do so: equal effort.
"""
import json
from dataclasses import asdict, dataclass, replace

import interpreter  # noqa: F401
import numpy as np

from averages import part_of
from inference import Estimate, estimate, holm, runs_needed, signed

CLAIM = {"name", "text", "family", "paper", "where", "this", "that", "than", "at", "over", "direction"}
SIDE = {"average", "best", "at", "window", "stride", "blend", "model"}


@dataclass(frozen=True)
class Verdict:
    """What the data say about one claim. Losses in nats/token."""

    claim: str
    text: str
    family: str
    paper: object       # the number of the paper's claim, or None
    direction: str      # the claimed one: below, above
    state: str          # holds, not resolved, contradicted
    mean: float         # this - that, over seeds and steps
    interval: object    # (low, high), or None with one run
    confidence: float
    n: int              # pairs of runs
    p: object           # two-sided, Student's t
    p_holm: object      # corrected over the family
    p_rank: object      # Wilcoxon's signed-rank test
    steps: tuple        # of `this`
    models: tuple       # (this, that) as metrics.jsonl calls them
    on: str             # loss, or report_loss where a model was picked
    lost: int           # seeds without a value (a run that diverged or is missing)
    steps_saved: object  # how many steps later the plain run reaches this loss, mean over seeds; None where that isn't asked
    saved_at_least: bool  # some plain runs never reach it: a lower bound
    runs_needed: object  # where not resolved: runs that would resolve a mean as large

    def sentence(self):
        """The verdict for people: state, numbers, and how many runs it stands on."""
        if self.n == 0:
            return f"{self.text}: {self.state} (no run has a value on both sides)"
        numbers = [f"{signed(self.mean)} nats/token"]
        if self.interval:
            numbers.append(f"{100 * self.confidence:g} % interval [{signed(self.interval[0])}, {signed(self.interval[1])}], n = {self.n}, "
                           f"corrected p = {self.p_holm:.2g}")
        else:
            numbers.append("one run, n = 1: no interval")
        if self.steps_saved is not None:
            numbers.append(f"{'at least ' if self.saved_at_least else ''}{self.steps_saved:.0f} steps saved")
        if self.lost:
            numbers.append(f"{self.lost} without a value")
        if self.runs_needed:
            numbers.append(f"about {self.runs_needed} runs would resolve a mean as large")
        return f"{self.text}: {self.state} ({'; '.join(numbers)})"


def judge(table):
    """The Verdicts of a Table's claims, in their order. Errors name the claim."""
    verdicts, differences = [], []
    for claim in table.spec.claims:
        try:
            verdict, values = _judge_one(table, claim)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{table.spec.name}: claim {claim.get('name', '?')}: {error}") from None
        verdicts.append(verdict)
        differences.append(values)
    for family in {verdict.family for verdict in verdicts}:
        members = [i for i, verdict in enumerate(verdicts) if verdict.family == family]
        for i, p in zip(members, holm([verdicts[i].p for i in members])):
            state = _state(verdicts[i], p, table.spec)
            strict = 1 - (1 - table.spec.confidence) / len(members)   # Holm's first step
            needed = runs_needed(differences[i], strict) if state == "not resolved" else None
            verdicts[i] = replace(verdicts[i], p_holm=p, state=state, runs_needed=needed and max(needed, verdicts[i].n + 1))
    return verdicts


def _state(verdict, p, spec):
    towards = verdict.mean if verdict.direction == "below" else -verdict.mean
    if verdict.n == 1 and len(spec.axes["seed"]) == 1:
        resolved = abs(towards) > spec.resolution
    else:
        resolved = p is not None and p < 1 - spec.confidence
    return "not resolved" if not resolved else "holds" if towards < 0 else "contradicted"


def _judge_one(table, claim):
    """(the Verdict without what its family decides, the differences over seeds)"""
    unknown = set(claim) - CLAIM
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]}")
    spec, where = table.spec, claim.get("where", {})
    pairs = [(where, claim["this"], claim["that"])]
    if "than" in claim:
        pairs.append(({**where, **claim["than"].get("where", {})}, claim["than"]["this"], claim["than"]["that"]))
    column = "report_loss" if any(isinstance(side, dict) and side.get("best") for _, *pair in pairs for side in pair) else "loss"
    asked = [[_rows(table, claim, place, side) for side in pair] for place, *pair in pairs]
    common = _common_steps(spec, claim, [rows for pair in asked for rows, *_ in pair])
    sides = [[_side(rows, cell, at or common, tuned, column) for rows, cell, at, tuned in pair] for pair in asked]
    parts = [this.mean_loss - that.mean_loss for this, that in sides]
    values = (parts[0] - parts[1] if len(parts) > 1 else parts[0]).dropna()
    this, that = sides[0]
    found = estimate(values, spec.confidence) if len(values) else Estimate(float("nan"), None, None, None, 0)
    same_run = this.cell == that.cell and that.model == "plain" and len(parts) == 1
    saved, bound = _steps_saved(this, that) if same_run and found.mean < 0 else (None, False)
    verdict = Verdict(
        claim["name"], claim["text"], claim.get("family", claim["name"]), claim.get("paper"), claim.get("direction", "below"), "",
        found.mean, found.interval, spec.confidence, found.n, found.p, None, found.p_rank, tuple(this.steps), (this.model, that.model),
        column, len(spec.axes["seed"]) - found.n, saved, bound, None)
    return verdict, values


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    model: str          # as metrics.jsonl calls it
    cell: dict          # the axes' arms
    steps: list
    mean_loss: object   # Series [seed], over the steps; not a number where a step is missing
    curves: object      # DataFrame [step, seed] of all its steps


def _rows(table, claim, where, side):
    """(rows, arms, its steps or None, whether to pick a model) of a side: "plain", an average's name, or {average, best, window, stride,
    blend, an axis = its arm, at}."""
    side = {"average": side} if isinstance(side, str) else dict(side)
    tuned, at = side.pop("best", False), side.pop("at", claim.get("at"))
    unknown = set(side) - SIDE - set(table.spec.axes)
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]} is neither an axis nor one of {', '.join(sorted(SIDE))}")
    if "stride" in side:
        side["stride"] = part_of(side["stride"], table.spec.steps)
    cell = {**where, **side}
    free = [axis for axis in table.spec.axes if axis not in cell and axis != "seed" and table.data[axis].nunique() > 1]
    if free:
        raise ValueError(f"{free[0]} isn't fixed: an arm of it belongs to where, this or that")
    rows = table.select(**cell)
    steps = None if at is None else [table.spec.step(point) for point in (at if isinstance(at, list) else [at])]
    return rows, {axis: str(arm) for axis, arm in cell.items() if axis in table.spec.axes}, steps, tuned


def _common_steps(spec, claim, sides):
    """The steps in `over` at which every model of every side has a value in some run."""
    if "over" not in claim:
        return []
    first, last = map(spec.step, claim["over"])
    every = [set(group["step"]) for rows in sides for _, group in rows.groupby("model")]
    return sorted(step for step in set.intersection(*every) if first <= step <= last) if every else []


def _side(rows, cell, steps, tuned, column):
    """The Side of some rows at some steps."""
    model = best(rows, steps) if tuned else _only_model(rows)
    curves = rows[rows["model"] == model].drop_duplicates(["step", "seed"]).pivot(index="step", columns="seed", values=column)
    return Side(model, cell, list(steps), curves.reindex(steps).mean(axis=0, skipna=False), curves)


def _only_model(rows):
    models = rows["model"].unique()
    if len(models) > 1:
        raise ValueError(f"several models: {', '.join(models[:4])}; name one by window, stride or blend, or say best = true")
    return models[0] if len(models) else ""


def best(rows, steps):
    """The model with the lowest mean tune_loss at these steps, over the seeds that have all of them; the first in alphabetical order of
    equal ones; "" where there is none."""
    at = rows[rows["step"].isin(steps)]
    if at["tune_loss"].isna().any():
        raise ValueError("best: the runs have no tune_loss (evaluate.halves)")
    means = at.pivot_table(index=["seed", "step"], columns="model", values="tune_loss").dropna().mean()
    return "" if means.isna().all() else means.sort_index().idxmin()


def _steps_saved(this, that):
    """(mean over seeds and steps of how many steps later `that` has the loss of `this`, whether some never have it)."""
    saved, bound = [], False
    for seed in this.curves.columns.intersection(that.curves.columns):
        plain = that.curves[seed].dropna()
        for step in this.steps:
            target = this.curves.at[step, seed]
            if np.isnan(target) or plain.empty or plain.index[-1] <= step:   # nothing later to compare with
                continue
            later, reached = steps_later(plain, step, target)
            saved.append(later)
            bound |= not reached
    return (float(np.mean(saved)) if saved else None), bound


def steps_later(plain, step, target):
    """(how many steps after `step` a curve has the loss `target`, whether it ever has: else what is left of it). plain: Series [step]"""
    later = plain[plain.index >= step]
    below = later[later <= target]
    if below.empty:
        return later.index[-1] - step, False
    end = below.index[0]
    if end == later.index[0]:   # at once, or before the next evaluation
        return end - step, True
    begin = later.index[later.index.get_loc(end) - 1]
    return np.interp(target, [later[end], later[begin]], [end, begin]) - step, True


def to_json(verdicts):
    """verdicts.json's text: one object a claim, losses in nats/token to six digits after the point, p to three significant ones."""
    def tidy(name, value):
        if isinstance(value, (list, tuple)):
            return [tidy(name, entry) for entry in value]
        if isinstance(value, float) and np.isnan(value):
            return None
        if isinstance(value, float):
            return float(f"{value:.3g}") if name.startswith("p") else round(value, 6)
        return int(value) if isinstance(value, np.integer) else value
    return json.dumps([{name: tidy(name, value) for name, value in asdict(verdict).items()} for verdict in verdicts],
                      indent=1, ensure_ascii=False) + "\n"
