"""What stands in the files, read by h5py and NumPy: flat weights, names, checksums, and means that are exact."""
import json
import random
from pathlib import Path

import h5py
import numpy as np
import numpy_gpt2
import pytest
from runner import TINY, succeed, weights, xxh3_128, xxhash
from weights_file import assert_rounded_once, read

STEPS = range(5, 61, 5)
BLOCK = 4096   # elements of a checksum


def average(destination, *words, ranks=1):
    """The averages of some files, by step."""
    succeed("average", *words, f"destination={destination}", ranks=ranks)
    return {int(path.name[5:13]): path for path in sorted(Path(destination).glob("*.weights.h5"))}


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def shapes(layers=2, channels=32, context=32, vocabulary=256):
    """nanoGPT's names and shapes in the order of the file, Linear weights (out, in)."""
    C = channels
    yield from {"wte.weight": (vocabulary, C), "wpe.weight": (context, C)}.items()
    for l in range(layers):
        yield f"h.{l}.ln_1.weight", (C,)
        yield f"h.{l}.attn.c_attn.weight", (3 * C, C)
        yield f"h.{l}.attn.c_proj.weight", (C, C)
        yield f"h.{l}.ln_2.weight", (C,)
        yield f"h.{l}.mlp.c_fc.weight", (4 * C, C)
        yield f"h.{l}.mlp.c_proj.weight", (C, 4 * C)
    yield "ln_f.weight", (C,)


def test_weights_are_one_flat_little_endian_float32_array(place):
    with h5py.File(weights(60)) as file:
        array = file["weights"]
        assert array.dtype == np.dtype("<f4") and array.chunks is None and array.compression is None
        assert array.shape == (sum(np.prod(shape) for _, shape in shapes()),)
        offset, values = array.id.get_offset(), array[()]
    assert weights(60).read_bytes()[offset : offset + values.nbytes] == values.tobytes()
    assert np.isfinite(values).all() and values.std() > 0


def test_named_tensors_are_slices_by_the_table(place):
    with h5py.File(weights(60)) as file:
        flat, table, offset = file["weights"][()], json.loads(file["table"][()]), 0
        assert [(entry["name"], tuple(entry["shape"])) for entry in table] == list(shapes())
        assert set(file["named"]) == {name for name, _ in shapes()}
        for entry in table:
            named, size = file["named"][entry["name"]][()], np.prod(entry["shape"])
            assert entry["offset"] == offset and named.dtype == np.float32
            np.testing.assert_array_equal(named, flat[offset : offset + size].reshape(entry["shape"]))
            offset += size
    assert offset == len(flat)


@pytest.mark.parametrize("kind", ["weights", "state"])
def test_checksums_are_xxh3_of_every_block(place, kind):
    if (library := xxhash()) is None:
        pytest.skip("needs libxxhash")
    path = weights(60).with_name(f"step_00000060.{kind}.h5")
    with h5py.File(path) as file:
        assert set(file["checksums"]) == ({"weights"} if kind == "weights" else {"m", "v"})
        for name, sums in file["checksums"].items():
            values = file[name][()]
            blocks = [values[i : i + BLOCK].tobytes() for i in range(0, len(values), BLOCK)]
            assert [library.XXH3_64bits(block, len(block)) for block in blocks] == sums[()].tolist()


def test_commit_records_know_sizes_and_places(place):
    for step in STEPS:
        record = json.loads(weights(step).with_name(f"step_{step:08d}.json").read_text())
        assert record["step"] == step and record["weights"]["name"] == weights(step).name
        assert record["weights"]["bytes"] == weights(step).stat().st_size
        begin, end = record["weights"]["arrays"]["weights"]
        assert weights(step).read_bytes()[begin:end] == read(weights(step)).tobytes()


@pytest.mark.parametrize("scheme, ends", [("lawa", STEPS[2:]), ("tumbling", STEPS[2::3])])
def test_averages_are_exact_means_rounded_once_whatever_the_ranks(place, scheme, ends):
    words = ["run", f"averaging.scheme={scheme}", "averaging.window=3", "averaging.stride=5"]
    averages = average("on1", *words)
    assert list(averages) == list(ends)
    for step, path in averages.items():
        assert_rounded_once(read(path), [read(weights(step - 5 * i)) for i in range(3)])
    for ranks in (2, 3, 7):
        average(f"on{ranks}", *words, ranks=ranks)
        assert contents(f"on{ranks}") == contents("on1")


def test_window_of_one_is_the_identity(place):
    averages = average("average", "run", "averaging.window=1", ranks=2)
    assert list(averages) == list(STEPS)
    for step, path in averages.items():
        np.testing.assert_array_equal(read(path).view(np.uint32), read(weights(step)).view(np.uint32))


def test_order_in_which_files_are_named_changes_nothing(place):
    files = [weights(step) for step in STEPS]
    average("sorted", *files, "averaging.window=4")
    random.Random(2).shuffle(files)
    average("shuffled", *files, "averaging.window=4")
    assert contents("shuffled") == contents("sorted")


def test_average_says_what_it_is_made_of(place):
    average("average", "run", "averaging.window=12")
    of_members = {line["step"]: line["digest"] for line in succeed("inspect", "run").objects}
    made_of = succeed("inspect", "average").objects[0]["provenance"]["average"]
    assert made_of == {"scheme": "lawa", "window": 12, "stride": 5,
                       "members": [{"step": step, "weight": 1.0, "digest": of_members[step]} for step in STEPS]}


def test_losses_agree_with_numpy_in_float64(place):
    """After 400 steps the model attends: a wrong scale moves the loss by 1e-2, rounding by less than 1e-6 in any build."""
    succeed("train", TINY, "settings.toml", "run.directory=long", "schedule.steps=400", "evaluate.steps=0",
            "checkpoint.steps=100", "checkpoint.state_steps=0")
    average("average", "long", "averaging.window=2", "averaging.first=300")
    lines = succeed("evaluate", "long", "average", ranks=2).objects
    assert len(lines) == 5
    for line in lines:
        assert line["loss"] == pytest.approx(numpy_gpt2.loss(line["file"], "data/val.bin"), rel=2e-6)


def test_files_that_call_their_tokens_otherwise_are_read(place):
    """Weights files had an attribute "tokens" where they have "trained_tokens", and their digests were over that name."""
    if (library := xxhash()) is None:
        pytest.skip("needs libxxhash")
    printed = succeed("inspect", weights(60)).out.rstrip()
    header = "{" + printed[printed.index('"kind":'):].replace('"trained_tokens"', '"tokens"')
    with h5py.File(weights(60), "r+") as file:
        file.attrs["tokens"] = file.attrs["trained_tokens"]
        del file.attrs["trained_tokens"]
        file.attrs["header_digest"] = np.bytes_(xxh3_128(library, header.encode()))
    weights(60).with_name("step_00000060.json").unlink()   # it had a digest of the former bytes
    line, = succeed("evaluate", weights(60)).objects
    assert line["trained_tokens"] == 60 * 8 * 32
