"""Safetensors files, written and read from the format's description alone."""
import json
import struct

import numpy as np

NUMPY = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8", "I64": "<i8", "BOOL": "?", "U8": "u1", "I32": "<i4", "U16": "<u2",
         "F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1", "F4": "u1", "F6_E2M3": "u1", "C64": "<c8"}
PACKED = {"F4": 4, "F6_E2M3": 6}   # bits a number; arrays of these are their bytes, along the last axis


def bfloat16(values):
    """The bits of the nearest bfloat16, ties to even."""
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype("<u2")


def widened(bits):
    """bfloat16's bits as float32."""
    return (np.atleast_1d(bits).astype(np.uint32) << 16).view(np.float32).reshape(np.shape(bits))


def write(path, tensors, metadata=None):
    """tensors: {name: (dtype, array)}; BF16 arrays are their bits."""
    header, data, end = {} if metadata is None else {"__metadata__": None if metadata == "null" else metadata}, [], 0
    for name, (dtype, array) in tensors.items():
        raw = np.asarray(array).astype(NUMPY[dtype]).tobytes()
        shape = list(np.shape(array))
        if dtype in PACKED:
            shape[-1] = shape[-1] * 8 // PACKED[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(raw)]}
        data.append(raw)
        end += len(raw)
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def read(path):
    """({name: (dtype, array)}, metadata)"""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8:8 + length]), content[8 + length:]
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        shape = list(entry["shape"])
        if entry["dtype"] in PACKED:
            shape[-1] = shape[-1] * PACKED[entry["dtype"]] // 8
        tensors[name] = entry["dtype"], np.frombuffer(data[begin:end], NUMPY[entry["dtype"]]).reshape(shape)
    return tensors, metadata


def write_model(folder, shards, **files):
    """A model's folder: shards, a list of such tensors; of several with their index; and other files (config="…": config.json)."""
    names = ["model.safetensors"] if len(shards) == 1 else [f"model-{i:05}-of-{len(shards):05}.safetensors" for i in range(1, len(shards) + 1)]
    for name, tensors in zip(names, shards):
        write(folder / name, tensors, {"format": "pt"})
    if len(shards) > 1:
        index = {"metadata": {"total_size": 1}, "weight_map": {tensor: name for name, tensors in zip(names, shards) for tensor in tensors}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text)


def read_model(folder):
    """All tensors of a model's folder, found as its index says; its files' names."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return read(folder / "model.safetensors")[0], ["model.safetensors"]
    places = json.loads(index.read_text())["weight_map"]
    files = {name: read(folder / name)[0] for name in sorted(set(places.values()))}
    assert sorted(places) == sorted(tensor for tensors in files.values() for tensor in tensors)
    return {tensor: files[name][tensor] for tensor, name in places.items()}, sorted(files)
