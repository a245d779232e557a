#!/usr/bin/env python3
"""How long saves hold training up: python3 tests/benchmark/saves.py FOLDER

Trains a model of 10 million parameters on two ranks without checkpoints, with synchronous and with asynchronous ones, every 50 steps
and every step, with fsync, in turn. One JSON line on stdout for each, medians over the runs:

  step_seconds  a step's, without what its save takes
  stall         what the training thread spends on saves, as a part of the steps' time
  slower        all of it: how much longer the same steps take than without checkpoints; the thread that writes shares the cores

The save of the last step, which every run waits for, isn't counted.
"""
import json
import shutil
import statistics

from averaging import RANKS, ROOT, folder_of, lawa, random_tokens

RUNS = 2
STEPS = {50: 150, 1: 30}  # of a run that saves so often
WAYS = {"none": ["checkpoint.steps=0", "checkpoint.state_steps=0"],
        "synchronous": ["checkpoint.asynchronous=false"],
        "asynchronous": ["checkpoint.asynchronous=true"]}


def train(folder, tokens, every, way):
    """(median seconds of a step, all seconds of steps, seconds that saves held the training thread up)."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    intervals = [] if way == "none" else [f"checkpoint.steps={every}", f"checkpoint.state_steps={every}"]
    lawa("train", ROOT / "tests/benchmark/models/l6_c384.toml", f"data.train={tokens}", f"run.directory={run}", "evaluate.steps=0",
         f"schedule.steps={STEPS[every]}", "batch.global_sequences=4", *intervals, *WAYS[way])
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    seconds = [line["seconds"] for line in lines if line["kind"] == "train"]
    last_save = [line for line in lines if line["kind"] == "checkpoint"][-1]["seconds"]
    phases = next(line for line in lines if line["kind"] == "summary")["phase_seconds"]
    held = sum(time for phase, time in phases.items() if phase.startswith("checkpoint")) - last_save
    shutil.rmtree(run)
    return statistics.median(seconds), sum(seconds), max(held, 0.0)


def main():
    folder = folder_of(__doc__)
    tokens = random_tokens(folder)
    for every in STEPS:
        runs = {way: [] for way in WAYS}
        for _ in range(RUNS):
            for way, measured in runs.items():
                measured.append(train(folder, tokens, every, way))
        for way, measured in runs.items():
            slower = [(steps + held) / (plain_steps + plain_held) - 1
                      for (_, steps, held), (_, plain_steps, plain_held) in zip(measured, runs["none"])]
            print(json.dumps({"saves": way, "every_steps": every, "steps": STEPS[every], "runs": RUNS, "ranks": RANKS,
                              "step_seconds": statistics.median(step for step, _, _ in measured),
                              "stall": statistics.median(held / steps for _, steps, held in measured),
                              "slower": statistics.median(slower)}), flush=True)


if __name__ == "__main__":
    main()
