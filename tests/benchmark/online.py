#!/usr/bin/env python3
"""What averages cost a training run: python3 tests/benchmark/online.py FOLDER

Trains the quickstart's model on two ranks with 8,192 tokens a step, without averages and with one LAWA (five snapshots, one every
five steps) and one EMA (every step), in turn. One JSON line on stdout: the median seconds of a step of each, over all runs, and
their ratio. Evaluation isn't part of a step.
"""
import json
import shutil
import statistics

from averaging import RANKS, ROOT, folder_of, lawa, random_tokens

RUNS, STEPS, SKIPPED = 5, 60, 5
AVERAGES = 'averages=[{scheme="lawa", window=5, stride=5}, {scheme="ema", beta=0.99}]'


def steps(folder, tokens, *keys):
    """Seconds of each step of a run, without the first ones."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    lawa("train", ROOT / "experiments/models/quickstart.toml", f"data.train={tokens}", f"run.directory={run}", "evaluate.steps=0",
         f"schedule.steps={STEPS}", "batch.global_sequences=64", "checkpoint.steps=0", "checkpoint.state_steps=0", *keys)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["seconds"] for line in lines if line["kind"] == "train"][SKIPPED:]


def main():
    folder = folder_of(__doc__)
    tokens = random_tokens(folder)
    without, with_averages = [], []
    for _ in range(RUNS):
        without += steps(folder, tokens)
        with_averages += steps(folder, tokens, AVERAGES)
    seconds = statistics.median(without), statistics.median(with_averages)
    print(json.dumps({"what": "online averages", "step_tokens": 8192, "ranks": RANKS, "steps": len(without),
                      "seconds_without": seconds[0], "seconds_with": seconds[1], "ratio": seconds[1] / seconds[0]}))


if __name__ == "__main__":
    main()
