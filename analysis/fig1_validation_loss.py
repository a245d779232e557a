"""Sizes side by side at the high rate: losses over steps, and what each average gains on the plain weights of the same run."""
import panels
import style


def draw(table):
    """A column for each size; above: losses, below: gains."""
    sizes = panels.arms(table, "size")
    columns = (1,) * len(sizes)
    figure, rows = style.new(
        table, [(1.9, columns, "Validation loss, nats/token"), (1.5, columns, "Gain on the plain weights of the same run, nats/token")],
        panels.recipe(table, "lawa"), keys=2)
    averages = panels.averages(table)
    for arm, losses, gains in zip(sizes, *rows):
        shown = {average: panels.loss(losses, table, label, look=style.LOOKS[average], average=average, size=arm.name)
                 for average, label in {"plain": "plain", **averages}.items()}
        papers = panels.published(losses, table, size=arm.name)
        differences = [panels.gain(gains, table, look=style.LOOKS[average], average=average, size=arm.name) for average in averages]
        peak = style.power(panels.rate(table, size=arm.name))
        panels.over_steps(losses, table, f"{arm.label}, peak rate {peak}", [shown["plain"], shown["lawa"], *papers])
        panels.over_steps(gains, table, arm.label, differences, zero=True)
        losses.set_xlabel("")
    style.legend(figure, rows[0], columns=3)
    return figure
