#!/usr/bin/env python3
"""A training step of the same GPT-2 in PyTorch: python3 tests/benchmark/pytorch.py [SECONDS] FILE.toml ...

For each model file: forward, backward, clipping and AdamW on random tokens for SECONDS (default 20), in float32 and in bfloat16
autocast, with one thread and with as many as there are cores, eagerly and (where it works) compiled. One JSON line each on stdout:
tokens/s of the median step at the best of these settings. About 1,024 tokens a step and core, as tests/benchmark/training.cpp has.
"""
import argparse
import json
import math
import os
import platform
import statistics
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
            mask = torch.ones(T, T, dtype=torch.bool).tril()
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


def tokens_per_second(shape, threads, bf16, compiled, seconds):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = Gpt2(**shape)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)
    T = shape["context"]
    tokens = torch.randint(shape["vocabulary"], (max(1, 1024 // T) * threads, T + 1))
    steps = []
    end = None
    while end is None or time.monotonic() < end or len(steps) < 7:
        begin = time.monotonic()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = run(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps.append(time.monotonic() - begin)
        if len(steps) == 2:   # the first two set things up
            end = time.monotonic() + seconds
    return tokens[:, 1:].numel() / statistics.median(steps[2:])


def best(shape, bf16, seconds):
    """(tokens/s, threads, compiled) of the fastest setting."""
    results = []
    for threads in sorted({1, os.cpu_count()}):
        for compiled in (False, True) if hasattr(torch, "compile") else (False,):
            try:
                results.append((tokens_per_second(shape, threads, bf16, compiled, seconds), threads, compiled))
            except Exception as error:   # torch.compile needs a compiler and more
                if not compiled:
                    raise
                print(json.dumps({"skipped": "compiled", "why": str(error).splitlines()[0][:200]}))
    return max(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", metavar="[SECONDS] FILE.toml")
    words = parser.parse_args().words
    seconds = float(words.pop(0)) if not words[0].endswith(".toml") else 20
    for file in words:
        keys = tomllib.loads(Path(file).read_text())["model"]
        shape = {key: keys[key] for key in ("layers", "heads", "channels", "context", "vocabulary")}
        for bf16 in (False, True):
            rate, threads, compiled = best(shape, bf16, seconds)
            print(json.dumps({"model": Path(file).stem, "precision": "bf16" if bf16 else "fp32", "tokens_per_second": rate,
                              "threads": threads, "compiled": compiled, "program": f"PyTorch {torch.__version__}",
                              "machine": platform.machine()}), flush=True)


if __name__ == "__main__":
    main()
