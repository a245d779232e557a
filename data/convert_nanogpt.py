#!/usr/bin/env python3
"""Makes a folder that lawa and transformers read from nanoGPT's ckpt.pt.

    convert_nanogpt.py out/ckpt.pt FOLDER

It runs in a Python with PyTorch, and reads the file with weights_only=True: no code that a file may hold is run. `lawa import hf:FOLDER
FILE.weights.h5` goes on from there. nanoGPT's MLPs have the exact GELU, and in older versions the approximation by tanh: --gelu tanh.
"""

import argparse
import sys
from pathlib import Path

from model_folder import Tensor, gpt2_config, gpt2_shapes, write_model
from problems import DataError

PROJECTIONS = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
BUFFERS = (".attn.bias", ".attn.masked_bias")


def array_of(tensor, torch):
    """(dtype, array) of a PyTorch tensor."""
    if tensor.dtype == torch.bfloat16:
        return "BF16", tensor.contiguous().view(torch.int16).numpy().view("<u2")
    names = {torch.float32: "F32", torch.float16: "F16"}
    if tensor.dtype not in names:
        raise DataError(f"a tensor is {tensor.dtype}; float32, bfloat16 and float16 can be written")
    return names[tensor.dtype], tensor.contiguous().numpy()


def converted(checkpoint, gelu, torch):
    """(config, tensors) of a loaded checkpoint. Errors: it isn't nanoGPT's; tensors that are missing, unknown or of another shape."""
    if not isinstance(checkpoint, dict) or not {"model", "model_args"} <= checkpoint.keys():
        raise DataError("isn't nanoGPT's: it has no model and model_args")
    args, state = checkpoint["model_args"], {}
    for name, tensor in checkpoint["model"].items():
        name = name.removeprefix("_orig_mod.").removeprefix("transformer.")
        if not name.endswith(BUFFERS):
            state[name] = tensor
    shapes = gpt2_shapes(args["n_layer"], args["n_embd"], args["block_size"], args["vocab_size"])
    head = state.pop("lm_head.weight", None)
    if head is not None and not torch.equal(head, state["wte.weight"]):
        raise DataError("lm_head.weight isn't wte.weight, and nanoGPT ties them")
    names = {name for name in shapes if args.get("bias", True) or not name.endswith(".bias")}
    if state.keys() != names:
        raise DataError(f"lacks tensors {sorted(names - state.keys())[:3]} or holds others, {sorted(state.keys() - names)[:3]}")
    arrays = {name: array_of(tensor, torch) for name, tensor in state.items()}
    dtype = arrays["wte.weight"][0]
    tensors = []
    for name, shape in shapes.items():
        kind, array = arrays.get(name, (dtype, None))
        if array is None:
            zero = array_of(torch.zeros(shape, dtype=state["wte.weight"].dtype), torch)[1]
            tensors.append(Tensor("transformer." + name, kind, shape, lambda zero=zero: zero))
        else:
            tensors.append(Tensor("transformer." + name, kind, shape, lambda array=array, turned=name.endswith(PROJECTIONS): array.T if turned else array))
    config = gpt2_config(args["n_layer"], args["n_head"], args["n_embd"], args["block_size"], args["vocab_size"], gelu, args.get("bias", True), dtype)
    return config, tensors


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gelu", choices=("erf", "tanh"), default="erf", help="the activation: erf (default), or tanh for older versions")
    parser.add_argument("checkpoint", type=Path, metavar="ckpt.pt")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        import torch
    except ImportError:
        print(f"convert_nanogpt: {sys.executable} has no torch; run it in the Python that nanoGPT runs in", file=sys.stderr)
        return 1
    try:
        config, tensors = converted(torch.load(options.checkpoint, map_location="cpu", weights_only=True, mmap=True), options.gelu, torch)
        write_model(options.folder, config, tensors)
    except (DataError, OSError, KeyError, RuntimeError) as error:
        print(f"convert_nanogpt: {options.checkpoint}: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    print(f"{options.folder}: {config['n_layer']} layers, {config['n_embd']} channels; next: lawa import hf:{options.folder} FILE.weights.h5")
    return 0


if __name__ == "__main__":
    sys.exit(main())
