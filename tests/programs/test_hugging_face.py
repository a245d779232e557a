"""`lawa import` and `lawa export`: models as transformers keeps them, in and out, bit for bit; and `lawa evaluate` and `average` on their folders."""
import json
import time
from pathlib import Path

import h5py
import hugging_face_models as models
import numpy as np
import numpy_gpt2
import numpy_gpt_neox
import pytest
from runner import lawa, snapshot, start, succeed, weights
from safetensors_file import bfloat16, read_model, widened

TOKENIZER = '{"added_tokens": [], "model": {"vocab": {"a": 0}}}'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.random.default_rng(2).integers(0, 29, 400).astype("<u2").tofile("val.bin")
    return tmp_path


def expected_loss(config, tensors):
    held, model = models.ours(config, {name: array.astype(np.float64) for name, array in tensors.items()})
    return numpy_gpt2.mean_loss(held, model, "val.bin", numpy_gpt_neox.logits if models.is_neox(config) else numpy_gpt2.logits)


def read_named(path):
    with h5py.File(path) as file:
        names = []
        file["named"].visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        return {name: file["named"][name][()] for name in names}


def assert_same(found, expected):
    """The same names, shapes and bits."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].shape == array.shape and found[name].tobytes() == np.ascontiguousarray(array).tobytes(), name


def evaluated(*places, ranks=1):
    return {line["file"]: line["loss"] for line in succeed("evaluate", *places, "data.validation=val.bin", ranks=ranks).objects}


def test_folders_are_evaluated_as_they_are(folder):
    losses = {}
    for i, (name, config) in enumerate(models.CASES.items()):
        tensors = models.write(Path(name), config, models.random_tensors(config), ("F32", "BF16", "F16")[i % 3], shards=1 + i % 2)
        losses[name] = expected_loss(config, tensors)
    before = snapshot()
    assert evaluated(*losses, ranks=2) == pytest.approx(losses, rel=2e-6)
    assert snapshot() == before


@pytest.mark.parametrize("name, dtype, shards, ranks", [
    ("gpt2", "F32", 3, 2), ("gpt2_odd", "BF16", 1, 0), ("gpt2_untied", "F16", 2, 0), ("neox", "F32", 1, 3), ("neox_tied", "BF16", 2, 0),
    ("neox_no_attention_biases", "F16", 1, 0)])
def test_in_and_out_again_keeps_every_bit(folder, name, dtype, shards, ranks):
    config = models.CASES[name] | {"extra": [1], "torch_dtype": {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype]}
    tensors = models.random_tensors(config)
    tensors["transformer.wte.weight" if not models.is_neox(config) else "gpt_neox.embed_in.weight"].flat[:4] = [-0.0, 2.0**-14 / 32, np.inf, 0]
    held = models.write(Path("m"), config, tensors, dtype, shards, tokenizer=TOKENIZER)
    line, = succeed("import", "hf:m", "m.weights.h5", ranks=ranks).objects
    assert line["format"] == {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype]
    assert_same({key: array.astype(np.float32) for key, array in read_named("m.weights.h5").items()}, models.ours(config, held)[0])
    made, = succeed("export", "m.weights.h5", "hf:back/", "export.max_shard_size=2kB", ranks=ranks).objects
    assert made["digest"] == line["digest"] and made["folder"] == "back"
    found, files = read_model(Path("back"))
    assert len(files) == made["files"] > 1
    assert {key: kind for key, (kind, _) in found.items()} == dict.fromkeys(tensors, dtype)
    assert_same({key: widened(array) if dtype == "BF16" else array.astype(np.float32) for key, (_, array) in found.items()}, held)
    assert json.loads(Path("back/config.json").read_text()) == config and Path("back/tokenizer.json").read_text() == TOKENIZER
    assert sorted(path.name for path in Path().iterdir()) == ["back", "m", "m.weights.h5", "val.bin"]


def test_linears_layout_bare_names_and_buffers(folder):
    config = models.CASES["gpt2"]
    tensors = models.random_tensors(config)
    linear = {name.removeprefix("transformer."): array.T if name.endswith(models.PROJECTIONS) else array for name, array in tensors.items()}
    models.write(Path("a"), config, linear | {"h.0.attn.bias": np.tri(12, dtype=np.float32)[None, None], "h.1.attn.masked_bias": np.float32(-1e4)})
    models.write(Path("b"), config, tensors, dtype="F64")
    lines = [succeed("import", f"hf:{name}", f"{name}.weights.h5", ranks=0).objects[0] for name in "ab"]
    assert lines[0]["digest"] == lines[1]["digest"] and lines[1]["format"] == "float32"


def test_a_trajectory_of_folders_is_averaged_without_being_converted(folder):
    config = models.CASES["neox"]
    for step in (100, 200, 300):
        models.write(Path(f"run/step{step}"), config, models.random_tensors(config, step), shards=step // 100, tokenizer=TOKENIZER)
    words = ("averaging.window=[2,3]", "data.validation=val.bin")
    in_memory = succeed("evaluate", "run", *words, ranks=2).objects
    lines = succeed("import", "hf:run", "imported").objects
    assert [(line["step"], line["file"]) for line in lines] == [(step, f"imported/step_{step:08}.weights.h5") for step in (100, 200, 300)]
    from_files = succeed("evaluate", "imported", *words).objects
    assert [line["digest"] for line in in_memory] == [line["digest"] for line in from_files]
    assert [line["step"] for line in in_memory] == [200, 300, 300]
    averages = {path: succeed("average", path, f"destination=of_{path}", "averaging.window=3").objects[0]["file"] for path in ("run", "imported")}
    assert averages["run"] == "of_run/step_00000300"
    made, = succeed("export", averages["imported"], "hf:out", "export.max_shard_size=1GB", ranks=2).objects
    assert Path("out/tokenizer.json").exists() and made["files"] == 1
    exported, average = (read_model(Path(path))[0] for path in ("out", averages["run"]))
    assert_same({name: array for name, (_, array) in exported.items()}, {name: array for name, (_, array) in average.items()})
    losses = evaluated("out", *averages.values())
    wanted = next(line["loss"] for line in in_memory if line["window"] == 3)
    assert list(losses.values()) == pytest.approx([wanted] * 3, rel=1e-6)
    plain = succeed("evaluate", "run/step200", averages["run"], "data.validation=val.bin").objects
    assert [(line["step"], line["scheme"]) for line in plain] == [(200, "plain"), (300, "lawa")]


def test_a_runs_checkpoint_goes_out_and_comes_back(place):
    """No biases, attention scaled by layers: the paper's GPT-2."""
    made, = succeed("export", weights(60), "hf:out", "export.companions=data", ranks=2).objects
    config = json.loads(Path("out/config.json").read_text())
    assert config["scale_attn_by_inverse_layer_idx"] and config["tie_word_embeddings"] and config["bias"] is False
    tensors, _ = read_model(Path("out"))
    assert all((array == 0).all() for name, (_, array) in tensors.items() if name.endswith(".bias")) and Path("out/meta.json").exists()
    back, = succeed("import", "hf:out", "back.weights.h5", "import.step=60", ranks=0).objects
    header, = succeed("inspect", weights(60)).objects
    assert back["digest"] == made["digest"] == header["digest"] and back["step"] == 60
    lines = succeed("evaluate", "out", "back.weights.h5", weights(60), "data.validation=data/val.bin").objects
    assert len({line["loss"] for line in lines}) == 1
    loss = next(line["loss"] for line in lines)
    succeed("train", "run/config.toml", "run.directory=on", "start.weights=back.weights.h5", "schedule.steps=1", "schedule.peak_lr=1e-9", "evaluate.steps=1")
    again = [json.loads(line) for line in Path("on/metrics.jsonl").read_text().splitlines()]
    assert next(line["loss"] for line in again if line["kind"] == "evaluate") == pytest.approx(loss, rel=1e-4)


def test_precisions_round_once_and_hold_what_they_hold(folder):
    config = models.CASES["gpt2"] | {"torch_dtype": "float32"}
    tensors = models.random_tensors(config)
    models.write(Path("m"), config, tensors)
    succeed("export", "m", "hf:half", "export.precision=bf16", ranks=2)
    found, _ = read_model(Path("half"))
    for name, array in tensors.items():
        assert found[name][0] == "BF16" and (found[name][1] == bfloat16(array)).all(), name
    assert json.loads(Path("half/config.json").read_text())["torch_dtype"] == "bfloat16"
    succeed("import", "hf:m", "m.weights.h5", "import.precision=fp16", ranks=0)
    assert_same({name: np.float16(array) for name, array in read_named("m.weights.h5").items()},
                {name: np.float16(array) for name, array in models.ours(config, tensors)[0].items()})
    tensors["transformer.h.1.mlp.c_fc.bias"][3] = 7e4
    models.write(Path("large"), config, tensors)
    refused = lawa("export", "large", "hf:new", "export.precision=fp16", ranks=2)
    assert "h.1.mlp.c_fc.bias holds 70000.0, and the largest number of float16 is 65504; choose another export.precision" in refused.errors[0]
    assert not Path("new").exists() and not Path("new.part").exists()


@pytest.mark.parametrize("words, says", [
    (["import", "hf:m"], "lawa import: name a model's folder, and the file that it is to become"),
    (["import", "hf:m", "hf:m", "x.weights.h5"], "x.weights.h5: is one file for 2 models; name a folder"),
    (["import", "hf:m", "there.weights.h5"], "there.weights.h5: exists; choose another name"),
    (["import", "hf:m", "folder", "import.step=5"], "import.step (command line): is of one model"),
    (["import", "hf:none", "x.weights.h5"], "none"),
    (["import", "hf:bad", "x.weights.h5"], 'config.json: activation_function is "relu"'),
    (["evaluate", "bad", "data.validation=val.bin"], 'config.json: activation_function is "relu"'),
    (["export", "m"], "lawa export: name a weights file, and the folder that is to be made"),
    (["export", "m", "hf:bad"], "bad: exists; choose another name"),
    (["export", "m", "hf:x", "export.companions=none"], "export.companions (command line): none: isn't a folder"),
    (["export", "m", "hf:x", "export.max_shard_size=some"], '"some" isn\'t a size'),
    (["evaluate", "m"], "data.validation: must name a token file"),
])
def test_mistakes_are_named_and_nothing_is_left(folder, words, says):
    config = models.CASES["gpt2"]
    models.write(Path("m"), config, models.random_tensors(config))
    models.write(Path("bad"), config | {"activation_function": "relu"}, models.random_tensors(config))
    Path("there.weights.h5").touch()
    before = snapshot()
    result = lawa(*words, ranks=0)
    assert result.code == 1 and says in result.errors[0]
    assert snapshot() == before and not list(Path().glob("*.part"))


def test_memory_does_not_grow_with_the_model(folder):
    """Two models, of 13 and of 101 MB in bfloat16: the larger one takes no more memory."""
    peaks = []
    for layers in (2, 16):
        config = models.GPT2 | dict(n_embd=512, n_layer=layers)
        models.write(Path(f"m{layers}"), config, {name: np.zeros(shape, np.float32) for name, shape in models.shapes(config).items()}, "BF16")
        process = start("export", f"m{layers}", f"hf:out{layers}", ranks=0)
        peak = 0
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
            time.sleep(0.01)
        process.communicate()
        assert process.returncode == 0
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 20_000   # kB
