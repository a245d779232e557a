"""From the records of a figure's runs to its table: data.csv and timing.csv."""
import interpreter  # noqa: F401
import pandas

from table import MODEL, VALUES, Table

TIMING = ["run", "steps", "tokens", "ranks", "train_seconds", "evaluate_seconds", "tokens_per_second", "kwh"]


def collect(spec, runs, partial=False):
    """The Table of a figure. runs: [(coordinates, Run, Record or None)]. Errors: a run that is missing, unless partial; runs on
    different texts."""
    rows, timing, missing, diverged, digests = [], [], [], [], {}
    for cell, run, record in runs:
        if record is None:
            missing.append(run.name())
            continue
        if record.diverged:
            diverged.append(f"{run.name()} after step {record.facts['last_step']}")
        digests[record.facts["made_by"].get("tokens_digest")] = run.name()
        own = {**cell, **{key.rpartition(".")[2]: run.keys.get(key) for key in spec.columns}}
        rows += [{**own, **line, "run": run.key} for line in evaluations(spec, cell, run, record)]
        steps = max(record.facts["last_step"] - run.first_step, 0)
        timing.append({**cell, "run": run.key, "steps": steps, "tokens": run.tokens * steps // (run.steps - run.first_step),
                       **{name: record.facts["timing"].get(name) for name in TIMING[3:]}})
    if missing and not (partial and rows):
        raise ValueError(f"{spec.name}: {len(missing)} of {len(runs)} runs are missing: {', '.join(missing[:6])}"
                         f"{', …' if len(missing) > 6 else ''}")
    if len(digests) > 1:
        raise ValueError(f"{spec.name}: its runs read different texts: {', '.join(digests.values())}")
    keys = [key.rpartition(".")[2] for key in spec.columns]
    data = pandas.DataFrame(rows, columns=list(dict.fromkeys([*spec.axes, *keys, *MODEL, *VALUES])))
    data = data.astype({axis: str for axis in spec.axes if axis != "seed"})
    return Table(data, spec, pandas.DataFrame(timing, columns=[*spec.axes, *TIMING]), missing, diverged)


def evaluations(spec, cell, run, record):
    """The rows of one run: of each model that the figure asks for, the steps that it asks for; plain wherever a model has a row."""
    plain = {"average": "plain", "model": "plain", "scheme": "plain", "window": 1, "stride": 0, "mean_age": 0.0, "blend": 1.0}
    uses = {"plain": [(plain, run.needs[spec.name]["plain"])]}
    for average in spec.averages_of(cell):
        steps = {average.label(step) for step in run.points_of_average(spec, average)}
        for model, blend in average.models.items():
            description = {"average": average.name, "model": model, "scheme": average.keys["scheme"], "window": average.window,
                           "stride": average.keys.get("stride", 1), "mean_age": average.mean_age, "blend": blend}
            uses.setdefault(model, []).append((description, steps))
    tokens = run.keys["batch.global_sequences"] * run.keys["model.context"]
    for line in record.lines():
        for description, steps in uses.get(line["model"], ()):
            if line["step"] in steps:
                yield {**description, **line, "trained_tokens": line["step"] * tokens}
