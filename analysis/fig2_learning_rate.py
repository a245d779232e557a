"""Learning rates: plain and LAWA over steps, what LAWA gains over steps, and that gain over the peak rate."""
import panels
import style


def draw(table):
    """Above: losses of all rates, plain and LAWA, on one scale; below: gains over steps, and over the rate at the claims' steps."""
    colours, rates = panels.colours(table, "rate"), panels.arms(table, "rate")
    figure, [[plain, lawa], [gains, over_rate]] = style.new(table, [(2.0, (1, 1), ""), (1.9, (1, 1), "")], panels.recipe(table, "lawa"),
                                                            keys=2)
    shown, differences = [], []
    for arm in rates:
        look, words = {"color": colours[arm.name], "linewidth": 1.3}, panels.with_rate(table, arm)
        for axis, average in ((plain, "plain"), (lawa, "lawa")):
            shown.append(panels.loss(axis, table, words, look=look, average=average, rate=arm.name))
            shown += panels.published(axis, table, curve=average, rate=panels.rate(table, rate=arm.name))
        differences.append(panels.gain(gains, table, look=look, average="lawa", rate=arm.name))
    panels.over_steps(plain, table, "Plain: validation loss, nats/token", shown)
    panels.over_steps(lawa, table, "LAWA: validation loss, nats/token", shown)
    panels.over_steps(gains, table, "Gain: LAWA \u2212 plain, nats/token", differences, zero=True)
    _draw_over_rate(over_rate, table, rates)
    style.legend(figure, [plain, lawa], columns=3)
    return figure


def _draw_over_rate(axis, table, rates):
    """The gain over the peak learning rate: a line for each step that claims name."""
    peaks = [panels.rate(table, rate=arm.name) for arm in rates]
    steps = panels.points(table, average="lawa")
    for step, colour in zip(steps, style.greys(len(steps))):
        estimates = [panels.at(table, step, average="lawa", rate=arm.name) for arm in rates]
        panels.response(axis, peaks, estimates, f"at {panels.percent(table, step)}", color=colour)
    panels.log_axis(axis, peaks, "peak learning rate")
    panels.zero_line(axis)
    axis.set_title("The same gain over the rate, at parts of training")
    style.inside(axis)
