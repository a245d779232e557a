"""GPT-NeoX in float64 NumPy, as numpy_gpt2 is: logits from the tensors of a file, by Hugging Face's names and layouts.

B sequences, T tokens, C channels, H heads, D = C/H.
"""
import numpy as np
import numpy_gpt2
from numpy_gpt2 import linear, norm


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

    x = w["gpt_neox.embed_in.weight"][tokens]
    for layer in range(model["layers"]):
        block = f"gpt_neox.layers.{layer}."
        qkv = linear(norm(x, w, block + "input_layernorm"), w, block + "attention.query_key_value")
        attention = linear(attend(qkv, model["heads"], width, model["rotary_base"]), w, block + "attention.dense")
        f = linear(norm(x if model["parallel_residual"] else x + attention, w, block + "post_attention_layernorm"), w, block + "mlp.dense_h_to_4h")
        x = x + attention + linear(numpy_gpt2.gelu(f, model["gelu"]), w, block + "mlp.dense_4h_to_h")
    return norm(x, w, "gpt_neox.final_layer_norm") @ w.get("embed_out.weight", w["gpt_neox.embed_in.weight"]).T
