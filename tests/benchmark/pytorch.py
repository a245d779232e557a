#!/usr/bin/env python3
"""A training step of the same GPT-2 in PyTorch: python3 tests/benchmark/pytorch.py FILE.toml [options]

Forward, backward, clipping and AdamW on random tokens, in float32 or in bfloat16 autocast, with exactly the threads that are asked
for or on a GPU, eagerly or compiled. One JSON line on stdout: tokens/s of the median step, and the peak memory. On a GPU steps are
timed by its own events, so that it never waits for the host, and attention is by the fastest of PyTorch's kernels, which is tried first.
tests/benchmark/training.py and tests/gpu/run.sh call this, each time in a new process; tests/gpu/curve.py trains the model.
"""
import argparse
import contextlib
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

SIZES = ("layers", "heads", "channels", "context", "vocabulary")
ATTENTION = ("FLASH_ATTENTION", "CUDNN_ATTENTION")   # PyTorch's kernels for bfloat16 on a GPU
FUSED_ATTENTION = "scale" in (F.scaled_dot_product_attention.__doc__ or "") if hasattr(F, "scaled_dot_product_attention") else False


class Norm(nn.Module):
    """LayerNorm without a bias."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight)


class Block(nn.Module):
    def __init__(self, layer, heads, channels):
        super().__init__()
        self.heads, self.scale = heads, 1 / (math.sqrt(channels / heads) * (layer + 1))
        self.ln_1, self.ln_2 = Norm(channels), Norm(channels)
        self.c_attn = nn.Linear(channels, 3 * channels, bias=False)
        self.attn_c_proj = nn.Linear(channels, channels, bias=False)
        self.c_fc = nn.Linear(channels, 4 * channels, bias=False)
        self.mlp_c_proj = nn.Linear(4 * channels, channels, bias=False)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.heads, C // self.heads).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(C, 2))
        if FUSED_ATTENTION:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale)
        else:
            scores = (q * self.scale) @ k.transpose(2, 3)
            mask = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
            y = scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v
        x = x + self.attn_c_proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp_c_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, layers, heads, channels, context, vocabulary):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, channels), nn.Embedding(context, channels)
        self.blocks = nn.ModuleList(Block(layer, heads, channels) for layer in range(layers))
        self.ln_f = Norm(channels)

    def forward(self, inputs, targets):
        x = self.wte(inputs) + self.wpe.weight[:inputs.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(F.linear(self.ln_f(x), self.wte.weight).flatten(0, 1), targets.flatten())


def shape_of(keys):
    """Sizes of the model that a TOML file's [model] describes. Errors: ValueError, it is another model than Gpt2."""
    other = {"architecture": "gpt2", "bias": False, "scale_attention_by_layer": True, "gelu": "tanh", "tied": True}
    for key, value in other.items():
        if keys.get(key, value) != value:
            raise ValueError(f"model.{key} = {keys[key]!r}, and this is a GPT-2 of {key} = {value!r}")
    return {key: keys[key] for key in SIZES}


def flops_per_token(layers, heads, channels, context, vocabulary):
    """Forward and backward, as framework/model/model_config.hpp counts them."""
    return 6 * (12 * layers * channels**2 + vocabulary * channels) + 12 * layers * channels * context


def adamw(model, lr=1e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    """AdamW with weight decay on Linear weights only, fused on a GPU."""
    decayed = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    known = set(map(id, decayed))
    groups = [{"params": decayed, "weight_decay": weight_decay},
              {"params": [p for p in model.parameters() if id(p) not in known], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, **({"fused": True} if decayed[0].is_cuda else {}))


def clip(model, norm):
    """The gradients' norm before it, on the device."""
    on_gpu = next(model.parameters()).is_cuda
    return torch.nn.utils.clip_grad_norm_(model.parameters(), norm, **({"foreach": True} if on_gpu else {}))


def attention_by(name):
    """A context where attention is by one of PyTorch's kernels; any for None."""
    if name is None:
        return contextlib.nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel
    return sdpa_kernel(getattr(SDPBackend, name))


def median_seconds(work, device, warm_up, least, seconds):
    """Of `work`: as often as fits into `seconds`, after some that don't count; the last of these tells how often that is."""
    on_gpu = device == "cuda"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    for _ in range(warm_up - 1):
        work()
    wait()
    begin = time.monotonic()
    work()
    wait()
    count = max(least, math.ceil(seconds / (time.monotonic() - begin)))

    def mark():
        if not on_gpu:
            return time.monotonic()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    marks = [mark()]
    for _ in range(count):
        work()
        marks.append(mark())
    wait()
    pairs = list(zip(marks, marks[1:]))
    return statistics.median(a.elapsed_time(b) / 1e3 for a, b in pairs) if on_gpu else statistics.median(b - a for a, b in pairs)


def fastest_attention(shape, sequences):
    """(name, {name: seconds of a forward and backward}) of PyTorch's bfloat16 kernels at this shape."""
    size = (sequences, shape["context"], shape["heads"], shape["channels"] // shape["heads"])
    q, k, v = (torch.randn(size, device="cuda", dtype=torch.bfloat16).transpose(1, 2).requires_grad_() for _ in range(3))
    gradient = torch.randn_like(q)
    seconds = {}
    for name in ATTENTION:
        def work():
            F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.1).backward(gradient)
        try:
            with attention_by(name):
                seconds[name] = median_seconds(work, "cuda", 3, 10, 0)
        except RuntimeError:   # not for this card or shape
            continue
    return min(seconds, key=seconds.get) if seconds else None, seconds


def measure(shape, options):
    """What the line says."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    on_gpu, bf16 = options.device == "cuda", options.precision == "bf16"
    if bf16 and on_gpu:
        torch.set_float32_matmul_precision("high")
    attention, tried = options.attention, {}
    if attention is None and on_gpu and bf16:
        attention, tried = fastest_attention(shape, options.sequences)
    model = Gpt2(**shape).to(options.device)
    run = torch.compile(model, **({"mode": options.mode} if options.mode else {})) if options.compiled else model
    optimizer = adamw(model)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    tokens = torch.randint(shape["vocabulary"], (options.accumulate, options.sequences, shape["context"] + 1), device=options.device)
    inputs, targets = tokens[..., :-1].contiguous(), tokens[..., 1:].contiguous()

    def step():
        for micro in range(options.accumulate):
            with torch.autocast(options.device, torch.bfloat16, enabled=bf16):
                loss = run(inputs[micro], targets[micro])
            (loss / options.accumulate).backward()
        clip(model, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    begin = time.monotonic()
    with attention_by(attention):
        seconds = median_seconds(step, options.device, options.warm_up, options.least, options.seconds)
    rate = targets.numel() / seconds
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = {"version": torch.__version__, "threads": options.threads, "compiled": options.compiled, "mode": options.mode,
            "step_tokens": targets.numel(), "tokens_per_second": rate, "seconds_a_step": seconds,
            "flops_per_second": rate * flops_per_token(**shape), "peak_memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else memory,
            "all_seconds": time.monotonic() - begin}
    if on_gpu:
        line |= {"reserved_memory_bytes": torch.cuda.max_memory_reserved(), "device": torch.cuda.get_device_name(),
                 "attention": attention, "attention_seconds": tried}
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE.toml")
    parser.add_argument("--seconds", type=float, default=20, help="how long to measure")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compiled", action="store_true", help="with torch.compile")
    parser.add_argument("--mode", help="torch.compile's, max-autotune-no-cudagraphs say")
    parser.add_argument("--attention", choices=ATTENTION, help="PyTorch's kernel (default: on a GPU the faster one)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--sequences", type=int, default=1, help="sequences of one forward and backward")
    parser.add_argument("--accumulate", type=int, default=1, help="forwards and backwards a step")
    parser.add_argument("--warm-up", type=int, default=2, help="first steps, at least one, that set things up and don't count")
    parser.add_argument("--least", type=int, default=5, help="steps that count even if they take longer")
    options = parser.parse_args()
    print(json.dumps(measure(shape_of(tomllib.loads(options.file.read_text())["model"]), options)))


if __name__ == "__main__":
    try:
        main()
    except Exception as error:   # torch.compile needs a compiler and more; the reason in one line, without the machine's folders
        sys.exit(re.sub(r"/\S*/", "", " ".join(f"{type(error).__name__}: {error}".split()))[:200])
