"""`lawa average` as its users call it: schemes against NumPy, grids, digests, averages made again, and what it refuses."""
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from runner import lawa, snapshot, succeed, weights, xxhash

STEPS = np.arange(5, 61, 5)
SWITCHES = ("averaging.fsync=false", "averaging.verify=false")


def average(*words, ranks=1):
    """{(folder, step): line} of what `lawa average` printed."""
    lines = succeed("average", "run", *words, *SWITCHES, ranks=ranks).objects
    return {(Path(line["file"]).parent.name, line["step"]): line for line in lines}


def read(path):
    with h5py.File(path) as file:
        return file["weights"][()]


def weighted(steps, factors):
    """The mean with some weights: float64, in step order, one division, one rounding."""
    total = np.full_like(read(weights(steps[0])), -0.0, np.float64)
    for step, factor in zip(steps, factors):
        total += factor * read(weights(step)).astype(np.float64)
    return (total / sum(factors)).astype(np.float32)


# scheme: (its keys, the weights of a window that ends at 60, oldest first)
SQRT = [1 - math.sqrt(i / 4) for i in range(4)] + [0]
SCHEMES = {
    "linear": (["averaging.window=4"], [1, 2, 3, 4]),
    "1-sqrt": (["averaging.window=4"], [a - b for a, b in zip(SQRT, SQRT[1:])]),
    "curve": (["averaging.window=3", "averaging.curve=[1, 0.7, 0.2]"], [1 - 0.7, 0.7 - 0.2, 0.2]),
    "weights": (["averaging.window=3", "averaging.weights=[0.5, 1, 2.5]"], [0.5, 1, 2.5]),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weighted_windows_are_numpy_loops(place, scheme):
    keys, factors = SCHEMES[scheme]
    line = average(f"averaging.scheme={scheme}", *keys, "averaging.at=60", "destination=new", ranks=2)["new", 60]
    assert (line["scheme"], line["window"]) == (scheme, len(factors))
    np.testing.assert_array_equal(read(line["file"]), weighted(STEPS[-len(factors):], factors))


def test_ema_is_its_recurrence_rounded_once(place):
    lines = average("averaging.scheme=ema", "averaging.beta=0.8", "destination=new")
    state = read(weights(5)).astype(np.float64)
    for step in STEPS[1:]:
        state = 0.8 * state + (1 - 0.8) * read(weights(step)).astype(np.float64)
        np.testing.assert_allclose(read(lines["new", step]["file"]), state, rtol=2e-7, atol=0)


def test_swa_grows_from_its_first_checkpoint(place):
    lines = average("averaging.scheme=swa", "averaging.first=30", "averaging.stride=10", "destination=new")
    assert [step for _, step in lines] == [40, 50, 60]
    assert lines["new", 60]["window"] == 4
    np.testing.assert_array_equal(read(lines["new", 60]["file"]), weighted([30, 40, 50, 60], [1] * 4))


def test_released_lawa_has_the_released_groups(place):
    lines = average("averaging.scheme=lawa_released", "destination=new")
    assert [(step, line["window"]) for (_, step), line in lines.items()] == [(25, 5), (50, 5), (60, 2)]


def test_digests_do_not_depend_on_the_ranks(place):
    keys = ("averaging.window=[2, 3]", "averaging.stride=[5, 10]", "averaging.memory_bytes=65536")
    of_one = {key: line["digest"] for key, line in average(*keys, "destination=on1").items()}
    assert len(of_one) == 11 + 10 + 5 + 4 and len(set(of_one.values())) == len(of_one)
    for ranks in (2, 3, 5, 8):
        assert {key: line["digest"] for key, line in average(*keys, f"destination=on{ranks}", ranks=ranks).items()} == of_one


def test_a_grid_has_a_folder_a_place_and_the_averages_of_each_alone(place):
    grid = average("averaging.window=[2, 3]", "averaging.stride=[5, 10]", "destination=grid")
    assert {folder for folder, _ in grid} == {f"lawa_k{k:03d}_nu{nu:06d}" for k in (2, 3) for nu in (5, 10)}
    alone = average("averaging.window=3", "averaging.stride=10", "destination=alone")
    assert {step: line["digest"] for (_, step), line in alone.items()} == {
        step: line["digest"] for (folder, step), line in grid.items() if folder == "lawa_k003_nu000010"}


def test_an_average_is_made_again(place):
    line = average("averaging.at=60", "destination=new", ranks=2)["new", 60]
    before = snapshot()
    made = succeed("average", "--rebuild", line["file"], "source=run", ranks=3).objects
    assert made == [{"file": line["file"], "rebuilt": True, "digest": line["digest"]}]
    assert snapshot() == before


def refused(*words, says):
    result = lawa(*words, ranks=2)
    assert result.code != 0 and len(result.errors) == 1 and result.out == ""
    for part in says:
        assert str(part) in result.errors[0]


def test_an_average_of_other_members_is_not_made_again(place):
    file = average("averaging.at=60", "destination=new")["new", 60]["file"]
    succeed("train", "run/config.toml", "run.directory=other", "seed=2")
    refused("average", "--rebuild", file, "source=other", says=[weights(40, "other"), "isn't the file that"])
    refused("average", "--rebuild", file, weights(60), says=[file, "step 40"])
    refused("average", "--rebuild", weights(60), "source=run", says=[weights(60), "isn't an average"])


def test_a_number_that_is_not_finite_is_refused_by_name(place):
    if (library := xxhash()) is None:
        pytest.skip("needs libxxhash")
    weights(30).with_name("step_00000030.json").unlink()
    with h5py.File(weights(30), "r+") as file:   # as a diverged run would have written it
        values = file["weights"][()]
        values[27000] = np.inf
        file["weights"][...] = values
        block = values[24576:28672].tobytes()
        file["checksums/weights"][6] = library.XXH3_64bits(block, len(block))
    words = ("average", weights(30), weights(60), "averaging.window=2", "destination=new")
    refused(*words, says=[weights(30), "h.1.mlp.c_fc.weight holds inf", "averaging.allow_nonfinite"])
    assert not [path for path in Path("new").rglob("*") if path.is_file()]
    succeed(*words, "averaging.allow_nonfinite=true")


@pytest.mark.parametrize("words, says", [
    (["averaging.scheme=weights", "averaging.window=3", "averaging.weights=[1, 2]"], ["averaging.weights (command line)", "2 values"]),
    (["averaging.at=62"], ["averaging.at", "62"]),
    (["averaging.window=[]"], ["averaging.window (command line)"]),
    (["averaging.window=[2, 0]"], ["averaging.window (command line)", "0 must be at least 1"]),
])
def test_refuses(place, words, says):
    refused("average", "run", "destination=new", *words, says=says)
    assert not Path("new").exists()
