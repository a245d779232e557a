#!/usr/bin/env python3
"""What a rank holds when ranks share out weights and gradients: python3 tests/benchmark/sharding.py FOLDER

Trains a model of 24 layers and 44 million parameters for some steps, with sharding = "optimizer" and "full", on 1, 2, 3, 5 and 8 ranks.
One JSON line on stdout for each: the peak memory of the largest rank, what `lawa plan` says of it, and whether the losses are those of
the other sharding, to the bit. Where a rank is alone there is nothing to share out.
"""
import json
import os
import shutil
import subprocess
from pathlib import Path

from averaging import ENVIRONMENT, PROGRAM, folder_of, random_tokens

RANKS = (1, 2, 3, 5, 8)
MODEL = ("model.layers=24", "model.heads=6", "model.channels=384", "model.context=64", "model.vocabulary=256", "batch.global_sequences=8",
         "schedule.steps=4", "schedule.warmup_steps=1", "evaluate.steps=0", "checkpoint.steps=0", "checkpoint.state_steps=0", "checkpoint.asynchronous=false")


def lawa(*words, ranks):
    command = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none", str(PROGRAM), *map(str, words)]
    return subprocess.run(command, env=ENVIRONMENT | {"OMPI_MCA_mpi_yield_when_idle": "1"}, check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL).stdout


def measure(sharding, ranks):
    """(losses, peak memory of a rank, the same as planned, and of it weights and gradients)."""
    shutil.rmtree("run", ignore_errors=True)
    words = (*MODEL, "data.train=tokens.bin", "run.directory=run", f"sharding={sharding}")
    plan = json.loads(lawa("plan", "--json", *words, f"plan.ranks={ranks}", "plan.gemm_flops_per_second=1e11", "plan.write_bytes_per_second=1e9",
                           ranks=1))["memory"]
    lawa("train", *words, ranks=ranks)
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    shutil.rmtree("run")
    peak, = [line["peak_memory_bytes"] for line in lines if line["kind"] == "summary"]
    return [line["loss"] for line in lines if line["kind"] == "train"], peak, plan["rank"], plan["weights"] + plan["gradients"]


def main():
    os.chdir(folder_of(__doc__))
    random_tokens(Path())
    for ranks in RANKS:
        losses = {}
        for sharding in ("optimizer", "full"):
            losses[sharding], peak, planned, shared = measure(sharding, ranks)
            print(json.dumps({"sharding": sharding, "ranks": ranks, "peak_memory_bytes": peak, "planned_memory_bytes": planned,
                              "weights_and_gradients_bytes": shared, "same_losses": losses[sharding] == losses["optimizer"]}), flush=True)


if __name__ == "__main__":
    main()
