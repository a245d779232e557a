"""GPT-2 in float64 NumPy: the loss of a weights file on a token file, by nothing of the program but the files' names and shapes.

B sequences, T tokens, C channels, H heads.
"""
import tomllib

import h5py
import numpy as np


def norm(x, weight, epsilon=1e-5):
    """LayerNorm without bias."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * weight


def gelu(x):
    """GPT-2's approximation by tanh."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


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
        block = {name.removeprefix(f"h.{l}."): value for name, value in w.items() if name.startswith(f"h.{l}.")}
        qkv = norm(x, block["ln_1.weight"]) @ block["attn.c_attn.weight"].T
        x = x + attend(qkv, model["heads"], l + 1) @ block["attn.c_proj.weight"].T
        x = x + gelu(norm(x, block["ln_2.weight"]) @ block["mlp.c_fc.weight"].T) @ block["mlp.c_proj.weight"].T
    return norm(x, w["ln_f.weight"]) @ w["wte.weight"].T


def loss(path, token_file, logits=logits):
    """Mean loss [nats/token] over all windows of T+1 consecutive tokens that overlap by one."""
    with h5py.File(path) as file:
        model = tomllib.loads(file["config"][()].decode())["model"]
        w = {name: value[()].astype(np.float64) for name, value in file["named"].items()}
    tokens, T = np.fromfile(token_file, "<u2"), model["context"]
    windows = np.stack([tokens[i : i + T + 1] for i in range(0, len(tokens) - T, T)]).astype(int)
    predicted = log_softmax(logits(w, windows[:, :-1], model))
    return -np.take_along_axis(predicted, windows[:, 1:, None], -1).mean()
