"""LAWA in the middle of a long run against plain runs whose schedule ends there."""
import panels
import style


def draw(table):
    """Left: the long run, plain and LAWA, and the shorter ones; right: the long run minus the plain one that ends at that step."""
    spec, budgets = table.spec, panels.arms(table, "budget")
    figure, [[losses, apart]] = style.new(
        table, [(2.5, (1.2, 1), "")], f"{panels.recipe(table, 'lawa')} Tuned: the best of {len(table.models(average='grid'))} windows, "
        "picked on the first half of the validation text, judged on the second.", keys=2)
    ends = {arm.name: spec.step(arm.keys.get("schedule.steps", spec.steps)) for arm in budgets}
    whole = max(ends, key=ends.get)
    short = sorted((name for name in ends if ends[name] < spec.steps), key=ends.get)
    shown = [panels.loss(losses, table, f"long run, {panels.word(average)}", style.LOOKS[average], average=average, budget=whole)
             for average in ("plain", "lawa")]
    for name in short:
        look = {"color": style.PALETTE[4], "linewidth": 1}
        panels.loss(losses, table, "run that ends there, plain", look, average="plain", budget=name)
        panels.response(losses, [ends[name]], [panels.value(table, ends[name], average="plain", budget=name)], color=look["color"], size=4)
    panels.over_steps(losses, table, "Validation loss, nats/token", shown)

    def minus_short(average):
        return [panels.difference(table, ends[name], {"average": average, "budget": whole}, {"average": "plain", "budget": name})
                for name in short]

    def picked_minus_short(name):
        this = {"average": "grid", "budget": whole}
        this["model"] = panels.tuned(table, ends[name], **this)
        return panels.difference(table, ends[name], this, {"average": "plain", "budget": name}, "report_loss")

    panels.dodged(apart, [f"at {panels.percent(table, ends[name])}" for name in short],
                  [(None, style.LOOKS[average]["color"], minus_short(average)) for average in ("plain", "lawa")]
                  + [("long run, LAWA tuned", style.VIOLET, [picked_minus_short(name) for name in short])])
    apart.set_title("Long run \u2212 run that ends there, nats/token")
    style.legend(figure, [losses, apart], columns=2)
    return figure
