#!/usr/bin/env python3
"""Makes a folder that lawa and transformers read from llm.c's model files, model_00019560.bin or gpt2_124M_bf16.bin.

    convert_llmc.py model.bin FOLDER

`lawa import hf:FOLDER FILE.weights.h5` goes on from there. The format: int32[256], of which the first eight are 20240326, the version, context,
vocabulary, layers, heads, channels and padded vocabulary; then the tensors, each of all layers: wte wpe ln_1 c_attn c_proj ln_2 c_fc c_proj ln_f.
Versions 1 (no padding) and 3 are float32, 5 is bfloat16. Rows of the padding, which llm.c never predicts, are left out.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from model_folder import Tensor, gpt2_config, gpt2_shapes, write_model
from problems import DataError

MAGIC, HEADER_INTS = 20240326, 256
DTYPES = {1: "F32", 3: "F32", 5: "BF16"}
LAYERED = ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias", "ln_2.weight", "ln_2.bias",
           "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias")


def converted(path):
    """(config, tensors) of a model file. Errors: another format or version, or another length than its header asks for."""
    header = np.fromfile(path, "<i4", HEADER_INTS)
    if header.size < HEADER_INTS or header[0] != MAGIC:
        raise DataError("isn't a model file of llm.c (its magic number is another one)")
    version, context, vocabulary, layers, heads, channels, padded = map(int, header[1:8])
    if version not in DTYPES:
        raise DataError(f"is of version {version}; 1, 3 (float32) and 5 (bfloat16) can be read")
    padded = padded if version > 1 else vocabulary
    if min(context, vocabulary, layers, heads, channels) < 1 or padded < vocabulary:
        raise DataError(f"has impossible sizes: {header[2:8].tolist()}")
    dtype = DTYPES[version]
    numbers = np.memmap(path, "<f4" if dtype == "F32" else "<u2", "r", offset=4 * HEADER_INTS)
    shapes, places, end = gpt2_shapes(layers, channels, context, vocabulary), {}, 0

    def lies_next(name, *shape):   # matrices as Linear has them, (out, in)
        nonlocal end
        places[name] = end, shape
        end += int(np.prod(shape))

    lies_next("wte.weight", padded, channels)
    lies_next("wpe.weight", context, channels)
    for name in LAYERED:
        for layer in range(layers):
            lies_next(f"h.{layer}.{name}", *shapes[f"h.{layer}.{name}"][::-1])
    lies_next("ln_f.weight", channels)
    lies_next("ln_f.bias", channels)
    if end != numbers.size:
        raise DataError(f"holds {numbers.size} numbers, and its header asks for {end}")

    def read(name):
        begin, shape = places[name]
        array = numbers[begin:begin + int(np.prod(shape))].reshape(shape)
        return array[:vocabulary] if name == "wte.weight" else array.T if name.startswith("h.") else array

    config = gpt2_config(layers, heads, channels, context, vocabulary, "tanh", True, dtype)
    return config, [Tensor("transformer." + name, dtype, shape, lambda name=name: read(name)) for name, shape in shapes.items()]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, metavar="model.bin")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        config, tensors = converted(options.model)
        write_model(options.folder, config, tensors)
    except (DataError, OSError, ValueError) as error:
        print(f"convert_llmc: {options.model}: {error}", file=sys.stderr)
        return 1
    print(f"{options.folder}: {config['n_layer']} layers, {config['n_embd']} channels; next: lawa import hf:{options.folder} FILE.weights.h5")
    return 0


if __name__ == "__main__":
    sys.exit(main())
