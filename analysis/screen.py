"""Validation losses as text, for a terminal: every run has a letter, small for its plain weights, large for its best average."""
from string import ascii_lowercase

import interpreter  # noqa: F401
import numpy as np

MARGIN = 9  # characters at the left, for the losses


def picture(runs, width, height):
    """Lines of less than `width` characters: `height` rows of curves, the steps, and one line a run. 26 runs at most are shown."""
    lines = [f"{letter} plain, {letter.upper()} average | {run.sentence()}" for letter, run in zip(ascii_lowercase, runs)]
    curves = [(letter, run.validation[model]) for small, run in zip(ascii_lowercase, runs)
              for letter, model in ((small, "plain"), (small.upper(), run.best_average())) if model in run.validation]
    if curves:
        lines = _plot(curves, max(1, width - MARGIN - 2), height) + lines
    return [line[:width - 1] for line in lines]


def _plot(curves, columns, height):
    """The curves, given with their letters, from a tenth of each on; later ones cover earlier ones."""
    seen = np.concatenate([curve["loss"][curve["step"] >= curve["step"][-1] / 10] for _, curve in curves])
    seen = seen[np.isfinite(seen)]
    low, high = (seen.min(), max(seen.max(), seen.min() + 1e-4)) if len(seen) else (0, 1)
    last = max(curve["step"][-1] for _, curve in curves)
    steps = last * np.arange(1, columns + 1) / columns
    cells = np.full((height, columns), " ")
    for letter, curve in curves:
        losses = np.interp(steps, curve["step"], curve["loss"], left=np.nan, right=np.nan)
        shown = np.flatnonzero((losses >= low) & (losses <= high))
        cells[np.rint((high - losses[shown]) / (high - low) * (height - 1)).astype(int), shown] = letter
    labels = {0: f"{high:.4f}", height - 1: f"{low:.4f}"}
    return [*(f"{labels.get(row, ''):>{MARGIN - 1}} |{''.join(line)}" for row, line in enumerate(cells)),
            f"{'':{MARGIN}}+{'-' * columns}", f"{'':{MARGIN}}0{f'step {int(last):,}':>{columns}}"]
