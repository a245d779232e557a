#!/usr/bin/env python3
"""Makes gpt_neox.h5: GPT-NeoX's logits, losses, gradients and some AdamW steps, from transformers' GPTNeoXForCausalLM in float64.

    make_gpt_neox.py FILE           write FILE
    make_gpt_neox.py --check FILE   compute again, and compare

It needs PyTorch and transformers; the file's attributes `torch` and `transformers` say which made it. (They turn queries and keys by
cosines that are rounded to float32, even in float64: what is in the file is good to about 1e-7.)

Weights and tokens aren't stored: noise(seed, i) makes them, here and in gpt_neox.cpp. It is the finalizer of MurmurHash3 over
i + seed * 0x9E3779B97F4A7C15, whose upper 24 bits are a fraction, less 1/2.
    weights   1 (a LayerNorm's weight) or 0, + 0.35 noise(seed, i), as float32, for element i of all tensors in our file's order
    tokens    floor((noise(seed + 1, i) + 1/2) V), (batches, B, T + 1): inputs and targets, one token later

Layout (every dataset contiguous; strings are of fixed length):
    /<case>               attributes: the model's keys, sequences, length, seed
        loss, logits          float64 (), (B, T, V)
        gradients/<name>      float32, of the mean loss, where the case asks for them; names and layouts are Hugging Face's
    /adamw                attributes: case and the optimizer's keys
        losses grad_norms     float64: before each update; the norm is the one before clipping
        weights/<name>        float32: after all updates
AdamW's rules are make_golden.py's.
"""
import argparse
import sys

import h5py
import numpy as np
import torch
import transformers
from make_golden import attribute, put, relative_error

COMMON = dict(layers=2, heads=2, channels=16, context=12, vocabulary=29, bias=1, attention_bias=1, parallel_residual=1, tied=0, gelu="erf",
              rotary_fraction=0.25, rotary_base=10000.0, sequences=2, length=9, gradients=0)
SHAPES = {
    "pythia": dict(gradients=1),
    "sequential": dict(parallel_residual=0, gradients=1),
    "tied": dict(tied=1, attention_bias=0, rotary_fraction=0.5, gradients=1),
    "all_channels_turned": dict(rotary_fraction=1.0, heads=4, gradients=1),
    "none_turned": dict(rotary_fraction=0.0),
    "no_biases": dict(bias=0, rotary_fraction=0.5),
    "no_attention_biases": dict(attention_bias=0, parallel_residual=0),
    "rounded_down": dict(rotary_fraction=0.3, heads=1, channels=15),        # 4.5 of 15 channels: 4
    "small_base": dict(rotary_base=7.0, rotary_fraction=0.5),
    "large_base": dict(rotary_base=1e6, rotary_fraction=1.0, channels=24, heads=3),
    "one_head": dict(heads=1, channels=20, rotary_fraction=0.2, layers=1),
    "narrow_heads": dict(heads=8, rotary_fraction=1.0, layers=3),
    "odd_heads": dict(heads=3, channels=15, rotary_fraction=0.8, vocabulary=31),
    "tanh": dict(gelu="tanh", layers=1),
    "large_vocabulary": dict(vocabulary=257, heads=1, channels=8, length=12),
    "one_token": dict(vocabulary=3, length=1),
    "pythia_70m_head": dict(layers=1, heads=1, channels=64, vocabulary=17, length=12),
    "pythia_2.8b_head": dict(layers=1, heads=1, channels=80, vocabulary=17, length=12),
}
CASES = {name: COMMON | dict(seed=10 * i) | shape for i, (name, shape) in enumerate(SHAPES.items())}
# Every channel of a key is turned, so that no bias has a gradient of zero: AdamW would follow the signs of its rounding errors.
ADAMW = dict(case="all_channels_turned", updates=8, beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip_norm=1.0, lr=5e-3)


def noise(seed, n):
    x = np.arange(n, dtype=np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ (x >> np.uint64(33))) * np.uint64(factor)
    x ^= x >> np.uint64(33)
    return (x >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5


def tensor_shapes(case):
    """Name -> shape, in our file's order."""
    channels, shapes = case["channels"], {"gpt_neox.embed_in.weight": (case["vocabulary"], case["channels"])}

    def add(name, *shape, biased=True):
        shapes[name + ".weight"] = shape
        if case["bias"] and biased:
            shapes[name + ".bias"] = shape[:1]

    for layer in range(case["layers"]):
        block = f"gpt_neox.layers.{layer}."
        add(block + "input_layernorm", channels)
        add(block + "attention.query_key_value", 3 * channels, channels, biased=case["attention_bias"])
        add(block + "attention.dense", channels, channels, biased=case["attention_bias"])
        add(block + "post_attention_layernorm", channels)
        add(block + "mlp.dense_h_to_4h", 4 * channels, channels)
        add(block + "mlp.dense_4h_to_h", channels, 4 * channels)
    add("gpt_neox.final_layer_norm", channels)
    if not case["tied"]:
        shapes["embed_out.weight"] = (case["vocabulary"], channels)
    return shapes


def weights_of(case):
    shapes = tensor_shapes(case)
    numbers = 0.35 * noise(case["seed"], sum(int(np.prod(shape)) for shape in shapes.values()))
    weights, begin = {}, 0
    for name, shape in shapes.items():
        end = begin + int(np.prod(shape))
        weights[name] = ((1 if name.endswith("norm.weight") else 0) + numbers[begin:end]).astype(np.float32).reshape(shape)
        begin = end
    return weights


def tokens_of(case, batches):
    """(batches, B, T + 1)"""
    shape = (batches, case["sequences"], case["length"] + 1)
    return torch.from_numpy(np.floor((noise(case["seed"] + 1, np.prod(shape)) + 0.5) * case["vocabulary"]).astype(np.int64)).reshape(shape)


class Model:
    """transformers' model with a case's weights; its parameters by our names."""

    def __init__(self, case):
        config = transformers.GPTNeoXConfig(
            vocab_size=case["vocabulary"], hidden_size=case["channels"], num_hidden_layers=case["layers"], num_attention_heads=case["heads"],
            intermediate_size=4 * case["channels"], hidden_act="gelu" if case["gelu"] == "erf" else "gelu_new",
            max_position_embeddings=case["context"], layer_norm_eps=1e-5, use_parallel_residual=bool(case["parallel_residual"]),
            attention_bias=bool(case["attention_bias"]), tie_word_embeddings=bool(case["tied"]), attn_implementation="sdpa", bos_token_id=None, eos_token_id=None,
            rope_parameters=dict(rope_type="default", rope_theta=case["rotary_base"], partial_rotary_factor=case["rotary_fraction"]))
        self.module = transformers.GPTNeoXForCausalLM(config).double().eval()
        theirs = dict(self.module.named_parameters())
        renamed = {name: "lm_head.weight" if name == "embed_out.weight" and name not in theirs else name for name in tensor_shapes(case)}
        self.parameters = {name: theirs.pop(renamed[name]) for name in renamed}
        assert all(name.endswith(".bias") for name in theirs) and (not theirs or not case["bias"]), list(theirs)
        with torch.no_grad():
            for name, value in weights_of(case).items():
                self.parameters[name].copy_(torch.from_numpy(value))
            for bias in theirs.values():   # of a model without biases
                bias.zero_()

    def loss(self, tokens):
        """The mean loss, and the logits."""
        logits = self.module(tokens[:, :-1], use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()), logits


def case_content(case):
    model = Model(case)
    loss, logits = model.loss(tokens_of(case, 1)[0])
    arrays = {"loss": loss.detach().numpy(), "logits": logits.detach().numpy()}
    if case["gradients"]:
        gradients = torch.autograd.grad(loss, list(model.parameters.values()))
        arrays |= {f"gradients/{name}": g.numpy().astype(np.float32) for name, g in zip(model.parameters, gradients)}
    return arrays, {"": case}


def adamw_content():
    case, keys = CASES[ADAMW["case"]], ADAMW
    model = Model(case)
    decayed = [p for name, p in model.parameters.items() if p.dim() == 2 and "embed_in" not in name]
    others = [p for name, p in model.parameters.items() if p.dim() == 1 or "embed_in" in name]
    groups = [dict(params=decayed, weight_decay=keys["weight_decay"]), dict(params=others, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=keys["lr"], betas=(keys["beta1"], keys["beta2"]), eps=keys["epsilon"])
    losses, norms = [], []
    for tokens in tokens_of(case, keys["updates"]):
        optimizer.zero_grad()
        loss, _ = model.loss(tokens)
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters.values(), keys["clip_norm"]).item())
        optimizer.step()
    arrays = {"losses": np.array(losses), "grad_norms": np.array(norms)}
    return arrays | {f"weights/{name}": p.detach().numpy().astype(np.float32) for name, p in model.parameters.items()}, {"": ADAMW}


def contents():
    return {name: case_content(case) for name, case in CASES.items()} | {"adamw": adamw_content()}


def check(path):
    with h5py.File(path, "r") as file:
        errors = {f"{group}/{name}": relative_error(array, file[f"{group}/{name}"][()])
                  for group, (arrays, _) in contents().items() for name, array in arrays.items()}
    worst = max(errors, key=errors.get)
    print(f"{path}: the largest difference is {errors[worst]:.1e}, in {worst}")
    return 0 if errors[worst] < 1e-6 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compute again and compare, instead of writing")
    parser.add_argument("file", metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.check:
        return check(options.file)
    with h5py.File(options.file, "w") as file:
        for library in (torch, transformers):
            file.attrs[library.__name__] = attribute(library.__version__)
        for group, content in contents().items():
            put(file, group, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
