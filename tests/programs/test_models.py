"""`lawa average` over models as they are: folders and shards, buffers of integers, masks, narrow and wide numbers, tensors that some lack."""
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors_file
from runner import lawa, snapshot, succeed
from safetensors_file import bfloat16, read_model, widened, write_model
from weights_file import assert_rounded_once

STEPS = (100, 200, 300)
CONFIG = json.dumps({"architectures": ["Some"], "torch_dtype": "bfloat16", "layer_norm_epsilon": 1e-05, "text_config": {"dtype": "float16"}})


def tensors(step):
    draw = np.random.default_rng(step)
    return {"a": ("F32", draw.normal(size=(33, 65)).astype(np.float32)), "b": ("BF16", bfloat16(draw.normal(size=(5, 4099)))),
            "c": ("F32", draw.normal(size=7).astype(np.float32)), "d.count": ("I64", np.int64(step))}


def numbers(dtype, array):
    return widened(array) if dtype == "BF16" else np.asarray(array)


def assert_means(found, steps=STEPS):
    for name, (dtype, mean) in found.items():
        if name == "d.count":
            assert dtype == "I64" and mean == steps[-1]
        else:
            assert dtype == "F32"
            assert_rounded_once(np.ravel(mean), [np.ravel(numbers(*tensors(step)[name])).astype(np.float32) for step in steps])


def shards(step, cuts=(1, 2)):
    """Its tensors, dealt out to files."""
    items = list(tensors(step).items())
    return [dict(items[begin:end]) for begin, end in zip((0, *cuts), (*cuts, len(items)))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_shards_are_averaged_as_one_model_and_written_again(folder):
    for step in STEPS:   # dealt out otherwise in each; the newest into three files
        write_model(Path(f"run/checkpoint-{step}"), shards(step, {100: (), 200: (2,), 300: (1, 2)}[step]), config=CONFIG,
                    tokenizer=f'{{"of": {step}}}', trainer_state="{}")
        for name in ("optimizer.pt", "training_args.bin", "pytorch_model.bin", "global_step300/states.pt", "onnx/model.onnx", "pooling/config.json"):
            Path(f"run/checkpoint-{step}", name).parent.mkdir(exist_ok=True)
            Path(f"run/checkpoint-{step}", name).write_bytes(b"x")
    stale = Path("on1/step_00000300.part")
    stale.mkdir(parents=True)
    (stale / "model.safetensors").write_bytes(b"of a job that was killed")
    made = set()
    for ranks in (1, 3):
        result = succeed("average", "run", f"destination=on{ranks}", "averaging.window=3", ranks=ranks)
        made.add((result.objects[0]["digest"], *(data for path, (_, data) in sorted(snapshot(f"on{ranks}").items()))))
    assert len(made) == 1 and "config.json, pooling, tokenizer.json: carried along; global_step300, onnx, optimizer.pt, " in result.err
    line, average = result.objects[0], Path("on1/step_00000300")
    assert line["file"] == "on3/step_00000300" and not stale.exists()
    found, names = read_model(average)
    assert_means(found)
    assert names == sorted(path.name for path in Path("run/checkpoint-300").glob("*.safetensors"))
    others = sorted(str(path.relative_to(average)) for path in average.rglob("*") if path.is_file() and path.name not in names)
    assert others == ["config.json", "model.safetensors.index.json", "pooling/config.json", "tokenizer.json"]
    assert json.loads((average / "config.json").read_text()) == {"architectures": ["Some"], "torch_dtype": "float32",
                                                                 "layer_norm_epsilon": 1e-05, "text_config": {"dtype": "float32"}}
    assert json.loads((average / "tokenizer.json").read_text()) == {"of": 300}
    index = json.loads((average / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(array.nbytes for _, array in found.values())

    for step in STEPS:   # the same in one file each
        write_model(Path(f"whole/step{step}"), [tensors(step)])
    files = [f"whole/step{step}/model.safetensors" for step in STEPS]
    assert succeed("average", *files, "destination=files", "averaging.window=3").objects[0]["digest"] == line["digest"]
    words = ("--rebuild", "on1/step_00000300", "run/checkpoint-300", "run/checkpoint-200/model.safetensors.index.json", "run/checkpoint-100/")
    assert succeed("average", *words).objects[0]["digest"] == line["digest"]
    assert succeed("average", "run", "destination=on1", "averaging.window=3", "averaging.skip_existing=true").objects[0]["existed"]
    assert succeed("inspect", "on1").objects[0]["digest"] == line["digest"]
    shard = average / names[1]
    shard.write_bytes(shard.read_bytes()[:-1] + b"\xff")
    assert "on1/step_00000300: is damaged" in lawa("inspect", "on1").errors[0]


@pytest.mark.parametrize("most, files", [("5GB", 1), ("45290 B", 2), ("1B", 4)])
def test_shards_of_a_given_size(folder, most, files):
    for step in STEPS[:2]:
        write_model(Path(f"step{step}"), [tensors(step)])
    succeed("average", "step100", "step200", "destination=new", "averaging.window=2", "averaging.precision=fp16",
            f"averaging.max_shard_size={most}")
    found, names = read_model(Path("new/step_00000200"))
    assert len(names) == files and found.keys() == tensors(100).keys()
    sizes = [sum(array.nbytes for _, array in safetensors_file.read(Path("new/step_00000200") / name)[0].values()) for name in names]
    assert all(size <= 45290 for size in sizes) or files != 2


def buffers(step):
    """What models hold beside their weights; q and the masks are the same in all."""
    rest = np.random.default_rng(1)
    packed = {dtype: (dtype, rest.integers(0, 255, (2, 12), np.uint8)) for dtype in ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3")}
    return packed | {
        "w": ("F32", np.random.default_rng(step).normal(size=(9, 9)).astype(np.float32)), "scalar": ("F32", np.float32(step / 7)),
        "empty": ("F32", np.zeros((0, 3))), "double": ("F64", np.array([step / 3, 1e-300, -step * 1e30])), "phases": ("C64", np.exp(1j * np.arange(4))),
        "mask": ("F32", np.where(np.tri(5), 0, np.float32(-1e9))), "least": ("F32", np.full(3, np.finfo(np.float32).min)),
        "infinite": ("F32", np.where(np.tri(5), 0, -np.inf)), "wide": ("F64", np.full(3, -1.7e308)), "ones": ("F32", np.ones(9)),
        "tracked": ("I64", np.int64(step)), "seen": ("BOOL", np.arange(8) < step // 100), "ids": ("U16", np.arange(step, step + 8)),
        "positions": ("I32", np.arange(8))}


@pytest.mark.parametrize("precision, dtype, digits", [("fp32", "F32", 24), ("bf16", "BF16", 8), ("fp16", "F16", 11)])
def test_what_is_the_same_in_all_files_stays_as_it_is_and_counters_are_the_newest(folder, precision, dtype, digits):
    for step in STEPS:
        safetensors_file.write(Path(f"step{step}.safetensors"), buffers(step), "null")
        if precision == "fp16":   # its largest number is 65504
            safetensors_file.write(Path(f"step{step}.safetensors"), buffers(step) | {"double": ("F64", np.array([step / 3, 1e-300, -step]))})
    result = succeed("average", *(f"step{step}.safetensors" for step in STEPS), "destination=new", "averaging.window=3",
                     f"averaging.precision={precision}", ranks=2)
    found, metadata = safetensors_file.read(Path("new/step_00000300.safetensors"))
    averaged = {"w", "scalar", "empty", "double", "ones"} | ({"mask", "least", "infinite"} if precision == "fp32" else {"infinite"})
    for name, (stored, array) in found.items():
        kind, newest = buffers(300)[name]
        if name not in averaged:
            assert stored == kind and (array == newest.astype(array.dtype)).all(), name
            continue
        assert stored == dtype, name
        members = [np.asarray(safetensors_file.read(Path(f"step{step}.safetensors"))[0][name][1], np.longdouble) for step in STEPS]
        mean = numbers(stored, array).astype(np.longdouble)
        with np.errstate(invalid="ignore"):
            assert ((mean == sum(members) / 3) | (abs(mean - sum(members) / 3) <= 1.5 * 2.0**-digits * abs(mean) + 2.0**-25)).all(), name
    assert found.keys() == buffers(300).keys()
    assert "3 tensors with integers that differ between the checkpoints; an average has its newest one's: ids, seen, tracked" in result.err
    exact = {"fp32": "wide", "bf16": "least, mask, wide", "fp16": "least, mask, wide"}[precision]
    assert f"copied as they are: {exact}" in result.err
    line = result.objects[0]
    assert succeed("average", "--rebuild", line["file"], *(f"step{step}.safetensors" for step in STEPS)).objects[0]["digest"] == line["digest"]
    assert succeed("inspect", line["file"]).objects[0]["digest"] == line["digest"]


@pytest.mark.parametrize("name, tensor, precision, says", [
    ("q", ("F8_E4M3", np.arange(3)), "fp32", "q (F8_E4M3 [3]) differs from that in step100.safetensors, and only float32, bfloat16, float16"),
    ("w", ("F32", np.full(3, 3.4e38)), "bf16", "w holds infinity, and the largest number of bfloat16 is 3.3895313892515355e+38; choose another"),
    ("w", ("F32", np.full(3, 2e5)), "fp16", "w holds 99968.0, and the largest number of float16 is 65504"),
    ("w", ("F64", np.array([0, 1e39, 0])), "fp32", "step200.safetensors: w holds 1e+39, and it is read as float32, whose largest number is 3.4028234663852886e+38"),
])
def test_nothing_becomes_infinite_and_nothing_is_guessed(folder, name, tensor, precision, says):
    for step in STEPS[:2]:
        same = {"w": ("F32", np.full(3, 3.4e38 if precision == "bf16" else 0)), "v": ("F32", np.arange(step, step + 9)),
                "q": ("F8_E4M3", np.zeros(3))}
        safetensors_file.write(Path(f"step{step}.safetensors"), same | ({name: tensor} if step == 200 else {}))
    if precision == "bf16":   # not the same in all
        safetensors_file.write(Path("step100.safetensors"), same | {"w": ("F32", np.full(3, 3.402e38))})
    if precision == "fp16":   # nothing stays of a folder either
        for step in STEPS[:2]:
            Path(f"step{step}").mkdir()
            Path(f"step{step}.safetensors").rename(f"step{step}/model.safetensors")
    sources = [str(path) for path in sorted(Path().glob("step*"))]
    result = lawa("average", *sources, "destination=new", "averaging.window=2", f"averaging.precision={precision}", "averaging.allow_nonfinite=true")
    assert result.code == 1 and says in result.errors[0] and not list(Path("new").rglob("*"))


@pytest.mark.parametrize("missing", ["refuse", "keep", "drop"])
def test_tensors_that_only_some_files_hold(folder, missing):
    for step, some in zip(STEPS, ({"head": ("F32", np.full(4, 100)), "old": ("F32", np.full(2, 100))}, {"head": ("F32", np.full(4, 200))},
                                  {"new": ("I64", np.int64(300))})):
        write_model(Path(f"step{step}"), [tensors(step) | some])
    words = (*(f"step{step}" for step in STEPS), f"averaging.missing={missing}", "averaging.window=3", "destination=new")
    result = lawa("average", *words, ranks=2)
    if missing == "refuse":
        assert "it lacks old, which that holds; averaging.missing=keep or drop goes on" in result.errors[0]
        return
    found, _ = read_model(Path("new/step_00000300"))
    kept = {name: found.pop(name) for name in ("head", "old", "new") if name in found}
    assert_means(found)
    assert found.keys() == tensors(100).keys() and "3 tensors that not all checkpoints hold, not averaged: head, new, old" in result.err
    expected = {"head": ("F32", 200), "old": ("F32", 100), "new": ("I64", 300)} if missing == "keep" else {}
    assert {name: (dtype, array.flat[0]) for name, (dtype, array) in kept.items()} == expected
    assert succeed("average", "--rebuild", "new/step_00000300", *words).objects[0]["digest"] == result.objects[0]["digest"]


def test_folders_that_are_no_model_say_so(folder):
    for step in STEPS[:2]:
        write_model(Path(f"run/step{step}"), shards(step))
    words = ("averaging.window=2", "destination=new")
    assert "is of another model" in (error := lawa("average", *sorted(Path("run").glob("*/*.safetensors")), *words).errors[0])
    assert "(one piece of a model? name its folder)" in error
    assert "is for models' folders" in lawa("average", "run/step100/model-00001-of-00003.safetensors", *words, "averaging.max_shard_size=1GB").errors[0]
    assert '"5 apples" isn\'t a size' in lawa("average", "run", *words, "averaging.max_shard_size=5 apples").errors[0]
    write_model(Path("run"), [tensors(200)])
    assert "run: is a model, and holds others, step100 say; name those that are meant" in lawa("average", "run", *words).errors[0]
