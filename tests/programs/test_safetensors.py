"""`lawa average` over safetensors files of any model: numbers, dtypes, provenance, and what it refuses."""
import fcntl
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors_file
from runner import lawa, snapshot, succeed
from safetensors_file import bfloat16, widened
from weights_file import assert_rounded_once

STEPS = (1000, 2000, 3000)


def model(step):
    """A made-up model: three kinds of floats, a scalar, an empty tensor, and two that aren't averaged."""
    draw = np.random.default_rng(step)
    return {"embed.weight": ("F32", draw.normal(size=(97, 64)).astype(np.float32) * 10.0 ** draw.integers(-20, 20, (97, 1))),
            "block.weight": ("BF16", bfloat16(draw.normal(size=(3, 5, 701)))),
            "block.bias": ("F16", draw.normal(size=4099).astype(np.float16)),
            "scale": ("F32", np.float32(draw.normal())),
            "empty": ("F32", np.zeros((0, 7), np.float32)),
            "mask": ("BOOL", np.tri(9, dtype=bool)),
            "positions": ("I64", np.arange(33))}


def floats(dtype, array):
    return widened(array) if dtype == "BF16" else np.asarray(array).astype(np.float32)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for step in STEPS:
        safetensors_file.write(Path(f"step{step}/model.safetensors"), model(step), {"format": "pt", "note": f"made at {step}"})
    return [f"step{step}/model.safetensors" for step in STEPS]


def assert_is_mean(path, steps, dtype="F32"):
    tensors, metadata = safetensors_file.read(Path(path))
    expected = {name: [floats(*model(step)[name]) for step in steps] for name in model(steps[0])}
    assert tensors.keys() == expected.keys()
    for name, members in expected.items():
        stored, mean = tensors[name]
        if name in ("mask", "positions"):
            assert stored == model(steps[0])[name][0] and (mean == model(steps[0])[name][1]).all()
            continue
        assert stored == dtype and mean.shape == members[0].shape
        if dtype == "F32":
            assert_rounded_once(np.ravel(mean), [np.ravel(member) for member in members])
        else:
            exact = sum(member.astype(np.longdouble) for member in members) / len(members)
            assert (abs(widened(mean) - exact) <= abs(exact) * 2.0**-8).all()
    return metadata


def test_means_are_exact_and_do_not_depend_on_the_ranks(files):
    made = set()
    for ranks in (1, 2, 3, 5):
        line = succeed("average", *files, f"destination=on{ranks}", "averaging.window=3", ranks=ranks).objects[0]
        assert line["file"] == f"on{ranks}/step_00003000.safetensors" and (line["step"], line["stride"]) == (3000, 1000)
        made.add((line["digest"], Path(line["file"]).read_bytes()))
    assert len(made) == 1
    metadata = assert_is_mean("on1/step_00003000.safetensors", STEPS)
    assert metadata["format"] == "pt" and metadata["note"] == "made at 3000"
    description = json.loads(metadata["lawa.average"])
    assert description["scheme"] == "lawa" and [member["step"] for member in description["members"]] == list(STEPS)


def test_a_grid_and_bfloat16(files):
    lines = succeed("average", *reversed(files), "destination=grid", "averaging.window=[2, 3]", "averaging.stride=1000",
                    "averaging.precision=bf16", "averaging.memory_bytes=65536", ranks=2).objects
    assert [line["file"] for line in lines] == ["grid/lawa_k002_nu001000/step_00002000.safetensors",
                                                "grid/lawa_k002_nu001000/step_00003000.safetensors",
                                                "grid/lawa_k003_nu001000/step_00003000.safetensors"]
    for line, steps in zip(lines, [STEPS[:2], STEPS[1:], STEPS]):
        assert_is_mean(line["file"], steps, "BF16")


def test_files_without_a_step_count_in_their_order(files):
    names = []
    for letter, file in zip("cab", files):
        names.append(Path(file).rename(f"{letter}.safetensors"))
    lines = succeed("average", *names, "destination=new", "averaging.window=2").objects
    assert [line["step"] for line in lines] == [2, 3]
    assert_is_mean("new/step_00000002.safetensors", STEPS[:2])


def test_an_average_is_made_again_and_damage_is_found(files):
    line = succeed("average", *files, "destination=new", "averaging.window=3").objects[0]
    again = succeed("average", "--rebuild", line["file"], *files, ranks=2).objects[0]
    assert again == {"file": line["file"], "rebuilt": True, "digest": line["digest"]}
    assert succeed("inspect", line["file"]).objects[0]["metadata"]["note"] == "made at 3000"
    content = bytearray(Path(line["file"]).read_bytes())
    content[-5000] ^= 1
    Path(line["file"]).write_bytes(content)
    assert "is damaged: its numbers have the digest" in lawa("average", "--rebuild", line["file"], *files).errors[0]


def test_what_is_there_is_left(files):
    words = ("average", *files, "destination=new", "averaging.window=2")
    succeed(*words)
    before = snapshot("new")
    assert "exists" in lawa(*words).errors[0]
    assert [line["existed"] for line in succeed(*words, "averaging.skip_existing=true", ranks=2).objects] == [True, True]
    assert "another average" in lawa(*words, "averaging.skip_existing=true", "averaging.scheme=linear").errors[0]
    assert snapshot("new") == before
    for step in STEPS:   # another model under the same names
        safetensors_file.write(Path(f"step{step}/model.safetensors"), {name: model(step + 1)[name] for name in model(step)})
    assert "another average" in lawa(*words, "averaging.skip_existing=true").errors[0]
    assert snapshot("new") == before


def test_damage_of_what_is_there_is_found(files):
    words = ("average", *files, "destination=new", "averaging.window=3", "averaging.skip_existing=true")
    made = Path(succeed(*words).objects[0]["file"])
    content = bytearray(made.read_bytes())
    content[-5000] ^= 1
    made.write_bytes(content)
    assert "is damaged" in lawa(*words, ranks=2).errors[0]


def test_the_order_of_tensors_in_a_file_does_not_matter(files):
    whole = model(2000)
    succeed("average", *files, "destination=one", "averaging.window=3")
    safetensors_file.write(Path(files[1]), {name: whole[name] for name in reversed(whole)})
    line = succeed("average", *files, "destination=other", "averaging.window=3", ranks=2).objects[0]
    assert_is_mean(line["file"], STEPS)
    assert succeed("average", "--rebuild", line["file"], *files).objects[0]["digest"] == line["digest"]


@pytest.mark.parametrize("names, steps", [
    (["run/checkpoint-500/model.safetensors", "run/checkpoint-1500/model.safetensors"], [500, 1500]),
    (["step3/a.safetensors", "step3/b.safetensors"], [1, 2]),          # the same step: their order counts
    (["step1e3.safetensors", "step2e3.safetensors"], [1, 2]),          # no number of steps
    (["writer7/a.safetensors", "writer5/b.safetensors"], [1, 2]),      # no iteration
    (["m.step_20.safetensors", "m.step_3.safetensors"], [20, 3]),
])
def test_steps_are_read_from_paths_where_they_are_plain(files, names, steps):
    for file, name in zip(files, names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(file).rename(name)
    result = succeed("average", *names, "destination=new", "averaging.window=1")
    assert sorted(line["step"] for line in result.objects) == sorted(steps)
    for step, name in zip(steps, names):
        assert f"step {step} is {name}" in result.err


def test_two_jobs_do_not_write_into_each_others_files(files):
    Path("new").mkdir()
    with open("new/writer.lock", "w") as other:
        fcntl.lockf(other, fcntl.LOCK_EX)
        refused = lawa("average", *files, "destination=new", "averaging.window=2", ranks=2)
        assert f"new/writer.lock: another process is running in this folder (pid {os.getpid()})" in refused.errors[0]
    succeed("average", *files, "destination=new", "averaging.window=2")
    assert not Path("new/writer.lock").exists()


def changed(name, dtype, array):
    def harm(path):
        safetensors_file.write(path, model(2000) | {name: (dtype, array)})
    return harm


def without(name):
    return lambda path: safetensors_file.write(path, {key: value for key, value in model(2000).items() if key != name})


def huge_header(path):
    path.write_bytes(struct.pack("<Q", 1 << 62) + path.read_bytes()[8:])


def huge_tensor(path):
    text = json.dumps({"x": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"12345678")


@pytest.mark.parametrize("harm, says", [
    (changed("positions", "U8", np.arange(33)), ["another model", "positions is U8 [33], and there I64 [33]", "step1000/model.safetensors"]),
    (changed("scale", "I64", np.int64(1)), ["another model", "scale is I64 [], and there float32 []"]),
    (changed("scale", "F32", np.float32("nan")), ["scale holds nan", "averaging.allow_nonfinite"]),
    (changed("scale", "F32", np.ones(2, np.float32)), ["another model", "scale is float32 [2], and there float32 []"]),
    (changed("more", "F32", np.ones(2, np.float32)), ["another model", "it holds more"]),
    (without("block.bias"), ["lacks block.bias"]),
    (lambda path: path.write_bytes(path.read_bytes()[:-1]), ["model.safetensors"]),
    (huge_header, ["header"]),
    (huge_tensor, ["x"]),
    (lambda path: path.unlink(), ["doesn't exist"]),
    (lambda path: path.write_bytes(b""), ["model.safetensors"]),
], ids=lambda value: "-".join(value)[:24].replace("/", " ") if isinstance(value, list) else "harm")
@pytest.mark.parametrize("ranks", [1, 2])
def test_other_and_damaged_files_are_named_and_nothing_is_left(files, harm, says, ranks):
    harm(Path(files[1]))
    result = lawa("average", *files, "destination=new", "averaging.window=3", ranks=ranks)
    assert result.code != 0 and len(result.errors) == 1 and result.seconds < 10
    assert "step2000/model.safetensors" in result.errors[0]
    assert all(part in result.errors[0] for part in says), result.errors[0]
    assert not list(Path("new").rglob("*.*")), "not even a lock"


def test_two_kinds_of_files_are_not_mixed(files):
    Path("other.h5").write_bytes(b"")
    assert "source: files of two formats, .safetensors and .weights.h5" in lawa("average", files[0], "other.h5", "destination=new").errors[0]
