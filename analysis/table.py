"""data.csv: a row for each model that was evaluated at a step. The only numbers that a drawing or a verdict reads."""
import io

import interpreter  # noqa: F401
import numpy as np
import pandas

MODEL = ["average", "model", "scheme", "window", "stride", "mean_age", "blend"]
VALUES = ["step", "trained_tokens", "loss", "tune_loss", "report_loss", "run"]
WHOLE = ["window", "stride", "step", "trained_tokens"]   # whole numbers


class Table:
    """The rows of one figure, with its Spec.

    data   DataFrame; columns: the figure's axes (arms by name), training keys by their last word (peak_lr), then
             average     the figure's word for the model, "plain" for the weights themselves
             model       what metrics.jsonl calls it: lawa(k=5,nu=25)
             scheme, window (snapshots, 0: no window), stride (steps), mean_age (of what it holds, steps; empty: grows), blend (lambda)
             step        of the newest weights in it
             trained_tokens
             loss, tune_loss, report_loss   nats/token: all of the validation set, its first half, its second half
             run         key of the run, paper_figures/runs/<run>.csv
    timing  DataFrame: a row a run: axes, run, steps, tokens, ranks, train_seconds, evaluate_seconds, tokens_per_second, kwh
    missing, diverged   words on runs that aren't there (--partial), or ended early
    """

    def __init__(self, data, spec, timing=None, missing=(), diverged=()):
        """Errors: a row twice; a loss that isn't finite."""
        self.data, self.spec, self.timing, self.missing, self.diverged = data, spec, timing, list(missing), list(diverged)
        self.verdicts = []   # of the claims, once they are judged
        identity = [*spec.axes, "average", "model", "step"]
        if twice := data[data.duplicated(identity)].to_dict("records"):
            raise ValueError(f"{spec.name}: stands twice: {', '.join(f'{name} {twice[0][name]}' for name in identity)}")
        if wrong := data[~np.isfinite(data["loss"].astype(float))].to_dict("records"):
            raise ValueError(f"{spec.name}: the loss is {wrong[0]['loss']}: {', '.join(f'{name} {wrong[0][name]}' for name in identity)}")
        if data.empty:
            raise ValueError(f"{spec.name}: has no rows")

    def select(self, **wanted):
        """The rows whose columns have the wanted values: select(rate="high", average="lawa"); a list: one of them."""
        rows = np.ones(len(self.data), dtype=bool)
        for name, value in wanted.items():
            values = value if isinstance(value, (list, tuple, set)) else [value]
            rows &= self.data[name].isin(map(str, values) if name in self.spec.axes and name != "seed" else values).to_numpy()
        return self.data[rows]

    def curves(self, column="loss", **wanted):
        """DataFrame [step, seed] of one model in one arm, at the steps that all seeds have. Errors: nothing, or more than one."""
        rows = self.select(**wanted)
        if rows.empty:
            raise ValueError(f"{self.spec.name}: no rows with {wanted}")
        return unstacked(rows, column, self.spec.name).dropna()

    def gains(self, column="loss", minus="plain", **wanted):
        """curves() of a model minus those of another one (of the same runs): negative is better."""
        difference = self.curves(column, **wanted) - self.curves(column, **{**without_model(wanted), "average": minus})
        return difference.dropna(how="all").dropna(axis=1, how="all").dropna()

    def models(self, **wanted):
        """The models among the selected rows: one row each, MODEL's columns, in the order of the table."""
        return self.select(**wanted)[MODEL].drop_duplicates("model")

    @property
    def last_step(self):
        return int(self.data["step"].max())

    def to_csv(self):
        """The table as CSV text; losses as they are recorded."""
        return to_csv(self.data)


def without_model(wanted):
    """A selection without what says which model."""
    return {name: value for name, value in wanted.items() if name not in MODEL}


def unstacked(rows, column, place):
    """DataFrame [step, seed] of rows. Errors: two of them have the same step and seed."""
    if rows.duplicated(["step", "seed"]).any():
        models = ", ".join(sorted(rows["model"].unique())[:4])
        raise ValueError(f"{place}: several rows a step and seed; models {models}: name an arm of each axis, and one model")
    return rows.pivot(index="step", columns="seed", values=column)


def to_csv(data):
    """CSV with whole numbers as such, and empty places for what isn't there."""
    data = data.copy()
    for name in WHOLE:
        if name in data:
            data[name] = data[name].astype("Int64")
    return data.to_csv(index=False, lineterminator="\n")


def read(folder, spec):
    """The Table in a folder's data.csv and timing.csv. Errors name the file."""
    path = folder / "data.csv"
    text = path.read_text(encoding="utf-8")
    data = pandas.read_csv(io.StringIO(text), float_precision="round_trip", dtype={axis: str for axis in spec.axes if axis != "seed"})
    absent = [name for name in [*spec.axes, *MODEL, *VALUES] if name not in data.columns]
    if absent:
        raise ValueError(f"{path}:1: has no column {absent[0]}")
    timing = folder / "timing.csv"
    return Table(data, spec, pandas.read_csv(timing) if timing.exists() else None)
