"""Perplexity over the hours that training took, and the hours by which LAWA is ahead of the plain weights of the same run."""
import interpreter  # noqa: F401
import numpy as np
import pandas

import panels
import style
import verdicts


def draw(table):
    """Above: perplexity over hours, a panel for each rate; below: how far ahead LAWA is at each moment."""
    rates = panels.arms(table, "rate")
    columns = (1,) * len(rates)
    figure, [above, below] = style.new(table, [(2.0, columns, ""), (1.3, columns, "")],
                                       f"{panels.recipe(table, 'lawa')} Ahead: as long as plain gets there at all. {_energy(table)}")
    for arm, perplexity, saved in zip(rates, above, below):
        of_step, unit = _time_a_step(table, arm)
        shown = [panels.loss(perplexity, table, label, style.LOOKS[average], of_step, np.exp, average=average, rate=arm.name)
                 for average, label in {"plain": "plain", **panels.averages(table)}.items()]
        panels.over_steps(perplexity, table, f"Perplexity, {panels.with_rate(table, arm)}", shown, scale=of_step, unit=unit)
        _draw_saved(saved, table, arm, of_step, unit)
        for step in panels.points(table, average="lawa", rate=arm.name)[:1]:
            _point_out(perplexity, *shown[:2], step, of_step, unit)
    style.legend(figure, above, columns=4)
    return figure


def _time_a_step(table, arm):
    """(device hours of an optimizer step, the mean of the arm's runs, "hours"), or in minutes where a run takes less than two hours."""
    own = table.timing[table.timing["rate"] == arm.name]
    hours = float((own["train_seconds"] * own["ranks"] / own["steps"]).mean()) / 3600
    return (60 * hours, "minutes") if hours * table.spec.steps < 2 else (hours, "hours")


def _energy(table):
    """What the runs drew, where it was measured."""
    kwh = table.timing["kwh"].dropna() if "kwh" in table.timing else []
    return f"A run drew {np.mean(kwh):.2g} kWh." if len(kwh) else ""


def _draw_saved(axis, table, arm, of_step, unit):
    """How much later the plain weights have the loss that LAWA has, for each seed."""
    lawa, plain = (table.curves(average=average, rate=arm.name) for average in ("lawa", "plain"))
    def of_seed(seed):
        found = {step: verdicts.steps_later(plain[seed], step, loss) for step, loss in lawa[seed].items()}
        return pandas.Series({step: steps * of_step for step, (steps, reached) in found.items() if reached}, dtype=float)
    curves = pandas.DataFrame({seed: of_seed(seed) for seed in lawa.columns.intersection(plain.columns)}).dropna()
    if not curves.empty:
        panels.band(axis, table, curves, scale=of_step, **style.LOOKS["lawa"])
    panels.over_steps(axis, table, f"{unit.capitalize()} that LAWA is ahead", [curves.min(axis=1), curves.max(axis=1)], zero=True,
                      scale=of_step, unit=unit)


def _point_out(axis, plain, lawa, step, of_step, unit):
    """An arrow from LAWA at a step to where plain has the same perplexity."""
    steps, reached = verdicts.steps_later(plain, step, lawa[step])
    if not steps:
        return
    begin, end, y = step * of_step, (step + steps) * of_step, lawa[step]
    look = {"arrowstyle": "<->", "color": style.INK, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", (end, y), (begin, y), arrowprops=look)
    saved = f"{end - begin:.0f}" if end - begin >= 10 else f"{end - begin:.2g}"
    axis.annotate(f"{'' if reached else 'over '}{saved} {unit} sooner", (end, y), (0, 12), textcoords="offset points", fontsize=7.5,
                  fontweight="bold")
