"""`lawa evaluate RUN averaging.…`: the averages of `lawa average`, evaluated without ever being files."""
from pathlib import Path

import pytest
from runner import lawa, snapshot, succeed, weights
from weights_file import flip, in_a_weight

SWITCHES = ("averaging.fsync=false", "averaging.verify=false")
GRID = ("averaging.window=[2, 3, 5]", "averaging.stride=[5, 10]")


def from_files(*words, ranks=1):
    """[(line of `lawa evaluate`, digest by `lawa average`)] of averages that are files, in the order of their steps."""
    made = succeed("average", "run", *words, *SWITCHES, "destination=files", ranks=ranks).objects
    digests = {line["file"]: line["digest"] for line in made}
    lines = succeed("evaluate", "files", ranks=ranks).objects
    assert {line["file"] for line in lines} == digests.keys()
    return [(line, digests[line["file"]]) for line in lines]


def key(line):
    return line["step"], line["stride"], line["window"]


def assert_same(lines, filed):
    """All that a line says, its digest among it, is what the file of that average is said to be; only the time may differ."""
    assert all(line["file"] is None for line in lines)
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    mine = {key(line): line | {"file": "", "seconds": 0} for line in lines}
    others = {key(line): line | {"file": "", "seconds": 0, "digest": digest} for line, digest in filed}
    assert len(mine) == len(lines) and mine == others


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_grid_has_the_losses_and_digests_of_its_files(place, ranks):
    filed = from_files(*GRID, ranks=ranks)
    before = snapshot()
    result = succeed("evaluate", "run", *GRID, ranks=ranks)
    assert snapshot() == before
    assert len(result.objects) == 11 + 10 + 8 + 5 + 4 + 2
    assert_same(result.objects, filed)


@pytest.mark.parametrize("words", [
    ["averaging.scheme=tumbling", "averaging.window=5"],
    ["averaging.scheme=lawa_released", "averaging.window=5"],
    ["averaging.scheme=swa", "averaging.first=30", "averaging.stride=10"],
    ["averaging.scheme=ema", "averaging.beta=0.8", "averaging.at=[40, 60]"],
    ["averaging.scheme=linear", "averaging.window=4", "averaging.last=30"],
    ["averaging.scheme=1-sqrt", "averaging.window=4", "averaging.at=60"],
    ["averaging.scheme=curve", "averaging.window=3", "averaging.curve=[1, 0.7, 0.2]", "averaging.at=60"],
    ["averaging.scheme=weights", "averaging.window=3", "averaging.weights=[0.5, 1, 2.5]", "averaging.at=60"],
    ["averaging.precision=bf16", "averaging.window=3", "averaging.at=60"],
], ids=lambda words: words[0])
def test_every_scheme_has_the_losses_and_digests_of_its_files(place, words):
    lines = succeed("evaluate", "run", *words, ranks=2).objects
    assert_same(lines, from_files(*words, ranks=2))


def test_it_says_how_much_it_holds(place):
    """Three checkpoints, and the two averages that end with one: 33,952 floats each, in blocks of 4,096."""
    result = succeed("evaluate", "run", "averaging.window=[2, 3]")
    assert "21 averages of 12 checkpoints; at most 737 kB of weights held a rank" in result.err


def test_keys_of_the_evaluation_count(place):
    words = ("averaging.at=60", "data.validation_sequences=5")
    line, = succeed("evaluate", "run", *words).objects
    assert line["validation_tokens"] == 5 * 32 and line["trained_tokens"] == 60 * 8 * 32


def refused(*words, says, ranks=2):
    before = snapshot()
    result = lawa("evaluate", *words, ranks=ranks)
    assert result.code == 1 and len(result.errors) == 1
    for part in says:
        assert str(part) in result.errors[0]
    assert snapshot() == before
    return result


@pytest.mark.parametrize("words, says", [
    (["run", "averaging.window=13"], ["averaging.window", "13 checkpoints are needed", "there are 12"]),
    (["run", "averaging.at=62"], ["averaging.at", "62"]),
    (["run", "averaging.window=[]"], ["averaging.window (command line)"]),
    (["run", "averaging.scheme=median"], ["averaging.scheme (command line)", "median"]),
    (["run", "averaging.weights=[1, 2]"], ["averaging.weights (command line)", "means nothing to lawa"]),
    (["run", "averaging.fsync=false"], ["averaging.fsync (command line): is a key of lawa average, not of lawa evaluate"]),
    (["averaging.window=2"], ["name weights files or folders"]),
    ([weights(50), weights(60), weights(60), "averaging.window=2"], ["two of the checkpoints have step 60"]),
    (["run", "averaging.window=2", "data.validation=none.bin"], ["data.validation (command line)", "none.bin"]),
])
def test_refuses(place, words, says):
    assert refused(*words, says=says).out == ""


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_damaged_checkpoint_ends_it_on_every_rank(place, ranks):
    """The averages before it have been evaluated by then."""
    flip(in_a_weight)(weights(40))
    result = refused("run", "averaging.window=2", says=[weights(40), "damaged"], ranks=ranks)
    assert [line["step"] for line in result.objects] == [10, 15, 20, 25, 30, 35]


def test_files_of_others_are_refused(place):
    Path("model-1.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    Path("model-2.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    refused("model-1.safetensors", "model-2.safetensors", "averaging.window=2", says=["model-1.safetensors", "safetensors"])
