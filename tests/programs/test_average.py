"""`lawa average` as its users call it: schemes against NumPy, grids, digests, averages made again, and what it refuses."""
import math
import time
from pathlib import Path

import numpy as np
import pytest
from runner import end, kill, lawa, session, snapshot, start, succeed, weights, xxhash
from weights_file import assert_rounded_once, flip, in_a_weight, put, read

STEPS = np.arange(5, 61, 5)
SWITCHES = ("averaging.fsync=false", "averaging.verify=false")


def average(*words, ranks=1):
    """{(folder, step): line} of what `lawa average` printed."""
    lines = succeed("average", "run", *words, *SWITCHES, ranks=ranks).objects
    return {(Path(line["file"]).parent.name, line["step"]): line for line in lines}


def weighted(steps, factors):
    """The mean with some weights: float64, in step order, one division, one rounding."""
    total = np.full_like(read(weights(steps[0])), -0.0, np.float64)
    for step, factor in zip(steps, factors):
        total += factor * read(weights(step)).astype(np.float64)
    return (total / sum(factors)).astype(np.float32)


# scheme: (its keys, the weights of a window that ends at 60, oldest first)
EMA = [math.prod([start] + [0.8] * age) for start, age in zip([1] + [1 - 0.8] * 11, reversed(range(12)))]
SQRT = [1 - math.sqrt(i / 4) for i in range(4)] + [0]
SCHEMES = {
    "ema": (["averaging.beta=0.8"], EMA),
    "linear": (["averaging.window=4"], [1, 2, 3, 4]),
    "1-sqrt": (["averaging.window=4"], [a - b for a, b in zip(SQRT, SQRT[1:])]),
    "curve": (["averaging.window=3", "averaging.curve=[1, 0.7, 0.2]"], [1 - 0.7, 0.7 - 0.2, 0.2]),
    "weights": (["averaging.window=3", "averaging.weights=[0.5, 1, 2.5]"], [0.5, 1, 2.5]),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weighted_means_are_numpy_loops(place, scheme):
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


def test_a_grid_has_a_folder_a_place_and_exact_means_there(place):
    grid = average("averaging.window=[2, 3, 5]", "averaging.stride=[5, 10]", "averaging.at=[40, 60]", "destination=grid")
    places = {f"lawa_k{k:03d}_nu{nu:06d}": (k, nu) for nu in (5, 10) for k in (2, 3, 5)}
    assert list(grid) == [(folder, step) for step in (40, 60) for folder, (k, nu) in places.items() if step >= k * nu], "by step"
    for (folder, step), line in grid.items():
        k, nu = places[folder]
        assert (line["scheme"], line["window"], line["stride"]) == ("lawa", k, nu)
        assert_rounded_once(read(line["file"]), [read(weights(step - nu * i)) for i in range(k)])


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


def test_an_average_of_changed_bytes_is_not_made_again(place):
    file = average("averaging.at=60", "destination=new")["new", 60]["file"]
    flip(in_a_weight)(weights(5))   # no member
    succeed("average", "--rebuild", file, "source=run")
    flip(in_a_weight)(weights(50))
    refused("average", "--rebuild", file, "source=run", says=[weights(50), "damaged"])


def test_a_damaged_average_is_not_called_made_again(place):
    """Its checksums still are those of what is made again: only its numbers aren't."""
    file = average("averaging.at=60", "destination=new")["new", 60]["file"]
    flip(in_a_weight)(Path(file))
    refused("average", "--rebuild", file, "source=run", says=[file, "damaged"])


def test_a_number_that_is_not_finite_is_refused_by_name(place):
    if (library := xxhash()) is None:
        pytest.skip("needs libxxhash")
    put(weights(30), 27000, np.inf, library)
    words = ("average", weights(30), weights(60), "averaging.window=2", "destination=new")
    refused(*words, says=[weights(30), "h.1.mlp.c_fc.weight holds inf", "averaging.allow_nonfinite"])
    assert not [path for path in Path("new").rglob("*") if path.is_file()]
    succeed(*words, "averaging.allow_nonfinite=true")


def inspected(folder):
    """{path below the folder: digest} of all that has its name there, verified by `lawa inspect`."""
    files = sorted(Path(folder).rglob("*.weights.h5"))
    lines = succeed("inspect", *files).objects if files else []
    return {Path(line["file"]).relative_to(folder): line["digest"] for line in lines}


def committed(folder):
    """The weights files that a commit record names."""
    return {path.relative_to(folder).with_suffix(".weights.h5") for path in Path(folder).rglob("*.json")}


def test_an_average_that_is_left_is_read_first(place):
    words = ("average", "run", "averaging.at=60", "averaging.skip_existing=true", "destination=new")
    succeed(*words)
    damaged = Path("new/step_00000060.weights.h5")
    flip(in_a_weight)(damaged)
    assert "new/step_00000060.weights.h5: /weights is damaged" in lawa(*words, ranks=2).errors[0]


@pytest.mark.parametrize("moment", ["*.weights.h5*", "*.weights.h5"], ids=["writing", "naming"])
def test_a_killed_averaging_leaves_whole_files_and_is_completed(place, moment):
    words = ("average", "run", "averaging.window=[2, 3, 4, 5, 6]", "averaging.stride=[5, 10]", "averaging.skip_existing=true")
    succeed(*words, "destination=whole")
    whole = inspected("whole")
    process = start(*words, "destination=killed", ranks=2)
    try:
        while not any(Path("killed").rglob(moment)):   # the first file of any kind, or the first with its name
            assert process.poll() is None
            time.sleep(0.001)
        kill(session(process.pid))
    finally:
        end(process)
    assert inspected("killed").items() <= whole.items()
    done = committed("killed")
    lines = succeed(*words, "destination=killed", ranks=3).objects
    assert {Path(line["file"]).relative_to("killed") for line in lines if "existed" not in line} == whole.keys() - done
    assert inspected("killed") == whole and committed("killed") == whole.keys()
    assert not list(Path("killed").rglob("*.part"))


@pytest.mark.parametrize("words, says", [
    (["averaging.scheme=weights", "averaging.window=3", "averaging.weights=[1, 2]"],
     ["averaging.weights (command line)", "2 values"]),
    (["averaging.at=62"], ["averaging.at", "62"]),
    (["averaging.window=[]"], ["averaging.window (command line)"]),
    (["averaging.window=[2, 0]"], ["averaging.window (command line)", "0 must be at least 1"]),
])
def test_refuses(place, words, says):
    refused("average", "run", "destination=new", *words, says=says)
    assert not Path("new").exists()
