"""A GPT-NeoX is trained, resumed, averaged, evaluated and planned by the same words as a GPT-2."""
from pathlib import Path

import h5py
import numpy as np
import numpy_gpt2
import numpy_gpt_neox
import pytest
from runner import TINY, lawa, metrics, succeed

NEOX = [TINY, "settings.toml", "model.architecture=gpt_neox", "run.directory=neox"]
LONG = [*NEOX, "schedule.steps=200", "evaluate.steps=100", "checkpoint.steps=100", "checkpoint.state_steps=100", "averages.toml"]


def repeatable():
    return [{key: value for key, value in line.items() if "seconds" not in key and key in ("step", "loss", "grad_norm", "model")}
            for line in metrics("neox") if line["kind"] in ("train", "evaluate")]


def weights(step):
    with h5py.File(f"neox/checkpoints/step_{step:08}.weights.h5") as file:
        return file["weights"][()]


def test_it_trains_resumes_averages_and_is_evaluated(place):
    Path("averages.toml").write_text("[[averages]]\nwindow = 2\nstride = 100\n")
    succeed("train", *LONG, ranks=2)
    lines, last = repeatable(), weights(200)
    for path in Path("neox/checkpoints").glob("step_00000200.*"):
        path.unlink()
    succeed("train", *LONG, ranks=2)
    assert repeatable() == lines and (weights(200) == last).all(), "from step 100 on, it is the same run"
    succeed("average", "neox", "destination=average", "averaging.window=2")
    evaluated = {line["file"]: line["loss"] for line in succeed("evaluate", "neox", "average", ranks=2).objects}
    assert len(evaluated) == 3
    for file, loss in evaluated.items():
        assert loss == pytest.approx(numpy_gpt2.loss(file, "data/val.bin", numpy_gpt_neox.logits), rel=2e-6)
    online, = (line["loss"] for line in lines if line.get("model") == "lawa(k=2,nu=100)")
    assert online == pytest.approx(evaluated["average/step_00000200.weights.h5"], rel=1e-6)


def test_the_switches_are_its_own(place):
    assert "GPT-NeoX, 0.04 million parameters" in succeed("plan", *NEOX).out
    refused = lawa("train", TINY, "settings.toml", "run.directory=r", "model.rotary_base=100")
    assert refused.errors[0].startswith('lawa: error: model.rotary_base (command line): is only for model.architecture = "gpt_neox"')
    odd = lawa("train", *NEOX, "model.rotary_fraction=0.2")
    assert odd.errors[0].startswith("lawa: error: model.rotary_fraction (command line): 0.2 of a head's 16 channels are 3")
    assert not Path("neox").exists()
    helped = succeed("train", "--help").out
    assert '# model.rotary_fraction = 0.25 ' in helped and 'turn; only with model.architecture = "gpt_neox"' in helped


@pytest.mark.parametrize("change", [("model.parallel_residual=false", "model.tied=true"), ("precision=bf16",)])
def test_it_learns_with_other_switches(place, change):
    succeed("train", *NEOX, *change, "evaluate.steps=0", "checkpoint.steps=0", "checkpoint.state_steps=0")
    losses = [line["loss"] for line in metrics("neox") if line["kind"] == "train"]
    assert losses[0] == pytest.approx(np.log(256), rel=0.1) and losses[-1] < losses[0] - 2
