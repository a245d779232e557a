"""Between the weights and their EMA: the gain over lambda, with the embeddings averaged or left plain."""
import panels
import style

HEADINGS = {"all": "all weights averaged", "embeddings plain": "embeddings left plain"}


def draw(table):
    """A row for averaged and one for plain embeddings, a column for each point of training; in each a line for each EMA."""
    names, steps = list(panels.averages(table)), panels.columns(table, average=list(panels.averages(table)))
    figure, rows = style.new(table, [(1.5, (1,) * len(steps), f"Gain on plain, nats/token: {HEADINGS.get(name, name)}") for name in names],
                             "lambda = 0: the plain weights, 1: their EMA; its mean age is a part of training.")
    ages = sorted(table.models(average=names)["mean_age"].unique())
    for average, row in zip(names, rows):
        for step, axis in zip(steps, row):
            panels.zero_line(axis)
            found = []
            for place, (age, colour) in enumerate(zip(ages, style.shades(len(ages)))):
                models = table.models(average=average, mean_age=age)
                estimates = [panels.at(table, step, average=average, model=model) for model in models["model"]]
                label = f"mean age {panels.percent(table, age)}"
                found += panels.response(axis, models["blend"] + 0.01 * place, estimates, label, color=colour)
            panels.ring_lowest(axis, found, "the best of a panel")
            panels.cap(axis)
            axis.set_xticks(sorted(table.models(average=average)["blend"].unique()))
            axis.set_title(f"at {panels.percent(table, step)} of training")
    for axis in rows[-1]:
        axis.set_xlabel("lambda")
    style.legend(figure, sum(rows, []), columns=5)
    return figure
