"""Tiny random GPT-2s and GPT-NeoXs as transformers keeps them: config.json, tensors by its names and layouts; and what they are here."""
import json

import numpy as np
from safetensors_file import bfloat16, widened, write_model

GPT2 = dict(model_type="gpt2", n_layer=2, n_head=2, n_embd=8, n_positions=12, vocab_size=29, activation_function="gelu_new", layer_norm_epsilon=1e-5,
            tie_word_embeddings=True, scale_attn_by_inverse_layer_idx=False)
NEOX = dict(model_type="gpt_neox", num_hidden_layers=2, num_attention_heads=2, hidden_size=16, intermediate_size=64, max_position_embeddings=12,
            vocab_size=29, hidden_act="gelu", layer_norm_eps=1e-5, tie_word_embeddings=False, use_parallel_residual=True, attention_bias=True,
            rotary_pct=0.25, rotary_emb_base=10000)
CASES = {
    "gpt2": GPT2,
    "gpt2_untied": GPT2 | dict(tie_word_embeddings=False),
    "gpt2_scaled_by_layer": GPT2 | dict(scale_attn_by_inverse_layer_idx=True, n_layer=3),
    "gpt2_erf": GPT2 | dict(activation_function="gelu", n_head=1),
    "gpt2_odd": GPT2 | dict(n_head=3, n_embd=15, vocab_size=31, n_positions=7),
    "gpt2_narrow_heads": GPT2 | dict(n_head=8, vocab_size=257, n_layer=1),
    "gpt2_wide_head": GPT2 | dict(n_head=1, n_embd=64, n_layer=1),
    "neox": NEOX,
    "neox_sequential": NEOX | dict(use_parallel_residual=False),
    "neox_tied": NEOX | dict(tie_word_embeddings=True, rotary_pct=0.5),
    "neox_all_turned": NEOX | dict(rotary_pct=1.0, num_attention_heads=4),
    "neox_none_turned": NEOX | dict(rotary_pct=0.0),
    "neox_no_attention_biases": NEOX | dict(attention_bias=False, rotary_emb_base=500),
    "neox_odd": NEOX | dict(num_attention_heads=3, hidden_size=15, intermediate_size=60, rotary_pct=0.8, vocab_size=31),
    "neox_tanh": NEOX | dict(hidden_act="gelu_new", num_hidden_layers=1, num_attention_heads=1, rotary_pct=0.3),
    "neox_large_vocabulary": NEOX | dict(vocab_size=257, rotary_emb_base=1e6, max_position_embeddings=20),
}
PROJECTIONS = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def is_neox(config):
    return config["model_type"] == "gpt_neox"


def shapes(config):
    """{name: shape} as transformers saves it."""
    if is_neox(config):
        C, V, prefix = config["hidden_size"], config["vocab_size"], "gpt_neox."
        sizes = {"embed_in.weight": (V, C)}
        for layer in range(config["num_hidden_layers"]):
            linears = {"attention.query_key_value": (3 * C, C), "attention.dense": (C, C), "mlp.dense_h_to_4h": (4 * C, C), "mlp.dense_4h_to_h": (C, 4 * C)}
            for name, shape in {"input_layernorm": (C,), "post_attention_layernorm": (C,)} .items() | linears.items():
                sizes[f"layers.{layer}.{name}.weight"] = shape
                if config["attention_bias"] or "attention." not in name:
                    sizes[f"layers.{layer}.{name}.bias"] = shape[:1]
        sizes |= {"final_layer_norm.weight": (C,), "final_layer_norm.bias": (C,)}
        head = "embed_out.weight"
    else:
        C, V, prefix = config["n_embd"], config["vocab_size"], "transformer."
        sizes = {"wte.weight": (V, C), "wpe.weight": (config["n_positions"], C)}
        for layer in range(config["n_layer"]):
            for name, shape in {"ln_1": (C,), "attn.c_attn": (C, 3 * C), "attn.c_proj": (C, C), "ln_2": (C,), "mlp.c_fc": (C, 4 * C), "mlp.c_proj": (4 * C, C)}.items():
                sizes |= {f"h.{layer}.{name}.weight": shape, f"h.{layer}.{name}.bias": shape[-1:]}
        sizes |= {"ln_f.weight": (C,), "ln_f.bias": (C,)}
        head = "lm_head.weight"
    return {prefix + name: shape for name, shape in sizes.items()} | ({} if config["tie_word_embeddings"] else {head: (V, C)})


def random_tensors(config, seed=1):
    """{name: float32 array}: large enough that every one of them counts."""
    draw = np.random.default_rng(seed)
    tensors = {}
    for name, shape in sorted(shapes(config).items()):
        is_norm = "ln_" in name or "norm" in name
        tensors[name] = ((is_norm and name.endswith("weight")) + 0.2 * draw.normal(size=shape)).astype(np.float32)
    return tensors


def write(folder, config, tensors, dtype="F32", shards=1, **files):
    """A folder that transformers loads; returns the numbers that it holds."""
    stored = {name: (dtype, bfloat16(array) if dtype == "BF16" else array) for name, array in tensors.items()}
    items = list(stored.items())
    cuts = [len(items) * i // shards for i in range(shards + 1)]
    write_model(folder, [dict(items[a:b]) for a, b in zip(cuts, cuts[1:])], config=json.dumps(config), **files)
    return {name: widened(array) if kind == "BF16" else np.asarray(array, {"F16": "<f2", "F32": "<f4", "F64": "<f8"}[kind]).astype(np.float32)
            for name, (kind, array) in stored.items()}


def ours(config, tensors):
    """(tensors by our names and layouts, the keys of [model]) of what transformers has."""
    if is_neox(config):
        model = dict(architecture="gpt_neox", layers=config["num_hidden_layers"], heads=config["num_attention_heads"], channels=config["hidden_size"],
                     context=config["max_position_embeddings"], rotary_fraction=config["rotary_pct"], rotary_base=config["rotary_emb_base"],
                     parallel_residual=config["use_parallel_residual"], attention_bias=config["attention_bias"], scale_attention_by_layer=False)
        held = tensors
    else:
        model = dict(architecture="gpt2", layers=config["n_layer"], heads=config["n_head"], channels=config["n_embd"], context=config["n_positions"],
                     scale_attention_by_layer=config["scale_attn_by_inverse_layer_idx"])
        held = {name.removeprefix("transformer."): array.T if name.endswith(PROJECTIONS) else array for name, array in tensors.items()}
    activation = config["hidden_act"] if is_neox(config) else config["activation_function"]
    return held, model | dict(vocabulary=config["vocab_size"], gelu="erf" if activation == "gelu" else "tanh", bias=True)
