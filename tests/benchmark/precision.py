#!/usr/bin/env python3
"""Does training in bfloat16 follow float32?  python3 tests/benchmark/precision.py TOKENS FOLDER > tests/benchmark/precision.jsonl

Trains the quickstart's model for 200 steps of 4,096 tokens with several seeds, in both precisions, on two ranks. TOKENS holds
train.bin and val.bin (the quickstart leaves them in runs/text/debian_bytes); the runs go to FOLDER. One JSON line a seed and precision
on stdout: the validation loss [nats/token] at every 20th step.
"""
import argparse
import json
import shutil
from pathlib import Path

from averaging import RANKS, ROOT, lawa

SEEDS, STEPS, EVERY = 5, 200, 20


def losses(tokens, run, seed, precision):
    """The run's evaluations, {"steps": [...], "losses": [...]}."""
    shutil.rmtree(run, ignore_errors=True)
    lawa("train", ROOT / "experiments/models/quickstart.toml", f"data.train={tokens}/train.bin", f"data.validation={tokens}/val.bin",
         "data.validation_sequences=256", f"run.directory={run}", f"seed={seed}", f"precision={precision}", f"evaluate.steps={EVERY}",
         f"schedule.steps={STEPS}", f"schedule.warmup_steps={STEPS // 5}", "schedule.peak_lr=4e-3", "schedule.final_lr=4e-4",
         "batch.global_sequences=32", "checkpoint.steps=0", "checkpoint.state_steps=0")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluations = [line for line in lines if line["kind"] == "evaluate"]
    return {"steps": [line["step"] for line in evaluations], "losses": [line["loss"] for line in evaluations]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokens", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(1, SEEDS + 1):
        for precision in ("fp32", "bf16"):
            curve = losses(args.tokens.resolve(), args.folder.resolve() / "run", seed, precision)
            print(json.dumps({"model": "quickstart", "precision": precision, "seed": seed, "ranks": RANKS, **curve}), flush=True)


if __name__ == "__main__":
    main()
