#!/usr/bin/env python3
"""A run's losses beside PyTorch's from the same weights, tokens and schedule: python3 curve.py RUN FOLDER [--device cuda]

RUN is the folder of a run of `lawa train` from its first step; FOLDER its initial weights, as `lawa export` writes them: those of step 1,
whose learning rate is zero. PyTorch trains them on the same windows, in the run's precision and in float32 (on a GPU with tf32
products). What bfloat16 does to PyTorch's own losses is the noise that ours are judged by: the run's distance from the float32 losses,
as a root mean square over the steps, may be three times it; a float32 run may differ by 1e-3 at each step. One JSON line on stdout; exit code
1 where it is farther away. pytorch.py must be beside this file, or in tests/benchmark.
"""
import argparse
import json
import math
import sys
from pathlib import Path

import numpy
import torch

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "benchmark")]
from pytorch import Gpt2, adamw, clip, shape_of, tomllib   # noqa: E402

BATCHES = 2                    # the random stream of framework/core/philox.hpp that windows are drawn from
MASK = numpy.uint64(0xFFFFFFFF)
MOST_APART, MOST_NOISES = 1e-3, 3


def random_bits(seed, stream, index):
    """uint64 (n) for the indices (n): Philox4x32-10, as framework/core/philox.hpp has it."""
    index = numpy.asarray(index, numpy.uint64)
    word = [index & MASK, index >> numpy.uint64(32), numpy.full_like(index, stream), numpy.zeros_like(index)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = numpy.uint64(0xD2511F53) * word[0], numpy.uint64(0xCD9E8D57) * word[2]
        word = [b >> numpy.uint64(32) ^ word[1] ^ numpy.uint64(key[0]), b & MASK,
                a >> numpy.uint64(32) ^ word[3] ^ numpy.uint64(key[1]), a & MASK]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return word[0] | word[1] << numpy.uint64(32)


def batch(config, tokens, step):
    """int64 (B, T + 1): the windows of a step, counted from 1, as framework/data/batch_plan.hpp draws them."""
    B, T = config["batch"]["global_sequences"], config["model"]["context"]
    places = random_bits(config["seed"], BATCHES, numpy.arange((step - 1) * B, step * B)) % numpy.uint64(len(tokens) - T)
    return torch.from_numpy(numpy.stack([tokens[int(place):int(place) + T + 1] for place in places]).astype(numpy.int64))


def learning_rate(schedule, step):
    """framework/optim/schedule.cpp's cosine."""
    before, warm_up = step - 1, schedule["warmup_steps"]
    if before < warm_up:
        return schedule["peak_lr"] * before / warm_up
    end = schedule["decay_steps"] or schedule["steps"]
    done = min(1, (before - warm_up) / (end - warm_up))
    return schedule["final_lr"] + 0.5 * (1 + math.cos(math.pi * done)) * (schedule["peak_lr"] - schedule["final_lr"])


def load(model, folder):
    """Puts transformers' tensors of a GPT-2 into the model. Errors: KeyError, one is missing; ValueError, a bias that isn't zero."""
    from safetensors.torch import load_file
    theirs = {name.removeprefix("transformer."): tensor
              for file in sorted(Path(folder).glob("*.safetensors")) for name, tensor in load_file(file).items()}
    for name, tensor in theirs.items():
        if name.endswith(".bias") and "attn.masked" not in name and tensor.is_floating_point() and tensor.abs().max() > 0:
            raise ValueError(f"{folder}: {name} isn't zero, and the model has no biases")
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            found = theirs[name.replace("blocks.", "h.").replace("attn_c_proj", "attn.c_proj").replace("mlp_c_proj", "mlp.c_proj")
                           .replace(".c_attn", ".attn.c_attn").replace(".c_fc", ".mlp.c_fc")]
            linear = name.split(".")[-2] in ("c_attn", "attn_c_proj", "c_fc", "mlp_c_proj")   # transformers keeps them as (in, out)
            tensor.copy_(found.T if linear else found)


def losses(config, folder, steps, device, bf16):
    """PyTorch's, of each step. Loss: nats per token, before the step's update."""
    torch.set_float32_matmul_precision("high" if device == "cuda" else "highest")
    model = Gpt2(**shape_of(config["model"]))
    load(model, folder)
    model.to(device)
    rules = config["optimizer"]
    optimizer = adamw(model, 0.0, (rules["beta1"], rules["beta2"]), rules["epsilon"], rules["weight_decay"])
    train, = config["data"]["train"]
    tokens = numpy.fromfile(train, "<u2")
    found = []
    for step in range(1, steps + 1):
        windows = batch(config, tokens, step).to(device)
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            loss = model(windows[:, :-1], windows[:, 1:])
        loss.backward()
        clip(model, rules["clip_norm"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config["schedule"], step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        found.append(loss.detach())
    return numpy.array(torch.stack(found).tolist())


def judged(ours, theirs, exact):
    """The line. ours: the run's losses; theirs: PyTorch's in the run's precision; exact: in float32, or None where the run is."""
    def distance(a, b):
        return float(numpy.sqrt(numpy.mean((a - b)**2)))
    line = {"steps": len(ours), "first_loss": ours[0], "last_loss": ours[-1], "pytorch_last_loss": theirs[-1],
            "most_apart": float(numpy.abs(ours - theirs).max()), "mean_of_last_50": float(numpy.mean((ours - theirs)[-50:]))}
    if exact is None:
        return line | {"within": line["most_apart"] <= MOST_APART}
    line |= {"distance": distance(ours, exact), "noise": distance(theirs, exact), "between": distance(ours, theirs)}
    return line | {"within": line["distance"] <= MOST_NOISES * line["noise"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--losses", type=Path, metavar="FILE", help="where all losses are written: ours, PyTorch's, and float32's")
    options = parser.parse_args()
    config = tomllib.loads((options.run / "config.toml").read_text())
    lines = map(json.loads, (options.run / "metrics.jsonl").read_text().splitlines())
    ours = numpy.array([line["loss"] for line in lines if line["kind"] == "train"])
    bf16 = config["precision"] == "bf16"
    theirs = losses(config, options.folder, len(ours), options.device, bf16)
    exact = losses(config, options.folder, len(ours), options.device, False) if bf16 else None
    if options.losses:
        columns = [ours, theirs] if exact is None else [ours, theirs, exact]
        options.losses.write_text("".join(" ".join(f"{value:.6f}" for value in row) + "\n" for row in zip(*columns)))
    line = judged(ours, theirs, exact)
    print(json.dumps(line))
    return 0 if line["within"] else 1


if __name__ == "__main__":
    sys.exit(main())
