"""GPT-2 in float64 NumPy: the loss of a weights file on a token file, by nothing of the program but the files' names and shapes.

B sequences, T tokens, C channels, H heads.
"""
import math
import tomllib

import h5py
import numpy as np

erf = np.vectorize(math.erf)


def norm(x, w, name, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * w[f"{name}.weight"] + w.get(f"{name}.bias", 0)


def linear(x, w, name):
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)


def gelu(x, kind="tanh"):
    """GPT-2's approximation by tanh, or the exact one."""
    return x / 2 * (1 + erf(x / math.sqrt(2))) if kind == "erf" else 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def log_softmax(x):
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def attend(qkv, heads, divisor):
    """Causal attention, (B, T, 3C) -> (B, T, C); logits are divided by sqrt(C/H) and by `divisor`."""
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = qkv.reshape(B, T, 3, heads, C // heads).transpose(2, 0, 3, 1, 4)   # each (B, H, T, C/H)
    scores = q @ k.swapaxes(-1, -2) / (np.sqrt(C // heads) * divisor)
    scores[..., np.triu(np.ones((T, T), bool), 1)] = -np.inf
    return (np.exp(log_softmax(scores)) @ v).transpose(0, 2, 1, 3).reshape(B, T, C)


def logits(w, tokens, model):
    """w: {name: array}; tokens (B, T); model: the keys of the file's [model]."""
    x = w["wte.weight"][tokens] + w["wpe.weight"][: tokens.shape[1]]
    for l in range(model["layers"]):
        h = f"h.{l}."
        qkv = linear(norm(x, w, h + "ln_1"), w, h + "attn.c_attn")
        x = x + linear(attend(qkv, model["heads"], l + 1 if model["scale_attention_by_layer"] else 1), w, h + "attn.c_proj")
        x = x + linear(gelu(linear(norm(x, w, h + "ln_2"), w, h + "mlp.c_fc"), model["gelu"]), w, h + "mlp.c_proj")
    return norm(x, w, "ln_f") @ w.get("lm_head.weight", w["wte.weight"]).T


def read(path):
    """({name: array}, the keys of [model]) of a weights file."""
    with h5py.File(path) as file:
        model = tomllib.loads(file["config"][()].decode())["model"]
        return {name: value[()].astype(np.float64) for name, value in file["named"].items()}, model


def loss(path, token_file, logits=logits):
    """The mean loss of a weights file [nats/token]."""
    return mean_loss(*read(path), token_file, logits)


def mean_loss(w, model, token_file, logits=logits):
    """Mean loss [nats/token] over all windows of T+1 consecutive tokens that overlap by one."""
    tokens, T = np.fromfile(token_file, "<u2"), model["context"]
    windows = np.stack([tokens[i : i + T + 1] for i in range(0, len(tokens) - T, T)]).astype(int)
    predicted = log_softmax(logits(w, windows[:, :-1], model))
    return -np.take_along_axis(predicted, windows[:, 1:, None], -1).mean()
