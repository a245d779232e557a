"""LAWA against EMA: the paper's, one of LAWA's mean age, and both tuned with equal effort."""
import panels
import style

TUNED = {"lawa grid": ("LAWA candidates", style.LOOKS["lawa"]["color"], "o"),
         "ema grid": ("EMA candidates", style.LOOKS["ema"]["color"], "D")}


def draw(table):
    """Above: gains over steps, a panel for each rate. Below, a row for each rate: all candidates over their mean age, at several points."""
    rates, steps = panels.arms(table, "rate"), panels.columns(table, average="lawa grid")
    figure, (above, *below) = style.new(
        table, [(1.7, (1,) * len(rates), "")] + [(1.3, (1,) * len(steps), f"Candidates, {arm.label}") for arm in rates],
        f"{panels.recipe(table, 'lawa')} Candidates: losses of the second half of the validation text; ringed: the one of each scheme that "
        "the first half picks.", keys=2)
    averages = {average: label for average, label in panels.averages(table).items() if average not in TUNED}
    for arm, axis in zip(rates, above):
        shown = [panels.gain(axis, table, label, look=style.LOOKS[average], average=average, rate=arm.name)
                 for average, label in averages.items()]
        panels.over_steps(axis, table, f"Gain on plain, {panels.with_rate(table, arm)}", shown, zero=True)
    for arm, row in zip(rates, below):
        for step, axis in zip(steps, row):
            _draw_candidates(axis, table, step, arm)
    style.legend(figure, [*above, *sum(below, [])], columns=3)
    return figure


def _draw_candidates(axis, table, step, arm):
    """The gains of all candidates at a step, over their mean age."""
    panels.zero_line(axis)
    for average, (label, colour, marker) in TUNED.items():
        models, where = table.models(average=average, rate=arm.name), {"average": average, "rate": arm.name}
        ages = [panels.parts(table, age) for age in models["mean_age"]]
        estimates = [panels.at(table, step, "report_loss", model=model, **where) for model in models["model"]]
        panels.response(axis, ages, estimates, label, marker, color=colour, linewidth=0)
        if picked := panels.tuned(table, step, **where):
            place = list(models["model"]).index(picked)
            panels.ring(axis, ages[place], estimates[place].mean, "picked by the other half")
    panels.cap(axis)
    panels.decades(axis, "mean age, % of training")
    axis.set_title(f"at {panels.percent(table, step)}")
