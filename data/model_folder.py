"""Writes a GPT-2 as transformers and lawa read it: a folder with config.json and model.safetensors, a tensor at a time.

safetensors: uint64 length of the header; the header, JSON {name: {"dtype", "shape", "data_offsets"}}; the tensors' bytes, row-major.
"""

import json
import os
import shutil
import struct
from dataclasses import dataclass
from typing import Callable

import numpy as np

from problems import DataError
from token_file import part_path

TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}   # a BF16 array holds the numbers' bits


@dataclass(frozen=True)
class Tensor:
    """A tensor that is read when it is written: read() gives its array, in the type that `dtype` has in TYPES."""
    name: str
    dtype: str
    shape: tuple
    read: Callable[[], np.ndarray]


def gpt2_config(layers, heads, channels, context, vocabulary, gelu, bias, dtype):
    """config.json. Without biases its tensors are zeros, and "bias": false says so to lawa."""
    config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": layers, "n_head": heads, "n_embd": channels,
              "n_positions": context, "vocab_size": vocabulary, "activation_function": {"tanh": "gelu_new", "erf": "gelu"}[gelu],
              "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": None,
              "torch_dtype": {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[dtype]}
    return config if bias else config | {"bias": False}


def gpt2_shapes(layers, channels, context, vocabulary):
    """{name: shape} of a tied GPT-2's tensors, with its projections as Conv1D has them, (in, out)."""
    C, shapes = channels, {"wte.weight": (vocabulary, channels), "wpe.weight": (context, channels)}
    for layer in range(layers):
        for name, shape in {"ln_1": (C,), "attn.c_attn": (C, 3 * C), "attn.c_proj": (C, C), "ln_2": (C,), "mlp.c_fc": (C, 4 * C), "mlp.c_proj": (4 * C, C)}.items():
            shapes |= {f"h.{layer}.{name}.weight": shape, f"h.{layer}.{name}.bias": shape[-1:]}
    return shapes | {"ln_f.weight": (C,), "ln_f.bias": (C,)}


def write_model(folder, config, tensors):
    """A new folder; it has its name when all of it is there. Errors: it exists; an array that isn't as it was announced."""
    if folder.exists():
        raise DataError(f"{folder}: exists; choose another name")
    part = part_path(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for tensor in tensors:
        begin, end = end, end + int(np.prod(tensor.shape)) * np.dtype(TYPES[tensor.dtype]).itemsize
        header[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(part / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            array = np.ascontiguousarray(tensor.read())
            if array.shape != tuple(tensor.shape) or array.dtype != np.dtype(TYPES[tensor.dtype]):
                raise DataError(f"tensor {tensor.name} is {array.dtype} {list(array.shape)}, not {TYPES[tensor.dtype]} {list(tensor.shape)}")
            file.write(array.data)
        file.flush()
        os.fsync(file.fileno())
    (part / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    part.rename(folder)
