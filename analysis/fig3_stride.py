"""The gain of LAWA over the spacing of its checkpoints, for several windows, at several points of training."""
import panels
import style


def draw(table):
    """A row for each rate, a column for each point of training; in each a line for each window k, and a ring around the best."""
    rates, steps = panels.arms(table, "rate"), panels.columns(table, average="grid")
    figure, rows = style.new(table, [(1.35, (1,) * len(steps), panels.with_rate(table, arm)) for arm in rates],
                             "Mean age of a window: (k \u2212 1) / 2 times the spacing. A window that isn't full yet has no value.")
    windows = sorted(table.models(average="grid")["window"].unique())
    spacings = sorted(table.models(average="grid")["stride"].unique())
    places = [panels.parts(table, spacing) for spacing in spacings]
    for arm, row in zip(rates, rows):
        for step, axis in zip(steps, row):
            panels.zero_line(axis)
            found = []
            for window, colour in zip(windows, style.shades(len(windows))):
                estimates = [panels.at(table, step, average="grid", rate=arm.name, window=window, stride=spacing) for spacing in spacings]
                found += panels.response(axis, places, estimates, f"k = {window}", color=colour)
            panels.ring_lowest(axis, found, "the best of a panel")
            panels.log_axis(axis, places, "")
            panels.cap(axis)
            axis.tick_params(axis="x", labelsize=6.8)
            axis.set_title(f"at {panels.percent(table, step)}")
    for axis in rows[-1]:
        axis.set_xlabel("spacing, %")
    style.legend(figure, sum(rows, []), columns=5)
    return figure
