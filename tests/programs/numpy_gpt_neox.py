"""GPT-NeoX in float64 NumPy, as numpy_gpt2 is: logits from the tensors of a file, by Hugging Face's names and layouts.

B sequences, T tokens, C channels, H heads, D = C/H.
"""
import math

import numpy as np
import numpy_gpt2

erf = np.vectorize(math.erf)


def turn(x, width, base):
    """(B, H, T, D): the first `width` channels of position t, as width/2 complex numbers, times exp(i t / base^(2j/width))."""
    half = width // 2
    angles = np.arange(x.shape[2])[:, None] / base ** (np.arange(half) * 2 / width)
    turned = (x[..., :half] + 1j * x[..., half:width]) * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag, x[..., width:]], -1)


def attend(qkv, heads, width, base):
    """(B, T, 3C) -> (B, T, C); a row has its heads one after the other, each q, k, v."""
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = qkv.reshape(B, T, heads, 3, C // heads).transpose(3, 0, 2, 1, 4)   # each (B, H, T, D)
    scores = turn(q, width, base) @ turn(k, width, base).swapaxes(-1, -2) / np.sqrt(C // heads)
    scores[..., np.triu(np.ones((T, T), bool), 1)] = -np.inf
    return (np.exp(numpy_gpt2.log_softmax(scores)) @ v).transpose(0, 2, 1, 3).reshape(B, T, C)


def logits(w, tokens, model):
    """w: {name: array}; tokens (B, T); model: the keys of the file's [model]."""
    width = int(model["channels"] // model["heads"] * model["rotary_fraction"])

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x, name):
        return numpy_gpt2.norm(x, w[f"{name}.weight"]) + w[f"{name}.bias"]

    x = w["gpt_neox.embed_in.weight"][tokens]
    for layer in range(model["layers"]):
        block = f"gpt_neox.layers.{layer}."
        qkv = linear(norm(x, block + "input_layernorm"), block + "attention.query_key_value")
        f = linear(norm(x, block + "post_attention_layernorm"), block + "mlp.dense_h_to_4h")
        attention = linear(attend(qkv, model["heads"], width, model["rotary_base"]), block + "attention.dense")
        x = x + attention + linear(f / 2 * (1 + erf(f / math.sqrt(2))), block + "mlp.dense_4h_to_h")
    return norm(x, "gpt_neox.final_layer_norm") @ w["embed_out.weight"].T
