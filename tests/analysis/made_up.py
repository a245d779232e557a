"""Made-up tables of any figure at any scale: as collect.py makes them, of runs that nobody has trained.

Plain losses fall with the steps and carry a floor that follows the learning rate; an average takes off a part of that floor and lags
behind by its mean age. The same arguments give the same numbers.
"""
import csv
import dataclasses
import io
import math
import zlib

import numpy as np

import collect
import runs as tables_of_runs
from averages import part_of
from record import COLUMNS, Record
from spec import Arm

BEST_RATE = {"smoke": 1e-2, "workstation": 4e-3, "gpu": 6e-4, "paper": 6e-4}


def table(spec, seeds=None, effect=None, noise=0.003, missing=(), diverged=()):
    """The Table of a Spec. seeds: in place of the figure's; effect(run, average, blend, step): an average's loss minus plain, nats/token;
    noise: deviation of that over seeds (0: exact); missing, diverged: run(cell) is left out, or ends at half, where cell has all items of
    one of these dicts."""
    if seeds:
        spec = dataclasses.replace(spec, axes={**spec.axes, "seed": tuple(Arm(seed, f"seed {seed}", {"seed": seed}) for seed in seeds)})
    whole = tables_of_runs.Table([spec])
    found = [(cell, run, None if among(cell, missing) else record(spec, run, effect or smoothing(spec), noise, among(cell, diverged)))
             for cell, run in whole.of_figure(spec)]
    return collect.collect(spec, found, partial=bool(missing))


def among(cell, wanted):
    """Whether a cell has all items of one of some dicts."""
    return any(all(cell[axis] == arm for axis, arm in items.items()) for items in wanted)


def record(spec, run, effect, noise, diverged):
    """The Record of a made-up run."""
    last = run.steps // 2 if diverged else run.steps
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for model, step, loss in evaluations(spec, run, effect, noise):
        if step <= last:
            half = 0.004 * draw(run.key, step) + noise * draw(run.key, model, step) / 3
            writer.writerow([model, step, *(f"{value:.9f}" for value in (loss, loss + half, loss - half))])
    seconds = run.tokens / 24_000
    timing = {"ranks": run.ranks, "train_seconds": round(seconds, 1), "evaluate_seconds": 1.0, "tokens_per_second": 24_000.0,
              "kwh": round(seconds * 65 / 3.6e6, 5)}
    return Record({"key": run.key, "outcome": "diverged" if diverged else "complete", "last_step": last, "recorded": run.wanted(),
                   "made_by": {"tokens_digest": "made up"}, "timing": timing}, out.getvalue())


def evaluations(spec, run, effect, noise):
    """(model, step of its line, loss) of all that a run records."""
    for step in sorted(run.points["plain"]):
        yield "plain", step, plain_loss(spec, run, step, noise)
    for identity, average in run.averages.items():
        for model, blend in average.models.items():
            for step in sorted({average.label(step) for step in run.points[identity]}):
                if step >= first_step(average):
                    random = noise * draw(run.key, model, step)
                    yield model, step, plain_loss(spec, run, step, noise) + effect(run, average, blend, step) + random


def first_step(average):
    """From where on there is an average: a window that is full, or a snapshot."""
    stride = average.keys.get("stride", 1)
    return max(stride * (average.window or 1), average.keys.get("first", 0), 1)


def plain_loss(spec, run, step, noise):
    """Loss of the weights themselves: a curve over steps, the floor of the rate, a spike where the run or its parent had one, a seed."""
    part = (step + (run.parent_step if run.parent_average else 0)) / spec.steps
    relative = run.keys["schedule.peak_lr"] / BEST_RATE[spec.scale]
    lowest = 2.75 if spec.text["tokenizer"] == "gpt2" else 1.35
    curve = lowest + 2.2 / (1 + 12 * part * min(1.0, relative)) + 0.01 * math.log(relative) ** 2
    spike = 0.0
    if run.parent and not run.parent_average:
        own, before = run.keys["schedule.peak_lr"], run.parent.keys["schedule.peak_lr"]
        since = (step - run.parent_step) / spec.steps
        spike = 0.9 * (1 - math.exp(-since / 0.001)) if own > before else 0.9 * math.exp(-since / 0.01) if before > own else 0.0
    return curve + spike + floor(spec, run, step) + noise * (4 * draw(run.keys["seed"]) + 2 * draw(run.key, step))


def floor(spec, run, step):
    """What the learning rate of a step leaves above the curve."""
    keys, part = run.keys, min(1.0, step / run.steps)
    rate = keys["schedule.peak_lr"] / BEST_RATE[spec.scale]
    if keys["schedule.kind"] == "cosine":
        rate *= 0.1 + 0.45 * (1 + math.cos(math.pi * part))
    elif keys["schedule.kind"] == "wsd":
        rate *= max(0.0, min(1.0, (run.steps - step) / part_of(keys["schedule.decay_steps"], run.steps)))
    return 0.05 * min(rate, 30) ** 0.6


def smoothing(spec):
    """The effect of averages: a part of the floor goes with the mean age, and the curve of that age stays."""
    def effect(run, average, blend, step):
        age = average.mean_age
        if age is None:   # grows
            age = (step - average.keys.get("first", 0)) / 2
        part, age = step / spec.steps, age * blend / spec.steps
        lag = age * 26 / (1 + 12 * part) ** 2
        embeddings = 0.002 if average.keys.get("exclude") else 0.0
        return lag - 0.8 * floor(spec, run, step) * (1 - math.exp(-age / 0.004)) - embeddings
    return effect


def draw(*what):
    """A standard normal number that belongs to these words."""
    return float(np.random.default_rng(zlib.crc32(repr(what).encode())).standard_normal())
