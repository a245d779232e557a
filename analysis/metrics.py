"""metrics.jsonl, the record of a run, as curves: what training and every evaluation lost at which step."""
import csv
import io
import json
from dataclasses import dataclass

import interpreter  # noqa: F401
import numpy as np

COLUMNS = ("step", "loss", "trained_tokens", "lr", "grad_norm", "tokens_per_second")


@dataclass(frozen=True)
class Run:
    """The curves of one run. A curve is {column: values by ascending step}; a loss that was no number is NaN."""

    name: str
    training: dict      # a curve with all of COLUMNS
    validation: dict    # {model: curve}, plain first; an average stands at its newest member's step
    ended: bool         # nothing more will come, unless the run is resumed
    unreadable: tuple   # the numbers of the lines that are no lines of a metrics.jsonl

    def best_average(self):
        """The average whose newest loss is lowest; None where there is none."""
        newest = {model: curve["loss"][-1] for model, curve in self.validation.items() if model != "plain"}
        return min(newest, key=lambda model: np.nan_to_num(newest[model], nan=np.inf), default=None)

    def sentence(self):
        """Where the run is, in one line."""
        if not len(self.training["step"]):
            return f"{self.name}: no step yet"
        losses = {"training": smooth(self.training["loss"])}
        for model in ("plain", self.best_average()):
            if model in self.validation:
                losses[model] = self.validation[model]["loss"]
        words = ", ".join(f"{name} {values[-1]:.4f}" for name, values in losses.items())
        return f"{self.name}, step {int(self.training['step'][-1]):,}: {words}{', ended' if self.ended else ''}"


def file_of(folder):
    """A run's metrics.jsonl. Errors: no such folder, or none in it."""
    path = folder / "metrics.jsonl"
    if not folder.is_dir():
        raise ValueError(f"{folder}: {'is a file' if folder.exists() else 'is not there'}; name a run's folder")
    if not path.is_file():
        raise ValueError(f"{folder}: has no metrics.jsonl, so it is no run's folder, or the run has not begun")
    return path


def read(folder, name):
    """The Run in a folder. Errors: those of file_of.

    The last line may be cut, by a kill or because it is being written: it doesn't count. Where a step stands twice the later line
    counts.
    """
    training, validation, unreadable, kind, number = {}, {"plain": {}}, [], None, 0
    with open(file_of(folder), encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            try:
                line = json.loads(text)
                kind = line["kind"]
                if kind == "train":
                    training[line["step"]] = _point(line)
                elif kind == "evaluate":
                    validation.setdefault(line["model"], {})[line["step"]] = _point(line)
            except (ValueError, KeyError, TypeError):
                kind = None
                unreadable.append(number)
    if unreadable and unreadable[-1] == number:
        unreadable.pop()
    return Run(name, _curve(training), {model: _curve(points) for model, points in validation.items() if points},
               kind in ("summary", "outcome"), tuple(unreadable))


def _point(line):
    """The values of COLUMNS; NaN for null and for what the line doesn't have. Errors: the step or a value is no number."""
    known = {"trained_tokens": line.get("tokens"), **line}  # as it was called before
    return [int(line["step"])] + [float("nan" if known.get(column) is None else known[column]) for column in COLUMNS[1:]]


def _curve(points):
    return dict(zip(COLUMNS, np.array([points[step] for step in sorted(points)]).reshape(-1, len(COLUMNS)).T))


def smooth(losses):
    """The mean over a fiftieth of all steps around each; over a fifth of the steps so far where that is less, as losses fall fast."""
    n = len(losses)
    step = np.arange(n)
    half = np.minimum(n // 100, step // 10)
    first, last = step - half, np.minimum(step + half + 1, n)
    sums, counts = (np.concatenate([[0], np.cumsum(values)]) for values in (np.nan_to_num(losses), np.isfinite(losses)))
    with np.errstate(invalid="ignore"):  # nothing but NaN there: NaN
        return (sums[last] - sums[first]) / (counts[last] - counts[first])


def to_csv(runs):
    """All curves in long form, as CSV text; numbers with as many digits as they need to be read back exactly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("run", "step", "kind", "model", "loss", "trained_tokens"))
    for run in runs:
        curves = [("train", "plain", run.training)] + [("validation", *item) for item in run.validation.items()]
        for kind, model, curve in curves:
            for step, loss, tokens in zip(curve["step"], curve["loss"], curve["trained_tokens"]):
                writer.writerow((run.name, int(step), kind, model, float(loss), "" if np.isnan(tokens) else int(tokens)))
    return out.getvalue()
