#!/usr/bin/env python3
"""What the runs of slurm/ take, as their comments say it: python3 slurm/cost.py SCRIPT prints the lines of slurm/SCRIPT.sh.

`lawa plan` does the arithmetic. Rates: of a GPU nothing was measured here, so 40 % of an H100's 989 TFLOP/s (bfloat16) is an
assumption; a core's was measured (README.md: GPT-2 small in bfloat16 on two Zen 4 cores); a file system's is an assumption.
"""
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "build" / os.environ.get("LAWA_PRESET", "cpu") / "bin" / "lawa"
sys.path.insert(0, str(ROOT / "analysis"))

from toml_files import read_toml   # noqa: E402

GPUS, GPU = 8, 0.4 * 989e12      # of a node, and FLOP/s of each
CORES, CORE = 128, 170e9
FILE_SYSTEM = 2e9                # bytes a second
ROOMY = 1e16                     # bytes of disk and memory: a site's own are asked for there
MODELS = ("small", "medium", "large")


@cache
def plan(model, ranks=GPUS, rate=GPU):
    """What `lawa plan` says of gpt2_<model>_lawa.sh on one node of so many ranks, each of so many FLOP/s."""
    keys = {"ranks": ranks, "ranks_per_node": ranks, "gemm_flops_per_second": rate, "share": 1, "write_bytes_per_second": FILE_SYSTEM,
            "free_bytes": ROOMY, "memory_bytes": ROOMY}
    command = [PROGRAM, "plan", "--json", ROOT / "experiments" / "models" / f"{model}.toml", ROOT / "slurm" / "lawa.toml",
               *(f"plan.{key}={value}" for key, value in keys.items())]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def hours(planned):
    """Of training and evaluations."""
    return (planned["time"]["training_seconds"] + planned["time"]["evaluation_seconds"]) / 3600


def of_training(model):
    """The lines of gpt2_<model>_lawa.sh."""
    planned = plan(model)
    training, disk = planned["training"], planned["disk"]
    return [
        f"{training['tokens'] / 1e9:.2f} billion tokens: {training['steps']:,} steps of {training['step_tokens']:,}",
        f"{training['flops'] + planned['evaluation']['flops']:.2e} floating-point operations, evaluations included",
        f"{hours(planned):.1f} hours on a node of {GPUS} H100 (assumed, not measured: 40 % of 989 TFLOP/s each),",
        f"{hours(plan(model, CORES, CORE)):.0f} hours on one of {CORES} cores ({CORE / 1e9:.0f} GFLOP/s each, measured on two)",
        f"{disk['bytes'] / 1e9:.0f} GB of disk: {disk['checkpoints']} checkpoints of {disk['weights_bytes'] / 1e9:.2f} GB, "
        f"{disk['averages']} averages, {disk['most_states']} states of {disk['state_bytes'] / 1e9:.1f} GB",
    ]


def of_averaging():
    """The lines of average.sh: each run's checkpoints, every average of as many of the newest as the runs take."""
    window = read_toml(ROOT / "slurm" / "lawa.toml")["averages"][0]["window"]
    lines = []
    for model in MODELS:
        disk = plan(model)["disk"]
        read, written = (disk["weights_bytes"] * number for number in (disk["checkpoints"], disk["checkpoints"] - window + 1))
        moved = read + 2 * written   # what is written is read back
        lines.append(f"{model}: {read / 1e9:.0f} GB read once, {written / 1e9:.0f} GB written and verified: "
                     f"{moved / FILE_SYSTEM / 60:.1f} minutes at {FILE_SYSTEM / 1e9:.0f} GB/s (assumed)")
    return lines


def of_evaluation():
    """The lines of evaluate.sh: one file on as much text as the runs evaluate on."""
    lines = []
    for model in MODELS:
        evaluation = plan(model)["evaluation"]
        flops = evaluation["flops"] / evaluation["evaluations"]
        lines.append(f"{model}: {flops:.2e} floating-point operations a file on {evaluation['tokens'] / 1e6:.2f} million tokens: "
                     f"{flops / (CORES * CORE):.0f} s on {CORES} cores")
    return lines


def lines(script):
    """What the comments of a script say."""
    if script == "average":
        return of_averaging()
    if script == "evaluate":
        return of_evaluation()
    return of_training(script.removeprefix("gpt2_").removesuffix("_lawa"))


if __name__ == "__main__":
    print("\n".join(f"#   {line}" for line in lines(sys.argv[1])))
