#!/usr/bin/env python3
"""Makes golden.h5: GPT-2's logits, gradients and ten AdamW steps, from PyTorch in float64.

    make_golden.py FILE           write FILE
    make_golden.py --check FILE   recompute FILE from the weights and tokens in it, and compare

The committed file was made with Debian 12's PyTorch 1.13.1, numpy 1.24.2 and h5py 3.7.0; the file's
attributes `torch`, `numpy`, `h5py` and `script_sha256` say what made the copy at hand.

The model is GPT-2 as arXiv 2306.03241 trains it. Legend: B sequences, T tokens, C channels, H heads,
D = C/H, V vocabulary, l the layer's index from 0; a Linear's weight W has the shape (out, in).
    x      = wte[token] + wpe[position]
    x     += c_proj(attention(c_attn(ln_1(x))))          each layer
    x     += c_proj(gelu(c_fc(ln_2(x))))
    logits = ln_f(x) wte^T                               the tied embedding
    attention: softmax over s <= t of q_t.k_s / sqrt(D), divided by l + 1 where scale_attention_by_layer
    loss   = mean over B*T of -log softmax(logits)[target], in nats
Each case draws its weights far larger than a real initialisation would, so that no gradient is nearly
zero and LayerNorm, softmax and GELU are all away from their linear range.

Layout (every dataset contiguous, so that parallel HDF5 reads it; strings are of fixed length):
    /<case>            attributes layers heads channels context vocabulary bias scale_attention_by_layer gelu
                       layer_norm_epsilon sequences micro_sequences, and how far PyTorch's own float32 is
                       from float64 as max|a-b|/max|b|: float32_error_{loss,logits,gradients}
        weights/<name>      float32, nanoGPT's names, (out, in)
        gradients/<name>    float64, of the mean loss; attribute float32_error
        inputs targets      int32 (B, T)
        logits loss         float64 (B, T, V), ()
    /adamw             ten steps from the weights of the case in the attribute `case`; attributes below
        inputs targets      int32 (10, B, T)
        losses              float64 (10): the loss of batch s before update s
        lrs grad_norms      float64 (10): of update s; the norm is the one before clipping
        losses_float32      float64 (10): the same run in float32
        weights/<name>      float32: rounded from the float64 run, after all ten updates; attribute float32_error
The cases' weights are exact in float32, so the float64 numbers belong to exactly the weights stored.

AdamW's rules, as the released scripts have them:
    lr of update s     lr(s - 1): it = s - 1; peak*it/warmup for it < warmup, then a cosine to final at `steps`;
                       so update 1 has lr zero and losses 1 and 2 see the same weights
    clipping           torch.nn.utils.clip_grad_norm_: all gradients times min(1, clip / (norm + 1e-6))
    weight decay       w *= 1 - lr*weight_decay before the update, on Linear weights only: not on wte, wpe,
                       LayerNorm and biases
    update             w -= lr * m / (1 - beta1^s) / (sqrt(v / (1 - beta2^s)) + epsilon)
"""

import argparse
import hashlib
import math
import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

LAYER_NORM_EPSILON = 1e-5

# Sizes are awkward on purpose: odd T and V, D of 12, 8 and 5, B that two micro-batches cannot share equally.
COMMON = dict(context=11, vocabulary=61, sequences=3, micro_sequences=2, layer_norm_epsilon=LAYER_NORM_EPSILON)
CASES = {
    "bias_false": dict(COMMON, seed=1, layers=3, heads=2, channels=24, bias=0, scale_attention_by_layer=1, gelu="tanh"),
    "bias_true": dict(COMMON, seed=2, layers=3, heads=3, channels=24, bias=1, scale_attention_by_layer=1, gelu="tanh"),
    "gelu_erf": dict(COMMON, seed=3, layers=2, heads=4, channels=20, bias=1, scale_attention_by_layer=0, gelu="erf"),
}
# bias_true holds every kind of tensor, so a decay put on the wrong one shows. clip_norm lies inside the range of
# the norms, so that some updates are clipped and some are not.
ADAMW = dict(case="bias_true", seed=4, beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip_norm=1.0,
             peak_lr=1e-2, final_lr=1e-3, warmup_steps=3, steps=20)
UPDATES = 10


# ---- the model ------------------------------------------------------------------------------------------------

def tensor_shapes(case):
    """Name -> shape, in the order of the forward pass."""
    channels, bias = case["channels"], case["bias"]
    shapes = {"wte.weight": (case["vocabulary"], channels), "wpe.weight": (case["context"], channels)}

    def add(name, *shape):
        shapes[name + ".weight"] = shape
        if bias:
            shapes[name + ".bias"] = shape[:1]

    for layer in range(case["layers"]):
        add(f"h.{layer}.ln_1", channels)
        add(f"h.{layer}.attn.c_attn", 3 * channels, channels)
        add(f"h.{layer}.attn.c_proj", channels, channels)
        add(f"h.{layer}.ln_2", channels)
        add(f"h.{layer}.mlp.c_fc", 4 * channels, channels)
        add(f"h.{layer}.mlp.c_proj", channels, 4 * channels)
    add("ln_f", channels)
    return shapes


def draw_weights(case):
    """0.1 n everywhere, around 1 for LayerNorm's weights; float32."""
    generator = torch.Generator().manual_seed(case["seed"])
    weights = {}
    for name, shape in tensor_shapes(case).items():
        center = 1.0 if is_layer_norm(name) and name.endswith(".weight") else 0.0
        weights[name] = center + 0.1 * torch.randn(shape, generator=generator, dtype=torch.float32)
    return weights


def is_layer_norm(name):
    return "ln_" in name


def is_decayed(name):
    """Linear weights only."""
    return name.endswith(".weight") and not is_layer_norm(name) and name not in ("wte.weight", "wpe.weight")


def forward(case, weights, inputs):
    """Logits (B, T, V) of the tokens `inputs` (B, T)."""

    def linear(x, name):
        return F.linear(x, weights[name + ".weight"], weights.get(name + ".bias"))

    def layer_norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[name + ".weight"], weights.get(name + ".bias"),
                            LAYER_NORM_EPSILON)

    def gelu(x):
        return F.gelu(x, approximate="tanh" if case["gelu"] == "tanh" else "none")

    tokens = inputs.shape[1]
    x = weights["wte.weight"][inputs] + weights["wpe.weight"][:tokens]
    for layer in range(case["layers"]):
        divisor = layer + 1 if case["scale_attention_by_layer"] else 1
        block = f"h.{layer}."
        qkv = linear(layer_norm(x, block + "ln_1"), block + "attn.c_attn")
        x = x + linear(causal_attention(qkv, case["heads"], divisor), block + "attn.c_proj")
        x = x + linear(gelu(linear(layer_norm(x, block + "ln_2"), block + "mlp.c_fc")), block + "mlp.c_proj")
    return layer_norm(x, "ln_f") @ weights["wte.weight"].T


def causal_attention(qkv, heads, divisor):
    """(B, T, 3C) -> (B, T, C). A row of qkv is q, k, v in turn, each cut into H heads of D."""
    sequences, tokens, width = qkv.shape
    size = width // (3 * heads)
    q, k, v = qkv.view(sequences, tokens, 3, heads, size).permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
    scores = q @ k.transpose(2, 3) / math.sqrt(size) / divisor
    future = torch.ones(tokens, tokens, dtype=torch.bool).triu(diagonal=1)
    probabilities = scores.masked_fill(future, -math.inf).softmax(dim=-1)
    return (probabilities @ v).transpose(1, 2).reshape(sequences, tokens, heads * size)


def mean_loss(case, weights, inputs, targets):
    """The loss and the logits."""
    logits = forward(case, weights, inputs)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten()), logits


def leaves(weights, dtype):
    return {name: w.to(dtype).clone().requires_grad_(True) for name, w in weights.items()}


# ---- what is stored -------------------------------------------------------------------------------------------

def draw_tokens(case, seed, batches):
    """inputs and targets (batches, B, T): a noisy rule x -> 5x + 3 mod V, so that there is something to learn."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batches, case["sequences"], case["context"] + 1)
    text = torch.randint(case["vocabulary"], shape, generator=generator)
    noisy = torch.rand(shape, generator=generator) < 0.2
    for t in range(1, shape[2]):
        ruled = (5 * text[..., t - 1] + 3) % case["vocabulary"]
        text[..., t] = torch.where(noisy[..., t], text[..., t], ruled)
    return text[..., :-1].clone(), text[..., 1:].clone()


def gradients_of(case, weights, inputs, targets, dtype):
    """loss, logits and gradients by name, as numpy arrays of `dtype`."""
    parameters = leaves(weights, dtype)
    loss, logits = mean_loss(case, parameters, inputs, targets)
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    by_name = {name: g.numpy() for name, g in zip(parameters, gradients)}
    return loss.detach().numpy(), logits.detach().numpy(), by_name


def learning_rate(iteration):
    peak, final, warmup, steps = (ADAMW[key] for key in ("peak_lr", "final_lr", "warmup_steps", "steps"))
    if iteration < warmup:
        return peak * iteration / warmup
    return final + 0.5 * (1 + math.cos(math.pi * (iteration - warmup) / (steps - warmup))) * (peak - final)


def train(case, weights, inputs, targets, dtype):
    """Losses and gradient norms before each update, learning rates of each update, and the weights after all."""
    parameters = leaves(weights, dtype)
    groups = [dict(params=[w for name, w in parameters.items() if is_decayed(name) == decayed],
                   weight_decay=ADAMW["weight_decay"] if decayed else 0.0) for decayed in (True, False)]
    optimizer = torch.optim.AdamW(groups, betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["epsilon"])
    losses, lrs, norms = [], [], []
    for step in range(1, UPDATES + 1):
        lrs.append(learning_rate(step - 1))
        for group in optimizer.param_groups:
            group["lr"] = lrs[-1]
        optimizer.zero_grad()
        loss, _ = mean_loss(case, parameters, inputs[step - 1], targets[step - 1])
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), ADAMW["clip_norm"]).item())
        losses.append(loss.item())
        optimizer.step()
    after = {name: w.detach().numpy() for name, w in parameters.items()}
    return np.array(losses), np.array(lrs), np.array(norms), after


def relative_error(value, truth):
    """max|a - b| / max|b|, the project's measure."""
    value, truth = np.asarray(value, np.float64), np.asarray(truth, np.float64)
    return float(np.abs(value - truth).max() / np.abs(truth).max())


def case_content(case, weights, inputs, targets):
    """Path in the case's group -> array, and path (or "") -> attributes."""
    loss, logits, gradients = gradients_of(case, weights, inputs, targets, torch.float64)
    loss32, logits32, gradients32 = gradients_of(case, weights, inputs, targets, torch.float32)
    arrays = {"inputs": inputs.numpy().astype(np.int32), "targets": targets.numpy().astype(np.int32),
              "logits": logits, "loss": loss}
    arrays.update({"weights/" + name: w.numpy() for name, w in weights.items()})
    arrays.update({"gradients/" + name: g for name, g in gradients.items()})
    errors = {name: relative_error(gradients32[name], gradients[name]) for name in gradients}
    attributes = {"gradients/" + name: {"float32_error": error} for name, error in errors.items()}
    attributes[""] = dict(case, float32_error_loss=relative_error(loss32, loss),
                          float32_error_logits=relative_error(logits32, logits),
                          float32_error_gradients=max(errors.values()))
    return arrays, attributes


def adamw_content(case, weights, inputs, targets):
    losses, lrs, norms, after = train(case, weights, inputs, targets, torch.float64)
    losses32, _, _, after32 = train(case, weights, inputs, targets, torch.float32)
    arrays = {"inputs": inputs.numpy().astype(np.int32), "targets": targets.numpy().astype(np.int32),
              "losses": losses, "losses_float32": losses32, "lrs": lrs, "grad_norms": norms}
    arrays.update({"weights/" + name: w.astype(np.float32) for name, w in after.items()})
    attributes = {"weights/" + name: {"float32_error": relative_error(after32[name], w)} for name, w in after.items()}
    attributes[""] = dict(ADAMW, float32_error_losses=relative_error(losses32, losses))
    return arrays, attributes


# ---- the file -------------------------------------------------------------------------------------------------

def attribute(value):
    """int64, float64 or a string of fixed length: what plain HDF5 calls read without fuss."""
    if isinstance(value, str):
        return np.bytes_(value)
    return np.int64(value) if isinstance(value, int) else np.float64(value)


def put(file, group, content):
    arrays, attributes = content
    for path, array in arrays.items():
        file.create_dataset(f"{group}/{path}", data=array)
    for path, values in attributes.items():
        for key, value in values.items():
            file[f"{group}/{path}"].attrs[key] = attribute(value)


def script_digest():
    return hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()


def write(path):
    with h5py.File(path, "w") as file:
        made_by = dict(torch=torch.__version__, numpy=np.__version__, h5py=h5py.__version__,
                       script_sha256=script_digest())
        for key, value in made_by.items():
            file.attrs[key] = attribute(str(value))
        for name, case in CASES.items():
            inputs, targets = draw_tokens(case, case["seed"] + 100, 1)
            put(file, name, case_content(case, draw_weights(case), inputs[0], targets[0]))
        case = CASES[ADAMW["case"]]
        put(file, "adamw", adamw_content(case, draw_weights(case), *draw_tokens(case, ADAMW["seed"], UPDATES)))


def tolerance(path):
    """Float64 numbers repeat to rounding on any machine; a float32 run only to its own accuracy."""
    return 1e-4 if path.endswith("losses_float32") else 1e-6 if path.startswith("adamw/weights/") else 1e-10


def compare(file, group, content):
    """The number of differences. `float32_error` depends on the machine and is not compared."""
    arrays, attributes = content
    stored = set()
    file[group].visititems(lambda path, node: stored.add(path) if isinstance(node, h5py.Dataset) else None)
    problems = [f"{group}/{path} is on one side only" for path in stored ^ set(arrays)]
    for path in sorted(stored & set(arrays)):
        full = f"{group}/{path}"
        truth = file[full][()]
        if truth.shape != arrays[path].shape or truth.dtype != arrays[path].dtype:
            problems.append(f"{full}: {truth.dtype}{truth.shape}, expected {arrays[path].dtype}{arrays[path].shape}")
        elif not (error := relative_error(arrays[path], truth)) <= tolerance(full):
            problems.append(f"{full}: differs by {error:.1e}, allowed {tolerance(full):.0e}")
    for key, value in attributes[""].items():
        if not key.startswith("float32_error") and file[group].attrs[key] != attribute(value):
            problems.append(f"{group}: {key} is {file[group].attrs[key]}, expected {value}")
    for problem in problems:
        print(problem)
    return len(problems)


def check(path):
    """Recomputes from the stored weights and tokens: a generator that draws otherwise elsewhere does no harm."""
    with h5py.File(path, "r") as file:

        def stored_tokens(group):
            return [torch.from_numpy(file[f"{group}/{name}"][()].astype(np.int64)) for name in ("inputs", "targets")]

        def stored_weights(case):
            return {name: torch.from_numpy(file[f"{case}/weights/{name}"][()]) for name in tensor_shapes(CASES[case])}

        if file.attrs["script_sha256"] != attribute(script_digest()):
            print("note: the file was made by another version of this script")
        problems = sum(compare(file, name, case_content(case, stored_weights(name), *stored_tokens(name)))
                       for name, case in CASES.items())
        start = ADAMW["case"]
        problems += compare(file, "adamw", adamw_content(CASES[start], stored_weights(start), *stored_tokens("adamw")))
    print(f"{path}: " + (f"{problems} differences" if problems else "agrees"))
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="recompute FILE and compare instead of writing it")
    parser.add_argument("file", metavar="FILE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the same order of sums everywhere
    if arguments.check:
        return check(arguments.file)
    write(arguments.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
