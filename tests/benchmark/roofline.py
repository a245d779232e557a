#!/usr/bin/env python3
"""The account of a training step of GPT-2 on a GPU, on paper: python3 tests/benchmark/roofline.py [FILE.toml] [options]

For each kernel of a step in bfloat16, as framework/model/transformer.cpp runs it on a device: launches, the bytes that must move through
the GPU's memory, FLOPs, and the time that the larger of the two takes, with a launch's own; then their sum, and its share of the peak.
Residual sums and GELU are taken to be parts of the products, and attention keeps no scores. FLOPs of the share are the field's (6 for each
weight and token, attention over the whole square), those of a line what is computed (attention over half of it).

--measured FILE puts measured times beside it: the CSV of `ncu --csv --print-units base --metrics gpu__time_duration.sum` over one step.
--trace FILE says what the account doesn't know of: a trace of kernel_trace.cpp, of any build. Exit code 1 where there is such a kernel.
"""
import argparse
import csv
import io
import json
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

SMALL = Path(__file__).resolve().parents[2] / "experiments" / "models" / "small.toml"
FLOAT, BF16 = 4, 2   # bytes

# Which group of the account a kernel belongs to: the first pattern that is found in its name, Kokkos' label or the compiler's signature.
GROUPS = (
    (r"sdpa\w*bprop|bprop\w*sdpa|flash_bprop|flash_bwd|attend_backward|softmax_backward|causal_exp|lawa::keep", "attention, backward"),
    (r"sdpa|flash_fprop|flash_fwd|lawa::attend\b|causal_softmax", "attention"),
    (r"cudnn", "attention, backward"),   # its conversions and sums beside the backward
    (r"column_sum", "column sums"),
    (r"embed_backward|token_rows|position_rows", "embedding, backward"),
    (r"lawa::embed", "embedding"),
    (r"norm_backward", "norm, backward"),
    (r"squared_norm", "squared norm"),
    (r"lawa::(add_)?norm\b", "norm"),
    (r"cross_entropy", "cross entropy"),
    (r"adamw|AdamW", "AdamW"),
    (r"lawa::convert", "conversion"),
    (r"ViewFill|ViewValue|lawa::fill|[Mm]emset|memset", "clearing"),
    (r"gelu|lawa::affine\b|lawa::add\b|lawa::add_bias|lawa::bias|lawa::residual|nvjet|gemm|cutlass|cublas|splitK|xmma", "products"),
)


def without_hidden(name):
    return re.sub(r"\(anonymous namespace\)::|_NV_ANON_NAMESPACE::", "", name)


def group_of(name):
    """The account's group of a kernel; None for one that it doesn't know."""
    name = without_hidden(name)
    return next((group for pattern, group in GROUPS if re.search(pattern, name)), None)


@dataclass
class Line:
    """A kernel of the account; launches, bytes and FLOPs are of a whole step."""
    group: str
    name: str
    launches: int
    bytes: float
    flops: float = 0

    def seconds(self, machine):
        return max(self.bytes / machine.bytes_per_second, self.flops / machine.flops_per_second) + self.launches * machine.launch_seconds


@dataclass
class Machine:
    flops_per_second: float = 798e12   # bf16 products of an H100: gpu.jsonl has 779 to 797 TFLOP/s, rounds of our own
    bytes_per_second: float = 3.0e12   # bytes read and written by a large copy there
    launch_seconds: float = 3e-6


@dataclass
class Shape:
    layers: int
    heads: int
    channels: int
    context: int
    vocabulary: int
    sequences: int = 64
    head_rows: int = 8192

    @property
    def tokens(self):
        return self.sequences * self.context

    @property
    def parameters(self):
        C = self.channels
        return self.layers * (12 * C * C + 2 * C) + C + (self.vocabulary + self.context) * C

    @property
    def flops(self):
        """Of a step, as framework/model/model_config.hpp counts them."""
        L, C = self.layers, self.channels
        return self.tokens * (6 * (12 * L * C * C + self.vocabulary * C) + 12 * L * C * self.context)


def product(name, times, rows, inner, columns, out, others=0):
    """rows x inner by inner x columns in bfloat16. out: bytes a number of the result; others: bytes that it reads and writes besides."""
    moved = BF16 * (rows * inner + inner * columns) + out * rows * columns + others
    return Line("products", name, times, times * moved, times * 2.0 * rows * inner * columns)


def account(s):
    """The lines of a step, in its order. N = B*T rows, C channels, V vocabulary, L layers."""
    N, C, V, L, T = s.tokens, s.channels, s.vocabulary, s.layers, s.context
    NC, P = N * C, s.parameters
    chunks = -(-N // s.head_rows)
    rows = N / chunks
    scores = 2.0 * N * T * C / 2   # FLOPs of one causal product with the scores of a layer
    attention = BF16 * 4 * NC + FLOAT * N * s.heads
    lines = [
        Line("embedding", "x = wte[token] + wpe[position]", 1, N * 4 + BF16 * NC + FLOAT * NC),
        Line("norm", "h = norm(x)", 2 * L + 1, (2 * L + 1) * (FLOAT + BF16) * NC),
        product("qkv = h W^T", L, N, C, 3 * C, BF16),
        Line("attention", "y = attention(qkv)", L, L * attention, L * 2 * scores),
        product("x + y W^T", L, N, C, C, FLOAT, FLOAT * NC),
        product("f = h W^T, g = gelu(f)", L, N, C, 4 * C, BF16, BF16 * 4 * NC),
        product("x + g W^T", L, N, 4 * C, C, FLOAT, FLOAT * NC),
        product("z = h W^T", chunks, rows, C, V, FLOAT),
        Line("cross entropy", "loss, dz", chunks, N * V * (2 * FLOAT + BF16)),
        product("dW = dz^T h", chunks, V, rows, C, FLOAT, FLOAT * V * C),
        product("dh = dz W", chunks, rows, V, C, BF16),
        Line("clearing", "dx = 0, and small gradients", 1 + 2 * L + 4, FLOAT * (NC + T * C)),
        Line("column sums", "dw of norms", 2 * L + 1, (2 * L + 1) * (FLOAT + BF16) * NC),
        Line("norm, backward", "dx += dh through a norm, dr = dx in bfloat16", 2 * L + 1, (2 * L + 1) * (3 * FLOAT + 2 * BF16) * NC),
        product("dW = dr^T g", L, C, N, 4 * C, FLOAT),
        product("df = dr W through gelu", L, N, C, 4 * C, BF16, BF16 * 4 * NC),
        product("dW = df^T h", L, 4 * C, N, C, FLOAT),
        product("dh = df W", L, N, 4 * C, C, BF16),
        product("dW = dr^T y", L, C, N, C, FLOAT),
        product("dy = dr W", L, N, C, C, BF16),
        Line("attention, backward", "dqkv = attention'(dy)", L, L * (2 * attention + BF16 * NC), L * 5 * scores),
        product("dW = dqkv^T h", L, 3 * C, N, C, FLOAT),
        product("dh = dqkv W", L, N, 3 * C, C, BF16),
        Line("embedding, backward", "dwte, dwpe", 2, 2 * FLOAT * NC + FLOAT * (2 * min(N, V) + T) * C),
        Line("squared norm", "of all gradients", 1, FLOAT * P),
        Line("AdamW", "w, m, v", 4 * L + 1, 7 * FLOAT * P),
        Line("conversion", "weights in bfloat16", L + 2, (FLOAT + BF16) * P),
    ]
    return lines


def measured(text):
    """{kernel: [seconds of each launch]} of ncu's CSV, in which lines of the program may stand in front."""
    rows = csv.DictReader(io.StringIO(text[max(0, text.find('"ID"')):]))
    scale = {"ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "msecond": 1e-3, "s": 1, "second": 1}
    kernels = defaultdict(list)
    for row in rows:
        if row.get("Metric Name") == "gpu__time_duration.sum":
            kernels[row["Kernel Name"]].append(float(row["Metric Value"].replace(",", "")) * scale[row["Metric Unit"]])
    return kernels


def traced(text):
    """Counter of (kind, name) of a trace's lines, but fences and copies, which are no kernels."""
    lines = [json.loads(line) for line in text.splitlines()]
    return Counter({(line["kind"], line["name"]): line["launches"] for line in lines if line["kind"].startswith("parallel_")})


def short(name):
    """A kernel's name without what it is wrapped in: the function that launches it, and the one whose loop that is."""
    name = without_hidden(name)
    functions = re.findall(r"&\(?(?:void )?lawa::(\w+)", name) or re.findall(r"lawa::(?!bf16)([a-z]\w*)(?=[<(])", name)
    if functions:
        return " of ".join(dict.fromkeys(functions))[:54]
    return re.sub(r"^void |[<(].*", "", name)[:54]


def table(shape, machine, kernels=None):
    """The account's lines as text, and measured times by group where there are some."""
    lines = account(shape)
    out = [f"{shape.parameters} parameters, {shape.sequences} sequences of {shape.context} tokens a step; {machine.flops_per_second / 1e12:.0f} "
           f"TFLOP/s, {machine.bytes_per_second / 1e12:.1f} TB/s, {machine.launch_seconds * 1e6:.0f} us a launch", "",
           f"{'group':20} {'kernel':32} {'launches':>8} {'GB':>8} {'TFLOP':>7} {'ms':>8}  bound by"]
    for line in lines:
        bytes_ms, flops_ms = line.bytes / machine.bytes_per_second * 1e3, line.flops / machine.flops_per_second * 1e3
        out.append(f"{line.group:20} {line.name:32} {line.launches:8} {line.bytes / 1e9:8.2f} {line.flops / 1e12:7.2f} "
                   f"{line.seconds(machine) * 1e3:8.3f}  {'memory' if bytes_ms > flops_ms else 'arithmetic'}")
    total = sum(line.seconds(machine) for line in lines)
    out.append(summary("all, on paper", shape, machine, sum(line.launches for line in lines), total))
    return "\n".join(out + (beside(lines, shape, machine, kernels) if kernels else []))


def summary(name, shape, machine, launches, seconds):
    return (f"{name}: {launches} launches, {seconds * 1e3:.2f} ms, {shape.tokens / seconds:.0f} tokens/s, "
            f"{shape.flops / seconds / machine.flops_per_second:.3f} of the products' peak")


def beside(lines, shape, machine, kernels):
    """Measured times of groups beside the account's; what it doesn't know by its own name."""
    paper, here, by_name = defaultdict(float), defaultdict(list), defaultdict(list)
    for line in lines:
        paper[line.group] += line.seconds(machine)
    for name, seconds in kernels.items():
        group = group_of(name) or f"? {short(name)}"
        here[group] += seconds
        by_name[group, short(name)] += seconds
    out = ["", f"{'group':48} {'paper ms':>9} {'ms':>9} {'times':>6} {'launches':>8}"]
    for group in sorted({*paper, *here}, key=lambda group: -sum(here[group])):
        seconds = sum(here[group])
        times = f"{seconds / paper[group]:6.2f}" if paper[group] else f"{'':6}"
        out.append(f"{group:48} {paper[group] * 1e3:9.3f} {seconds * 1e3:9.3f} {times} {len(here[group]):8}")
        for (_, name), each in sorted(((key, each) for key, each in by_name.items() if key[0] == group), key=lambda item: -sum(item[1])):
            out.append(f"    {name:54} {sum(each) * 1e3:9.3f} {'':6} {len(each):8}")
    launches = sum(map(len, kernels.values()))
    return out + [summary("all, measured kernel by kernel", shape, machine, launches, sum(map(sum, kernels.values())))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=SMALL, metavar="FILE.toml")
    parser.add_argument("--sequences", type=int, default=64, help="sequences a step, in one micro-batch")
    parser.add_argument("--head-rows", type=int, default=8192, help="rows whose logits exist at a time")
    parser.add_argument("--measured", type=Path, metavar="FILE")
    parser.add_argument("--trace", type=Path, metavar="FILE")
    options = parser.parse_args()
    keys = tomllib.loads(options.file.read_text())["model"]
    shape = Shape(*(keys[key] for key in ("layers", "heads", "channels", "context", "vocabulary")), options.sequences, options.head_rows)
    print(table(shape, Machine(), measured(options.measured.read_text()) if options.measured else None))
    if not options.trace:
        return 0
    kernels = traced(options.trace.read_text())
    unknown = sorted({name for _, name in kernels if group_of(name) is None})
    print(f"\nthe trace has {sum(kernels.values())} launches of {len(kernels)} kernels; the account doesn't know of: {', '.join(unknown) or 'none'}")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
