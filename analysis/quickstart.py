"""Validation loss over steps, plain and LAWA, at the usual and at the high learning rate; and what LAWA gains at each."""
import panels
import style


def draw(table):
    """Left: losses; right: LAWA minus plain. Shaded: the part of training that the claims compare."""
    colours, rates = panels.colours(table, "rate"), panels.arms(table, "rate")
    figure, [[losses, gains]] = style.new(table, [(2.4, (1.3, 1), "")], f"{panels.recipe(table, 'lawa')} Shaded: what the claims compare.",
                                          keys=2)
    shown, differences = [], []
    for arm in reversed(rates):
        words, colour = panels.with_rate(table, arm), colours[arm.name]
        for average, look in panels.weights(colour).items():
            shown.append(panels.loss(losses, table, f"{words}: {panels.word(average)}", look=look, average=average, rate=arm.name))
        differences.append(panels.gain(gains, table, look={"color": colour}, average="lawa", rate=arm.name))
    panels.over_steps(losses, table, "Validation loss, nats/token", shown)
    panels.over_steps(gains, table, "Gain: LAWA \u2212 plain, nats/token", differences, zero=True)
    style.legend(figure, [losses], columns=len(rates))
    return figure
