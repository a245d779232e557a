#!/usr/bin/env python3
"""What the runs of slurm/ take, as their comments say it: python3 slurm/cost.py SCRIPT prints the lines of slurm/SCRIPT.sh.

Rates: of a GPU nothing was measured here, so 40 % of an H100's 989 TFLOP/s (bfloat16) is an assumption; a core's was measured
(README.md: GPT-2 small in bfloat16 on two Zen 4 cores); a file system's is an assumption.
"""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "experiments"), str(ROOT / "analysis")]

import price                          # noqa: E402
from toml_files import flat, read_toml   # noqa: E402

GPUS, GPU = 8, 0.4 * 989e12      # of a node, and FLOP/s of each
CORES, CORE = 128, 170e9
FILE_SYSTEM = 2e9                # bytes a second
DEFAULTS = {"checkpoint.keep_states": 2}   # of `lawa train`, where no file says it


def keys_of(model):
    """(dotted keys, keys of the one average) of gpt2_<model>_lawa.sh."""
    keys = DEFAULTS | flat(read_toml(ROOT / "experiments" / "models" / f"{model}.toml")) | flat(read_toml(ROOT / "slurm" / "lawa.toml"))
    return keys, keys.pop("averages")[0]


def checkpoints(keys):
    """Their steps."""
    return range(keys["checkpoint.steps"], keys["schedule.steps"] + 1, keys["checkpoint.steps"])


def averages(keys, average):
    """Steps of the averages that are new at a checkpoint: each has the step of its newest snapshot."""
    stride = average["stride"]
    return {step // stride * stride for step in checkpoints(keys) if step >= stride * average["window"]}


def training(keys, average):
    """{what: number} of a run: tokens, FLOPs with the evaluations, hours, bytes on the disk."""
    step_tokens = keys["batch.global_sequences"] * keys["model.context"]
    tokens = keys["schedule.steps"] * step_tokens
    evaluations = keys["schedule.steps"] // keys["evaluate.steps"] * 2   # plain and averaged
    validation = keys["data.validation_sequences"] * keys["model.context"]
    flops = price.flops_per_token(keys) * (tokens + price.FORWARD * validation * evaluations)
    weights = 4 * price.parameters(keys)
    state = weights * (2 + average["window"])   # AdamW's moments and the snapshots
    disk = weights * (len(checkpoints(keys)) + len(averages(keys, average))) + state * (keys["checkpoint.keep_states"] + 1)
    return {"tokens": tokens, "step_tokens": step_tokens, "flops": flops, "gpu_hours": flops / (GPUS * GPU) / 3600,
            "core_hours": flops / (CORES * CORE) / 3600, "weights": weights, "state": state, "disk": disk}


def of_training(model):
    """The lines of gpt2_<model>_lawa.sh."""
    keys, average = keys_of(model)
    cost = training(keys, average)
    return [
        f"{cost['tokens'] / 1e9:.2f} billion tokens: {keys['schedule.steps']:,} steps of {cost['step_tokens']:,}",
        f"{cost['flops']:.2e} floating-point operations, evaluations included",
        f"{cost['gpu_hours']:.1f} hours on a node of {GPUS} H100 (assumed, not measured: 40 % of 989 TFLOP/s each),",
        f"{cost['core_hours']:.0f} hours on one of {CORES} cores ({CORE / 1e9:.0f} GFLOP/s each, measured on two)",
        f"{cost['disk'] / 1e9:.0f} GB of disk: {len(checkpoints(keys))} checkpoints of {cost['weights'] / 1e9:.2f} GB, "
        f"{len(averages(keys, average))} averages, 3 states of {cost['state'] / 1e9:.1f} GB",
    ]


def of_averaging():
    """The lines of average.sh: each run's checkpoints, every average of their newest five."""
    lines = []
    for model in ("small", "medium", "large"):
        keys, average = keys_of(model)
        weights, number = 4 * price.parameters(keys), len(checkpoints(keys))
        read, written = weights * number, weights * (number - average["window"] + 1)
        moved = read + 2 * written   # what is written is read back
        lines.append(f"{model}: {read / 1e9:.0f} GB read once, {written / 1e9:.0f} GB written and verified: "
                     f"{moved / FILE_SYSTEM / 60:.1f} minutes at {FILE_SYSTEM / 1e9:.0f} GB/s (assumed)")
    return lines


def of_evaluation():
    """The lines of evaluate.sh: one file on as much text as the runs evaluate on."""
    lines = []
    for model in ("small", "medium", "large"):
        keys, _ = keys_of(model)
        tokens = keys["data.validation_sequences"] * keys["model.context"]
        flops = price.flops_per_token(keys) * price.FORWARD * tokens
        lines.append(f"{model}: {flops:.2e} floating-point operations a file on {tokens / 1e6:.2f} million tokens: "
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
