"""What the drawings share: curves over steps with their intervals, gains, gains over a setting, heat maps, words for models and steps.

A panel leaves out what the table has no rows of, so that a picture of some of the runs is a picture.
"""
import csv

import interpreter  # noqa: F401
import numpy as np
import pandas

import style
import verdicts
from inference import estimate, half_widths, signed
from spec import ROOT
from table import without_model

PAPER = ROOT / "analysis" / "paper_curves.csv"


# ---- what is in a table --------------------------------------------------------------------------------------------------------
def arms(table, axis):
    """The arms of an axis that have rows, in the order of the figure."""
    return [arm for arm in table.spec.axes[axis] if not table.select(**{axis: arm.name}).empty]


def colours(table, axis):
    """{arm's name: colour}, the same whichever arms have rows."""
    names = [arm.name for arm in table.spec.axes[axis]]
    return dict(zip(names, style.shades(len(names))))


def rate(table, **where):
    """The peak learning rate of an arm."""
    return table.select(**where)["peak_lr"].iloc[0]


def with_rate(table, arm):
    """An arm of the axis "rate" for people: its label and its peak."""
    return f"{arm.label}, {style.power(rate(table, rate=arm.name))}"


def parts(table, steps):
    """Steps as a part of training, in percent."""
    return 100 * float(steps) / table.spec.steps


def percent(table, steps):
    """Steps as a part of training, for people: "0.5 %"."""
    return f"{parts(table, steps):.2g} %" if parts(table, steps) < 99.5 else "100 %"


def tokens_a_step(table, **where):
    """Training tokens of an optimizer step of an arm."""
    row = table.select(**where).iloc[-1]
    return row["trained_tokens"] / row["step"]


def points(table, **wanted):
    """The steps that claims are judged at, as far as the selected rows have them; a quarter, a half, the end where none is claimed."""
    steps = claimed(table.spec) or set(map(table.spec.step, ("25%", "50%", "100%")))
    return sorted(steps & set(table.select(**wanted)["step"]))


def claimed(spec):
    """The steps that claims name one by one."""
    return {step for claim in spec.claims for step in judged_steps(spec, claim)}


def judged_steps(spec, claim):
    """Those of one claim."""
    sides = [claim, claim["this"], claim["that"], *claim.get("than", {}).values()]
    named = [side["at"] for side in sides if isinstance(side, dict) and "at" in side]
    return {spec.step(part) for at in named for part in (at if isinstance(at, list) else [at])}


def columns(table, most=5, **wanted):
    """The steps at which the selected rows have values, for a column of panels each; where there are too many, some of them."""
    steps = sorted(int(step) for step in table.select(**wanted)["step"].unique())
    return [steps[place] for place in np.linspace(0, len(steps) - 1, min(most, len(steps))).round().astype(int)]


# ---- words ---------------------------------------------------------------------------------------------------------------------
def word(average):
    """An average's name for people: "ema matched" becomes "EMA matched"."""
    return " ".join(part.upper() if part in ("lawa", "ema", "swa") else part for part in average.split())


def averages(table):
    """{average: its name for people, with its horizon}, in the order of the table: "LAWA (mean age 1 %)"."""
    labels = {}
    for average in table.data["average"].unique():
        if average != "plain":
            ages = table.models(average=average)["mean_age"].dropna()
            labels[average] = f"{word(average)} ({'mean age ' + percent(table, ages.iloc[0]) if len(ages) else 'its mean age grows'})"
    return labels


def recipe(table, average):
    """What a LAWA is a mean of, for the footer."""
    models = table.models(average=average)
    if models.empty:
        return ""
    one = models.iloc[0]
    stride = "step" if one["stride"] == 1 else f"{one['stride']} steps"
    return (f"{word(average)}: mean of the newest {one['window']} checkpoints, one every {stride} ({percent(table, one['stride'])} of "
            f"training; mean age {percent(table, one['mean_age'])}).")


def weights(colour, average="lawa"):
    """{average: look} where colour says which run: plain thin and pale, the average bold."""
    return {"plain": {"color": style.pale(colour, 0.35), "linewidth": style.PLAIN_WIDTH},
            average: {"color": colour, "linewidth": style.BOLD_WIDTH}}


# ---- curves over steps -----------------------------------------------------------------------------------------------------------
def band(axis, table, curves, label=None, scale=1, **look):
    """The mean over seeds, and where there are several, its interval. curves: DataFrame [step, seed]; scale: of the steps."""
    mean, steps = curves.mean(axis=1), curves.index * scale
    half = half_widths(curves, table.spec.confidence)
    look = {"linewidth": style.BOLD_WIDTH, **look}
    if half is not None:
        axis.fill_between(steps, mean - half, mean + half, color=look["color"], alpha=0.18, linewidth=0)
    axis.plot(steps, mean, label=label, **look)
    return mean


def loss(axis, table, label=None, look=None, scale=1, function=None, **wanted):
    """The losses of one model of an arm, or a function of them. Returns the mean over seeds [step], empty where there are no rows."""
    if table.select(**wanted).empty:
        return pandas.Series(dtype=float)
    curves = table.curves(**wanted)
    return band(axis, table, function(curves) if function else curves, label, scale, **(look or {}))


def gain(axis, table, label=None, look=None, **wanted):
    """The losses of an average minus plain, of the same runs. Returns the mean over seeds [step]."""
    if table.select(**wanted).empty or (curves := table.gains(**wanted)).empty:
        return pandas.Series(dtype=float)
    return band(axis, table, curves, label, **(look or {}))


def over_steps(axis, table, title, shown, zero=False, scale=1, unit="optimizer step"):
    """The frame of a panel over steps, or over another unit, `scale` of which is a step: limits around what is shown of the later part of
    training, the claims' steps in the background."""
    spec = table.spec
    style.frame(axis, [mean[mean.index >= spec.view_from * spec.steps] for mean in shown] + ([np.zeros(1)] if zero else []))
    axis.set_xlim(0, spec.steps * scale)
    axis.set_xlabel(unit)
    axis.set_title(title)
    if zero:
        zero_line(axis)
        cap(axis)
    for claim in spec.claims:
        if "over" in claim:
            axis.axvspan(*(spec.step(part) * scale for part in claim["over"]), color=style.SHADE, linewidth=0, zorder=0)
    for step in sorted(claimed(spec) - {spec.steps}):
        axis.axvline(step * scale, color=style.RULE, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)


def zero_line(axis):
    """Where an average is as good as the plain weights."""
    axis.axhline(0, color=style.INK, linewidth=0.8, zorder=1)


def cap(axis):
    """Losses need little more room than gains have: limits a panel above zero by what it has below."""
    low, high = axis.get_ylim()
    if 0.08 * high < -low < high / 1.3:
        axis.set_ylim(low, -1.3 * low)


def published(axis, table, scale=1, **wanted):
    """The paper's curves for this figure, at its own scale only. Returns them, each a Series [step]."""
    if table.spec.scale != "paper":
        return []
    with open(PAPER, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["figure"] == table.spec.name]
    rows = [row for row in rows if all((float(row[name]) if name == "rate" else row[name]) == value for name, value in wanted.items())]
    curves = []
    for name in dict.fromkeys((row["size"], row["curve"], row["rate"]) for row in rows):
        own = [row for row in rows if (row["size"], row["curve"], row["rate"]) == name]
        curves.append(pandas.Series([float(row["loss"]) for row in own], [int(row["step"]) for row in own]))
        axis.plot(curves[-1].index * scale, curves[-1], color=style.GREY, linewidth=1, linestyle=":", label="the paper's (digitised)")
    return curves


# ---- gains over a setting ----------------------------------------------------------------------------------------------------------
def losses_at(table, step, column="loss", **wanted):
    """Series [seed] of one model of an arm at a step; empty where there are no rows."""
    return table.select(step=step, **wanted).set_index("seed", verify_integrity=True)[column].astype(float)


def value(table, step, **wanted):
    """The Estimate of losses at a step; None where there are no rows."""
    losses = losses_at(table, step, **wanted)
    return None if losses.empty else estimate(losses, table.spec.confidence)


def difference(table, step, this, that, column="loss"):
    """The Estimate of losses of one selection minus those of another, paired by seed; None where no seed has both."""
    pairs = (losses_at(table, step, column, **this) - losses_at(table, step, column, **that)).dropna()
    return None if pairs.empty else estimate(pairs, table.spec.confidence)


def at(table, step, column="loss", **wanted):
    """The Estimate of a model's gain at a step: its loss minus plain, of the same runs; None where no seed has it."""
    return difference(table, step, wanted, {**without_model(wanted), "average": "plain"}, column)


def response(axis, xs, estimates, label=None, marker="o", size=3, **look):
    """Estimates over a setting, joined by a line, with bars for their intervals. Those that are None are left out."""
    there = sorted(((x, one) for x, one in zip(xs, estimates) if one), key=lambda pair: pair[0])
    if there:
        xs, found = zip(*there)
        axis.errorbar(xs, [one.mean for one in found], bars(found), label=label, marker=marker, markersize=size, elinewidth=0.7,
                      **{"linewidth": 1.2, **look})
    return there


def bars(estimates):
    """Halves of the intervals; None with one run."""
    return [(one.interval[1] - one.interval[0]) / 2 for one in estimates] if all(one.interval for one in estimates) else None


def ring(axis, x, y, label=None):
    """A ring around the best one."""
    axis.plot([x], [y], marker="o", markersize=8.5, markerfacecolor="none", markeredgecolor=style.INK, markeredgewidth=1, linestyle="",
              label=label, zorder=5, clip_on=False)


def ring_lowest(axis, found, label=None):
    """A ring around the lowest of [(x, Estimate)]."""
    if found:
        x, best = min(found, key=lambda pair: pair[1].mean)
        ring(axis, x, best.mean, label)


def log_axis(axis, values, title, text="{:.2g}".format):
    """A logarithmic x axis with a tick at each value that a setting takes, and its number where there is room."""
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set_xlabel(title)
    low, high = min(values, default=1) / 1.2, max(values, default=1) * 1.2
    axis.set_xlim(low, high)
    inches = axis.get_position().width * style.WIDTH / np.log(high / low)
    words, edge = [], -1
    for value in values:
        place, half = np.log(value / low) * inches, 0.026 * len(text(value))
        words.append(text(value) if place - half > edge else "")
        edge = place + half if words[-1] else edge
    axis.set_xticks(values, words)


def decades(axis, title):
    """A logarithmic x axis with its decades."""
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    axis.set_xlabel(title)


def tuned(table, step, average, **where):
    """The model of an average that the first half of the validation set picks at a step; None where there are no rows."""
    rows = table.select(average=average, step=step, **where)
    return None if rows.empty else verdicts.best(rows, [step])


def dodged(axis, places, groups):
    """Estimates side by side at named places. groups: [(label, colour, estimates in the order of the places)]"""
    zero_line(axis)
    for place in range(1, len(places)):
        axis.axvline(place - 0.5, color=style.RULE, linewidth=0.5)
    for number, (label, colour, estimates) in enumerate(groups):
        shift = 0.5 * (number - (len(groups) - 1) / 2) / len(groups)
        response(axis, np.arange(len(places)) + shift, estimates, label, size=4.5, color=colour, linewidth=0)
    axis.set_xticks(range(len(places)), places)
    axis.set_xlim(-0.5, len(places) - 0.5)
    axis.tick_params(axis="x", length=0)


# ---- heat maps ---------------------------------------------------------------------------------------------------------------------
def heat_map(axis, values, rows, columns, limit):
    """Thousandths on colours: blue below zero, orange above; the lowest framed. values: [row, column], nan: not there; limit: of the
    colours."""
    axis.imshow(values, cmap=style.DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = abs(value) > 0.6 * limit
            axis.text(column, row, signed(1000 * value, 0), ha="center", va="center", fontsize=7, color="white" if dark else style.INK)
    if np.isfinite(values).any():
        row, column = np.unravel_index(np.nanargmin(values), values.shape)
        axis.add_patch(style.plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=style.INK, linewidth=1.4))
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
