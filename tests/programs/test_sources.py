"""What `lawa average` takes: files by the steps in their names, names that hold an =, a run and its branches, several runs at once."""
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import safetensors_file
from runner import ENVIRONMENT, PROGRAM, TINY, lawa, snapshot, succeed, weights
from weights_file import assert_rounded_once, read


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, value):
    safetensors_file.write(Path(name), {"a": ("F32", np.full((3, 5), value, np.float32))})


def value(path):
    return float(safetensors_file.read(Path(path))[0]["a"][1][0, 0])


def means(*names, window=1, words=(), ranks=0):
    """{step: mean} of files that hold 1, 2, 4, … in their order, and what was said."""
    for i, name in enumerate(names):
        write(name, 2.0**i)
    result = succeed("average", *names, "destination=new", f"averaging.window={window}", *words, ranks=ranks)
    return {line["step"]: value(line["file"]) for line in result.objects}, result.err.splitlines()


# ---- names that hold an = --------------------------------------------------------------------------------------------------


def test_what_is_there_is_a_place_though_its_name_holds_an_equals_sign(place):
    Path("run").rename("seed=1")
    file = weights(60, "seed=1").rename("step=60.weights.h5")
    assert succeed("inspect", file, ranks=0).objects[0]["step"] == 60
    assert succeed("evaluate", file, ranks=2).objects[0]["step"] == 60
    weights(60, "seed=1").with_name("step_00000060.json").unlink()
    assert len(succeed("evaluate", "seed=1", "averaging.at=55", "averaging.stride=5", ranks=0).objects) == 1
    Path("averaging.window=2").mkdir()   # what begins with a key is a key all the same
    assert succeed("average", "seed=1", "averaging.window=2", "averaging.at=55", "destination=new", ranks=0).objects[0]["window"] == 2
    Path("lr=1.toml").write_text("averaging.window = 3\n")
    assert succeed("average", "lr=1.toml", "seed=1", "averaging.at=55", "destination=three", ranks=0).objects[0]["window"] == 3
    assert "unknown key other" in lawa("inspect", "other=1", ranks=0).errors[0]
    assert "step=61.weights.h5: doesn't exist" in lawa("inspect", "step=61.weights.h5", ranks=0).errors[0]
