"""Averages over a constant rate against branches whose rate really decays."""
import interpreter  # noqa: F401
import numpy as np

import panels
import style


def draw(table):
    """Above: losses over steps, and what everything has where the decays end; below: gains of all windows over the constant rate."""
    spec, steps = table.spec, panels.columns(table, average="grid")
    figure, [[losses, apart], maps] = style.new(
        table, [(2.3, (1.2, 1), ""), (0.8, (1,) * len(steps), "Gain of each window at a constant rate, thousandths of a nat/token")],
        "Tuned: the best window of those below, picked on the first half of the "
        "validation text, judged on the second.", keys=2)
    constant, *branches = spec.axes["schedule"]
    ends = {arm.name: spec.step(arm.keys.get("schedule.steps", spec.steps)) for arm in branches}
    plain = {"average": "plain", "schedule": constant.name}
    labels = {average: f"mean {label}" for average, label in panels.averages(table).items() if average != "grid"}
    colours = dict(zip(labels, style.PALETTE))
    shown = [panels.loss(losses, table, f"plain, {constant.label}", style.LOOKS["plain"], **plain)]
    for average, label in labels.items():
        look = {"color": colours[average], "linewidth": 1.4}
        shown.append(panels.loss(losses, table, label, look, average=average, schedule=constant.name))
    decay = {"color": style.PALETTE[4], "linewidth": 1.4}
    for name in ends:
        shown.append(panels.loss(losses, table, "plain, branches that decay", decay, average="plain", schedule=name))
    panels.over_steps(losses, table, "Validation loss, nats/token", shown)
    panels.dodged(apart, [f"at {panels.percent(table, step)}" for step in ends.values()],
                  [(None, colours[average], [panels.at(table, step, average=average, schedule=constant.name) for step in ends.values()])
                   for average in labels]
                  + [("mean of a tuned window", style.VIOLET, [_tuned(table, step, constant) for step in ends.values()]),
                     (None, decay["color"], [panels.difference(table, step, {"average": "plain", "schedule": name}, plain)
                                             for name, step in ends.items()])])
    apart.set_title("Minus plain at a constant rate, nats/token")
    _draw_windows(maps, table, steps, constant)
    style.legend(figure, [losses, apart], columns=3)
    return figure


def _tuned(table, step, constant):
    """The gain of the picked window, on the other half of the validation text."""
    where = {"average": "grid", "schedule": constant.name}
    return panels.at(table, step, "report_loss", model=panels.tuned(table, step, **where), **where)


def _draw_windows(maps, table, steps, constant):
    """The gain of each window k and spacing, a map for each point of training, all with the same colours."""
    windows = sorted(table.models(average="grid")["window"].unique())
    spacings = sorted(table.models(average="grid")["stride"].unique())
    def gains(step):
        found = [[panels.at(table, step, average="grid", schedule=constant.name, window=window, stride=stride) for stride in spacings]
                 for window in windows]
        return np.array([[one.mean if one else np.nan for one in row] for row in found])
    values = [gains(step) for step in steps]
    limit = max((-np.nanmin(own) for own in values if np.isfinite(own).any()), default=1)
    for axis, step, own in zip(maps, steps, values):
        panels.heat_map(axis, own, windows, [f"{panels.parts(table, stride):.2g}" for stride in spacings], limit)
        axis.set_title(f"at {panels.percent(table, step)}")
        axis.set_xlabel("spacing, %")
    for axis in maps[:1]:
        axis.set_ylabel("window k")
