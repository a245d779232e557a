"""Validation loss over steps, plain and LAWA, at the usual and at the high learning rate; and what LAWA gains at each."""
import numpy as np

import style
import verdicts


def draw(table, spec):
    """The figure of a table by its Spec. Left: losses; right: LAWA minus plain; the verdict's range is shaded."""
    figure, (losses, gain) = style.new(3.7, (1.45, 1), spec.title, spec.subtitle)
    for axis in (losses, gain):
        _shade(axis, table, spec)
    _draw_losses(losses, table, spec)
    _draw_gains(gain, table, spec)
    style.footer(figure, _footer(table, spec))
    return figure


def _shade(axis, table, spec):
    """The verdict's part of training, in the background, and the axis of steps."""
    last = table.last_step(spec.arms[0].name)
    first_fraction, last_fraction = spec.verdict_range
    axis.axvspan(first_fraction * last, last_fraction * last, color=style.SHADE, linewidth=0, zorder=0)
    axis.set_xlim(0, last)
    axis.set_xlabel("optimizer step")


def _half_widths(curves, confidence):
    """Half of the interval of the mean over seeds at each step (nats/token); None with one seed."""
    n = len(curves)
    return None if n < 2 else verdicts.student_t(confidence, n - 1) * curves.std(axis=0, ddof=1) / np.sqrt(n)


def _draw_losses(axis, table, spec):
    shown = []
    for arm, colour in reversed(list(zip(spec.arms, style.RUN_COLOURS))):
        rate = style.power(table.only("peak_lr", arm=arm.name))
        for model, name, tint, width in (("lawa", "LAWA", colour, style.BOLD_WIDTH),
                                         ("plain", "plain", style.pale(colour, 0.35), style.PLAIN_WIDTH)):
            steps, curves = table.losses(arm.name, model)
            style.band(axis, steps, curves, _half_widths(curves, spec.confidence), tint, width, f"{arm.label} {rate}, {name}")
            shown.append(curves.mean(axis=0)[steps >= spec.view_from * table.last_step(arm.name)])
    style.frame(axis, shown)
    axis.set_title("Validation loss, nats/token")
    axis.legend(loc="upper right", handlelength=1.6, borderaxespad=0.2)


def _draw_gains(axis, table, spec):
    shown = [np.zeros(1)]
    for arm, colour in zip(spec.arms, style.RUN_COLOURS):
        by_seed = [verdicts.gains(table, arm.name, seed) for seed in table.values("seed", arm=arm.name)]
        steps = np.array(sorted(set.intersection(*map(set, by_seed))))
        curves = np.array([[gain[step] for step in steps] for gain in by_seed])
        style.band(axis, steps, curves, _half_widths(curves, spec.confidence), colour, style.BOLD_WIDTH)
        shown.append(curves.mean(axis=0)[steps >= spec.view_from * table.last_step(arm.name)])
    axis.axhline(0, color=style.INK, linewidth=0.8)
    style.frame(axis, shown, room_above=0.35)
    axis.set_title("Gain: LAWA \u2212 plain, nats/token")
    _write_means(axis, table, spec)


def _write_means(axis, table, spec):
    """Each arm's mean over the verdict's range: a dashed rule there, and the number in the corner."""
    last = table.last_step(spec.arms[0].name)
    first_fraction, last_fraction = spec.verdict_range
    lines = [("mean, shaded part", style.GREY, "normal")]
    judged = verdicts.judge_all(table, spec)
    for arm, verdict, colour in reversed(list(zip(spec.arms, judged, style.RUN_COLOURS))):
        axis.hlines(verdict.mean, first_fraction * last, last_fraction * last, color=colour, linewidth=0.8,
                    linestyle=(0, (3, 2)))
        number = verdicts.signed(verdict.mean)
        if verdict.interval:
            number += f" \u00b1 {(verdict.interval[1] - verdict.interval[0]) / 2:.4f}"
        lines.append((f"{arm.label}  {number}", colour, "bold"))
    for row, (text, colour, weight) in enumerate(lines):
        axis.annotate(text, (1, 1), (-3, -4 - 11 * row), xycoords="axes fraction", textcoords="offset points",
                      ha="right", va="top", color=colour, fontweight=weight, fontsize=7.5)


def _footer(table, spec):
    first_fraction, last_fraction = spec.verdict_range
    window, stride = table.only("window", model="lawa"), table.only("stride", model="lawa")
    n = min(len(table.values("seed", arm=arm.name)) for arm in spec.arms)
    seeds = (f"n = {n} seeds; bands: {100 * spec.confidence:g} % Student-t interval of the mean" if n > 1
             else "n = 1 seed, so there is no interval over seeds")
    return (f"LAWA: uniform mean of the newest {window} checkpoints, one every {stride} steps.  {seeds}.\n"
            f"Shaded: {100 * first_fraction:g}\u2013{100 * last_fraction:g} % of training; dashed: means over it, which the verdict compares.")
