"""data.csv: one row for each evaluated weights file. The only thing that a drawing or a verdict reads."""
import csv
import io
import math
import os
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Row:
    """The loss of one model at one step of one run."""

    arm: str              # figure.toml's name of the run's kind
    peak_lr: float        # of the run's schedule
    seed: int
    model: str            # "plain", "lawa"
    window: int           # checkpoints in the average; 1 for plain
    stride: int           # steps between them; 0 for plain
    step: int             # optimizer step; an average has its newest checkpoint's
    tokens: int           # trained on up to this step
    loss: float           # on the validation set, nats/token
    trajectory_hash: str  # of the run


COLUMNS = [field.name for field in fields(Row)]


class Table:
    """Rows that passed the checks: whole columns, finite losses, no row twice."""

    def __init__(self, rows, source="table"):
        """Errors name `source` and the row."""
        self.rows = list(rows)
        seen = set()
        for row in self.rows:
            key = (row.arm, row.seed, row.model, row.window, row.stride, row.step)
            if key in seen:
                raise ValueError(f"{source}: arm {row.arm}, seed {row.seed}, {row.model}, step {row.step} stands twice")
            seen.add(key)
            if not math.isfinite(row.loss):
                raise ValueError(f"{source}: arm {row.arm}, seed {row.seed}, {row.model}, step {row.step}: "
                                 f"the loss is {row.loss}")
            if row.step < 0 or row.window < 1 or row.stride < 0:
                raise ValueError(f"{source}: arm {row.arm}, step {row.step}: negative step, window or stride")
        if not self.rows:
            raise ValueError(f"{source}: has no rows")

    def select(self, **wanted):
        """The rows whose columns have the wanted values, e.g. select(arm="high", model="lawa")."""
        return [row for row in self.rows if all(getattr(row, name) == value for name, value in wanted.items())]

    def values(self, column, **wanted):
        """The different values of a column among the selected rows, sorted."""
        return sorted({getattr(row, column) for row in self.select(**wanted)})

    def only(self, column, **wanted):
        """The one value that a column has in the selected rows. Errors: none, or several."""
        values = self.values(column, **wanted)
        if len(values) != 1:
            raise ValueError(f"{wanted}: expected one {column}, found {values or 'none'}")
        return values[0]

    def curve(self, arm, seed, model):
        """{step: loss in nats/token} of one model of one run, by ascending step."""
        return {row.step: row.loss for row in sorted(self.select(arm=arm, seed=seed, model=model), key=lambda r: r.step)}

    def last_step(self, arm):
        """The number of steps that the runs of an arm were trained for."""
        return max(self.values("step", arm=arm, model="plain"), default=0)

    def losses(self, arm, model):
        """(steps, losses[seed, step]) over the seeds of an arm, at the steps that all of them have."""
        curves = [self.curve(arm, seed, model) for seed in self.values("seed", arm=arm, model=model)]
        steps = sorted(set.intersection(*map(set, curves))) if curves else []
        return np.array(steps), np.array([[curve[step] for step in steps] for curve in curves])

    def to_csv(self):
        """The table as CSV text; numbers with as many digits as they need to be read back exactly."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(row) for row in self.rows)
        return out.getvalue()


def read(path):
    """The Table in a CSV file. Errors name the file and the line."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise ValueError(f"{path}:1: the columns are {reader.fieldnames}, expected {COLUMNS}")
        return Table([_row(line, f"{path}:{reader.line_num}") for line in reader], str(path))


def _row(line, place):
    if None in line or None in line.values():
        raise ValueError(f"{place}: expected {len(COLUMNS)} columns")
    values = {}
    for field in fields(Row):
        try:
            values[field.name] = field.type(line[field.name])
        except ValueError:
            raise ValueError(f"{place}: {field.name} = {line[field.name]!r} is not {field.type.__name__}") from None
    return Row(**values)


def write_whole(path, text):
    """Writes a text file that appears whole or not at all."""
    part = Path(f"{path}.part")
    with open(part, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
