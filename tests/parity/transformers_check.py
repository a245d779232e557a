#!/usr/bin/env python3
"""Measures import, export and evaluation against transformers, and nanoGPT's converter with PyTorch.

    transformers_check.py [--write transformers.jsonl]      in a Python with torch, transformers, h5py and numpy

Each of the tiny random models (tests/programs/hugging_face_models.py) is made and saved by transformers, in one file or in shards. Then
    loss         of `lawa evaluate` on its folder, against transformers' in float32            relative, at most 1e-5
    logits       of NumPy (float64) on what `lawa import` made, against transformers' in float32   of the largest logit, at most 1e-4
    same_bits    the folder that `lawa export` makes of it has the same tensors, transformers loads it, and its logits have the same bits
    average      of three of them, exported in shards, transformers' loss against `lawa evaluate`'s of the average's file: at most 1e-5
One JSON line each; the last says which versions these were.
"""
import argparse
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "programs"), str(ROOT / "data")]

import convert_nanogpt
import hugging_face_models as models
import numpy as np
import numpy_gpt2
import numpy_gpt_neox
import torch
import transformers
from runner import succeed
from safetensors_file import read_model

MOST = {"loss": 1e-5, "logits": 1e-4, "average": 1e-5}


def transformers_model(config, seed):
    """A model of a config with the random weights of a seed."""
    words = {key: value for key, value in config.items() if key != "model_type"}
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(config["model_type"], **words)).eval()
    tensors = {name: torch.from_numpy(array) for name, array in models.random_tensors(config, seed).items()}
    if "embed_out.weight" in tensors and "embed_out.weight" not in model.state_dict():
        tensors["lm_head.weight"] = tensors.pop("embed_out.weight")   # as transformers 5 calls it in memory, not in files
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected and all(config["tie_word_embeddings"] and name in ("lm_head.weight", "embed_out.weight") for name in missing), (missing, unexpected)
    model.tie_weights()
    return model


def loss_and_logits(model, tokens, context):
    """[nats/token] over windows of context + 1 tokens that overlap by one; logits of the first."""
    windows = torch.from_numpy(np.stack([tokens[i:i + context + 1] for i in range(0, len(tokens) - context, context)]).astype(np.int64))
    with torch.no_grad():
        logits = model(windows[:, :-1]).logits.float()
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), windows[:, 1:].flatten())
    return loss.item(), logits[0].numpy()


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def evaluate(*places):
    return [line["loss"] for line in succeed("evaluate", *places, "data.validation=val.bin").objects]


def compare(name, config, i):
    """The line of a case."""
    tokens = np.fromfile("val.bin", "<u2")
    context = config["max_position_embeddings"] if models.is_neox(config) else config["n_positions"]
    steps = [f"{name}/step{step}" for step in (100, 200, 300)]
    for seed, folder in enumerate(steps):
        transformers_model(config, seed).save_pretrained(folder, max_shard_size="6KB" if i % 2 else "5GB")
    newest = load(steps[-1])
    loss, logits = loss_and_logits(newest, tokens, context)
    succeed("import", f"hf:{steps[-1]}", f"{name}.weights.h5")
    held, keys = numpy_gpt2.read(f"{name}.weights.h5")
    mine = (numpy_gpt_neox if models.is_neox(config) else numpy_gpt2).logits(held, tokens[None, :context].astype(int), keys)[0]
    succeed("export", f"{name}.weights.h5", f"hf:{name}_back", f"export.max_shard_size={'5GB' if i % 2 else '6kB'}")
    (before, files), (after, files_back) = read_model(Path(steps[-1])), read_model(Path(f"{name}_back"))
    same = before.keys() == after.keys() and all(after[key][1].tobytes() == array.tobytes() for key, (_, array) in before.items())
    same = same and (loss_and_logits(load(f"{name}_back"), tokens, context)[1] == logits).all()
    average = succeed("average", *steps, f"destination={name}_average", "averaging.window=3").objects[0]["file"]
    succeed("export", average, f"hf:{name}_out", "export.max_shard_size=6kB")
    of_average = loss_and_logits(load(f"{name}_out"), tokens, context)[0]
    here, here_average = evaluate(steps[-1], average)
    return {"case": name, "loss": abs(here / loss - 1), "logits": abs(mine - logits).max() / abs(logits).max(), "same_bits": bool(same),
            "average": abs(of_average / here_average - 1), "files": [len(files), len(files_back)]}


def nanogpt(bias):
    """A checkpoint as nanoGPT saves it, converted: transformers' loss is `lawa evaluate`'s."""
    config = models.CASES["gpt2_erf"]
    tensors = models.random_tensors(config)
    if not bias:
        tensors = {name: array * (not name.endswith(".bias")) for name, array in tensors.items()}
    state = {"_orig_mod." + name: torch.from_numpy(array.T.copy() if name.endswith(models.PROJECTIONS) else array)
             for name, array in tensors.items() if bias or not name.endswith(".bias")}
    state["_orig_mod.lm_head.weight"] = state["_orig_mod.transformer.wte.weight"]
    args = dict(n_layer=config["n_layer"], n_head=config["n_head"], n_embd=config["n_embd"], block_size=config["n_positions"], bias=bias,
                vocab_size=config["vocab_size"], dropout=0.0)
    name = f"nanogpt_{'with' if bias else 'without'}_biases"
    torch.save({"model": state, "model_args": args, "iter_num": 5, "best_val_loss": torch.tensor(1.0), "config": {"out_dir": "out"}}, f"{name}.pt")
    with contextlib.redirect_stdout(sys.stderr):
        assert convert_nanogpt.main([f"{name}.pt", name]) == 0
    found, _ = read_model(Path(name))
    same = all((found[key][1] == array).all() for key, array in tensors.items())
    loss, _ = loss_and_logits(load(name), np.fromfile("val.bin", "<u2"), config["n_positions"])
    return {"case": name, "loss": abs(evaluate(name)[0] / loss - 1), "same_bits": bool(same)}


def bad(line):
    return [key for key, most in MOST.items() if not line.get(key, 0) <= most] + [key for key in ("same_bits",) if not line[key]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="where the lines go; else to stdout")
    options = parser.parse_args()
    out = options.write.resolve() if options.write else None
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        np.random.default_rng(3).integers(0, 29, 500).astype("<u2").tofile("val.bin")
        lines = [compare(name, config, i) for i, (name, config) in enumerate(models.CASES.items())] + [nanogpt(True), nanogpt(False)]
        os.chdir("/")
    lines = [{key: float(f"{value:.2g}") if key in MOST else value for key, value in line.items()} for line in lines]
    lines.append({"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    out.write_text(text) if out else sys.stdout.write(text)
    wrong = {line["case"]: bad(line) for line in lines[:-1] if bad(line)}
    print(wrong or f"{len(lines) - 1} cases agree", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
