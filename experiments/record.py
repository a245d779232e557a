"""What outlives a run: <key>.csv (every evaluation) and <key>.json (what made it), small enough to be committed."""
import csv
import io
import json
from dataclasses import dataclass

from files import read_json, write_whole

COLUMNS = ["model", "step", "loss", "tune_loss", "report_loss"]
PROGRAM = ("program", "git", "dirty", "build", "ranks", "device", "tokens_digest", "trajectory_hash")
DIGITS = 9   # after the point, of a loss in nats/token


@dataclass(frozen=True)
class Record:
    """A finished run."""

    facts: dict   # <key>.json
    text: str     # <key>.csv

    @property
    def diverged(self):
        return self.facts["outcome"] == "diverged"

    def lacks(self, wanted):
        """The first model whose evaluations (Run.wanted) aren't all recorded; "" if there is none."""
        return first_lacking(wanted, self.facts["recorded"])

    def lines(self):
        """Its evaluations: dicts of COLUMNS, numbers as numbers; None where the run has no halves."""
        for line in csv.DictReader(io.StringIO(self.text)):
            yield {"model": line["model"], "step": int(line["step"]),
                   **{name: float(line[name]) if line[name] else None for name in COLUMNS[2:]}}


def first_lacking(wanted, recorded):
    """The first model of `wanted` with steps that aren't in `recorded`; "" if there is none."""
    return next((model for model, points in wanted.items() if not set(points) <= set(recorded.get(model, ()))), "")


def sorted_points(wanted):
    """Run.wanted() with lists, as it is kept in files."""
    return {model: sorted(points) for model, points in sorted(wanted.items())}


def of_run(run, folder, energy_kwh):
    """The Record of a run that has ended in its folder: complete, or diverged. energy_kwh: None where it wasn't measured."""
    lines = metrics(folder)
    evaluations = [line for line in lines if line["kind"] == "evaluate"]
    trained = [line for line in lines if line["kind"] in ("train", "skip")]   # a step that was skipped is one all the same
    outcome = next((line for line in lines if line["kind"] == "outcome"), {"outcome": "complete"})
    last = trained[-1]["step"] if trained else 0
    if outcome["outcome"] == "complete" and last != run.steps and "stop.patience" not in run.keys:
        raise ValueError(f"the program has ended, but its last step is {last} of {run.steps}")
    resumed = any(line["kind"] == "resume" for line in lines)   # the energy of what came before isn't known
    own = read_json(folder / "provenance.json")
    seconds = sum(line["seconds"] for line in trained)
    timing = {"ranks": run.ranks, "train_seconds": round(seconds, 1),
              "evaluate_seconds": round(sum(line["seconds"] for line in evaluations), 1),
              "tokens_per_second": round(len(trained) * tokens_of_a_step(run) / seconds, 1) if seconds else None, "kwh": None if resumed else energy_kwh}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in sorted(evaluations, key=lambda line: (line["model"] != "plain", line["model"], line["step"])):
        losses = [line.get(name) for name in COLUMNS[2:]]
        writer.writerow([line["model"], line["step"], *("" if loss is None else f"{loss:.{DIGITS}f}" for loss in losses)])
    facts = {"key": run.key, "outcome": outcome["outcome"], "last_step": last,
             "config": run.keys, "text": run.text,
             "parent": {"key": run.parent.key, "step": run.parent_step, "average": run.parent_average} if run.parent else None,
             "recorded": read_json(folder / "request.json")["wanted"],
             "made_by": {name: own[name] for name in PROGRAM if name in own}, "timing": timing}
    return Record(facts, out.getvalue())


def tokens_of_a_step(run):
    """Training tokens of one optimizer step."""
    return run.keys["batch.global_sequences"] * run.keys["model.context"]


def metrics(folder):
    """The objects of a run's metrics.jsonl; none where there is no file yet, or for a line that a kill has cut."""
    path = folder / "metrics.jsonl"
    found = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return [line for line in found if isinstance(line, dict)]


def write(record, folder):
    """Writes both files, the .json last: a record is there when it is."""
    folder.mkdir(parents=True, exist_ok=True)
    key = record.facts["key"]
    write_whole(folder / f"{key}.csv", record.text)
    write_whole(folder / f"{key}.json", compact(record.facts))


def compact(facts):
    """JSON with a line for each entry: short, and readable in a diff."""
    inner = {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items() if name != "recorded"}
    models = ",\n  ".join(f"{json.dumps(model)}: {json.dumps(points)}" for model, points in facts["recorded"].items())
    entries = [f'"{name}": {value}' for name, value in inner.items()] + ['"recorded": {\n  ' + models + "}"]
    return "{" + ",\n ".join(entries) + "}\n"


def read(folder, key):
    """The Record in a folder, or None."""
    facts = read_json(folder / f"{key}.json")
    if not facts:
        return None
    return Record(facts, (folder / f"{key}.csv").read_text(encoding="utf-8"))
