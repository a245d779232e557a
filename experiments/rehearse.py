"""A figure's claims judged before anything is trained, on a table with every row and equal losses: what can't be judged is named now."""
import verdicts
from collect import collect
from record import Record


def rehearse(spec, runs):
    """The verdicts. runs: [(coordinates, Run)]. Errors: a claim that names what the figure doesn't keep, or a step that isn't evaluated."""
    if "seed" not in spec.axes:
        raise ValueError(f"{spec.name}: has no axis seed")
    judged = verdicts.judge(collect(spec, [(cell, run, made_up(spec, cell, run)) for cell, run in runs]))
    for verdict in judged:
        if verdict.n < len(spec.axes["seed"]):
            raise ValueError(f"{spec.name}: claim {verdict.claim}: {verdict.models[0]} and {verdict.models[1]} don't both have values "
                             f"at {verdict.steps}")
    return judged


def made_up(spec, cell, run):
    """The Record of a run in which everything that the figure asks for has the loss 1."""
    labels = {("plain", step) for step in run.needs[spec.name]["plain"]}
    for average in spec.averages_of(cell):
        labels |= {(model, average.label(step)) for model in average.models for step in run.points_of_average(spec, average)
                   if enough(average, step)}
    lines = [f'"{model}",{step},1,1,1\n' for model, step in sorted(labels)]
    return Record({"key": run.key, "outcome": "complete", "last_step": run.steps, "made_by": {}, "timing": {}},
                  "".join(["model,step,loss,tune_loss,report_loss\n", *lines]))


def enough(average, step):
    """Whether an average has its snapshots at a step: k, or two where it has no window."""
    stride, first = average.keys.get("stride", 1), average.keys.get("first", 0)
    before = max(-(-first // stride), 1)   # the first snapshot is that of step before * stride
    return average.label(step) // stride - before + 1 >= max(average.window, 2)
