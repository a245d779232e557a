"""Checkpoints of llm.c and nanoGPT become folders that lawa and transformers read."""
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "programs"))
import convert_llmc
import convert_nanogpt
import hugging_face_models as models
from model_folder import Tensor, write_model
from problems import DataError
from safetensors_file import bfloat16, read

L, H, C, T, V, PADDED = 3, 2, 8, 6, 11, 16
CONFIG = models.GPT2 | dict(n_layer=L, n_head=H, n_embd=C, n_positions=T, vocab_size=V)
TENSORS = models.random_tensors(CONFIG)


def llmc_file(path, version=3, **changes):
    """As llm.c writes it: each tensor of all layers, matrices (out, in), the embedding with rows of padding."""
    sizes = dict(context=T, vocabulary=V, layers=L, heads=H, channels=C, padded=PADDED) | changes
    header = np.zeros(256, "<i4")
    header[:8] = [20240326, version, *sizes.values()]
    of = {name.removeprefix("transformer."): array for name, array in TENSORS.items()}
    arrays = [np.vstack([of["wte.weight"], np.full((PADDED - V, C), 9)]) if version > 1 else of["wte.weight"], of["wpe.weight"]]
    for part in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"):
        arrays += [of[f"h.{layer}.{part}.{kind}"].T for kind in ("weight", "bias") for layer in range(L)]
    arrays += [of["ln_f.weight"], of["ln_f.bias"]]
    flat = np.concatenate([np.ravel(array) for array in arrays]).astype("<f4")
    path.write_bytes(header.tobytes() + (bfloat16(flat) if version == 5 else flat).tobytes())


@pytest.mark.parametrize("version, dtype", [(1, "F32"), (3, "F32"), (5, "BF16")])
def test_llmc(tmp_path, capsys, version, dtype):
    llmc_file(tmp_path / "model.bin", version)
    assert convert_llmc.main([str(tmp_path / "model.bin"), str(tmp_path / "m")]) == 0
    found, metadata = read(tmp_path / "m" / "model.safetensors")
    assert found.keys() == TENSORS.keys() and metadata == {"format": "pt"}
    for name, array in TENSORS.items():
        assert found[name][0] == dtype and (found[name][1] == (bfloat16(array) if dtype == "BF16" else array)).all(), name
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert {key: config[key] for key in CONFIG if key in config} == {key: CONFIG[key] for key in CONFIG if key in config}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "model.bin"] and "next: lawa import" in capsys.readouterr().out


@pytest.mark.parametrize("spoil, says", [
    (lambda path: path.write_bytes(b"no model"), "isn't a model file of llm.c"),
    (lambda path: path.write_bytes(bytes(2048)), "isn't a model file of llm.c"),
    (lambda path: llmc_file(path, version=4), "is of version 4; 1, 3 (float32) and 5 (bfloat16) can be read"),
    (lambda path: llmc_file(path, layers=0), "has impossible sizes"),
    (lambda path: llmc_file(path, layers=L + 1), "numbers, and its header asks for"),
    (lambda path: path.write_bytes(path.read_bytes()[:-4]), "numbers, and its header asks for"),
    (lambda path: (path.parent / "m").mkdir(), "m: exists; choose another name"),
])
def test_what_isnt_llmcs_is_refused(tmp_path, capsys, spoil, says):
    llmc_file(tmp_path / "model.bin")
    spoil(tmp_path / "model.bin")
    assert convert_llmc.main([str(tmp_path / "model.bin"), str(tmp_path / "m")]) == 1
    assert says in capsys.readouterr().err and not list(tmp_path.glob("m/*"))


def test_a_tensor_that_is_not_as_announced_leaves_no_folder(tmp_path):
    with pytest.raises(DataError, match="tensor a is float64"):
        write_model(tmp_path / "m", {}, [Tensor("a", "F32", (2,), lambda: np.zeros(2))])
    assert not (tmp_path / "m").exists()


def test_without_torch_it_says_which_python_is_meant(tmp_path, capsys):
    if importlib.util.find_spec("torch"):
        pytest.skip("this Python has torch; tests/parity/transformers_check.py converts with it")
    assert convert_nanogpt.main([str(tmp_path / "ckpt.pt"), str(tmp_path / "m")]) == 1
    assert "has no torch; run it in the Python that nanoGPT runs in" in capsys.readouterr().err
