"""The sweep that says which learning rate is the usual one."""
import panels
import style


def draw(table):
    """Left: plain losses over steps; right: the last one over the peak rate, the lowest ringed."""
    colours, rates = panels.colours(table, "rate"), panels.arms(table, "rate")
    figure, [[losses, last]] = style.new(table, [(2.4, (1.3, 1), "")], "No average is taken here, and no other figure uses this seed.")
    peaks = [panels.rate(table, rate=arm.name) for arm in rates]
    shown = [panels.loss(losses, table, style.power(peak), {"color": colours[arm.name], "linewidth": 1.2}, average="plain", rate=arm.name)
             for arm, peak in zip(rates, peaks)]
    panels.over_steps(losses, table, "Validation loss, nats/token", shown)
    ends = [panels.value(table, table.spec.steps, average="plain", rate=arm.name) for arm in rates]
    found = panels.response(last, peaks, ends, color=style.INK)
    panels.log_axis(last, peaks, "peak learning rate")
    panels.ring_lowest(last, found, "the usual rate")
    last.set_title("At the end of training")
    style.inside(last, "upper center")
    style.legend(figure, [losses], columns=6)
    return figure
