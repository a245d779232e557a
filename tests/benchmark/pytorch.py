#!/usr/bin/env python3
"""A training step of the same GPT-2 in PyTorch: python3 tests/benchmark/pytorch.py FILE.toml [options]

Forward, backward, clipping and AdamW on random tokens, in float32 or in bfloat16 autocast, with exactly the threads that are asked
for or on a GPU, eagerly or compiled. One JSON line on stdout: tokens/s of the median step, and the peak memory.
tests/benchmark/training.py calls this, each time in a new process.
"""
import argparse
import json
import math
import re
import resource
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib


class Block(nn.Module):
    def __init__(self, layer, heads, channels, bias):
        super().__init__()
        self.heads, self.scale = heads, 1 / (math.sqrt(channels / heads) * (layer + 1))
        self.ln_1, self.ln_2 = (nn.LayerNorm(channels, elementwise_affine=True) for _ in range(2))
        self.c_attn = nn.Linear(channels, 3 * channels, bias)
        self.attn_c_proj = nn.Linear(channels, channels, bias)
        self.c_fc = nn.Linear(channels, 4 * channels, bias)
        self.mlp_c_proj = nn.Linear(4 * channels, channels, bias)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.heads, C // self.heads).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(C, 2))
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q * (self.scale * math.sqrt(C / self.heads)), k, v, is_causal=True)
        else:
            scores = (q * self.scale) @ k.transpose(2, 3)
            mask = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
            y = scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v
        x = x + self.attn_c_proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp_c_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, layers, heads, channels, context, vocabulary, bias=False):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, channels), nn.Embedding(context, channels)
        self.blocks = nn.ModuleList(Block(layer, heads, channels, bias) for layer in range(layers))
        self.ln_f = nn.LayerNorm(channels)

    def forward(self, inputs, targets):
        x = self.wte(inputs) + self.wpe.weight[:inputs.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(F.linear(self.ln_f(x), self.wte.weight).flatten(0, 1), targets.flatten())


def measure(shape, options):
    """(tokens of a step, seconds of each step after the ones that warm up)."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = Gpt2(**shape).to(options.device)
    run = torch.compile(model) if options.compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)
    tokens = torch.randint(shape["vocabulary"], (options.sequences, shape["context"] + 1), device=options.device)
    steps, end = [], math.inf
    while len(steps) < options.warm_up + options.least or time.monotonic() < end:
        begin = time.monotonic()
        with torch.autocast(options.device, torch.bfloat16, enabled=options.precision == "bf16"):
            loss = run(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if options.device == "cuda":
            torch.cuda.synchronize()
        steps.append(time.monotonic() - begin)
        if len(steps) == options.warm_up:
            end = time.monotonic() + options.seconds
    return tokens[:, 1:].numel(), steps[options.warm_up:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE.toml")
    parser.add_argument("--seconds", type=float, default=20, help="how long to measure")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compiled", action="store_true", help="with torch.compile")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--sequences", type=int, default=1, help="sequences a step")
    parser.add_argument("--warm-up", type=int, default=2, help="first steps, at least one, that set things up and don't count")
    parser.add_argument("--least", type=int, default=5, help="steps that count even if they take longer")
    options = parser.parse_args()
    keys = tomllib.loads(options.file.read_text())["model"]
    shape = {key: keys[key] for key in ("layers", "heads", "channels", "context", "vocabulary")}
    step_tokens, steps = measure(shape, options)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if options.device == "cpu" else torch.cuda.max_memory_allocated()
    print(json.dumps({"version": torch.__version__, "threads": options.threads, "compiled": options.compiled, "step_tokens": step_tokens,
                      "tokens_per_second": step_tokens / statistics.median(steps),
                      "peak_memory_bytes": memory}))


if __name__ == "__main__":
    try:
        main()
    except Exception as error:   # torch.compile needs a compiler and more; the reason in one line, without the machine's folders
        sys.exit(re.sub(r"/\S*/", "", " ".join(f"{type(error).__name__}: {error}".split()))[:200])
