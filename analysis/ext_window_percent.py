"""The gain over the span of the window: how much of training should an average reach back?"""
import panels
import style


def draw(table):
    """A panel for each rate; in each a line for each point of training, and a ring around its best span."""
    rates, steps = panels.arms(table, "rate"), panels.columns(table, average="span")
    models = table.models(average="span").sort_values("stride")
    figure, [row] = style.new(table, [(2.4, (1,) * len(rates), "")], "Span: the window's number of checkpoints times their spacing; its "
                              "mean age is a little less than half of that. A window that isn't full yet has no value.")
    spans = [panels.parts(table, one.window * one.stride) for one in models.itertuples()]
    for arm, axis in zip(rates, row):
        panels.zero_line(axis)
        for step, colour in zip(steps, style.shades(len(steps))):
            estimates = [panels.at(table, step, average="span", model=model, rate=arm.name) for model in models["model"]]
            found = panels.response(axis, spans, estimates, f"at {panels.percent(table, step)} of training", color=colour)
            panels.ring_lowest(axis, found, "the best span")
        panels.log_axis(axis, spans, "span of the window, % of training")
        panels.cap(axis)
        axis.set_title(f"Gain on plain, {panels.with_rate(table, arm)}")
    style.legend(figure, row, columns=5)
    return figure
