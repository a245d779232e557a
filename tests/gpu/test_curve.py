"""PyTorch, given a run's initial weights, windows and schedule, has the run's losses."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "gpu"))
LAWA = ROOT / "build" / "cpu" / "bin" / "lawa"
pytestmark = pytest.mark.skipif(not LAWA.exists(), reason="the preset cpu isn't built")


def lawa(*words):
    subprocess.run(list(map(str, ("mpirun", "-np", 1, LAWA, *words))), check=True, capture_output=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with float32 runs of 30 steps and of none, and the initial weights for transformers."""
    folder = tmp_path_factory.mktemp("curve")
    text = folder / "text.txt"
    text.write_text((ROOT / "README.md").read_text())
    subprocess.run(["/usr/bin/python3", ROOT / "data" / "prepare.py", text, "--tokenizer", "bytes", "--validation-fraction", "0.2",
                    "--output", folder / "tokens"], check=True, capture_output=True)
    for name, steps, warm_up in (("initial", 1, 1), ("run", 30, 4)):
        lawa("train", ROOT / "experiments" / "models" / "tiny.toml", f"data.train={folder}/tokens/train.bin", f"schedule.steps={steps}",
             f"data.validation={folder}/tokens/val.bin", "data.validation_sequences=2", f"schedule.warmup_steps={warm_up}",
             "optimizer.clip_norm=0.5", f"run.directory={folder}/{name}")
    lawa("export", folder / "initial" / "checkpoints" / "step_00000001.weights.h5", f"hf:{folder}/weights")
    return folder


def curve(folder, *words):
    done = subprocess.run([sys.executable, ROOT / "tests" / "gpu" / "curve.py", folder / "run", folder / "weights", *words],
                          text=True, capture_output=True)
    return done.returncode, json.loads(done.stdout)


def test_losses_are_pytorchs_and_another_schedule_is_seen(runs):
    code, line = curve(runs)
    assert code == 0 and line["within"] and line["steps"] == 30 and line["most_apart"] < 1e-4
    assert line["last_loss"] < line["first_loss"] - 1
    config = runs / "run" / "config.toml"
    config.write_text(config.read_text().replace("optimizer.clip_norm = 0.5", "optimizer.clip_norm = 0.1").replace("seed = 1\n", "seed = 2\n"))
    code, line = curve(runs)
    assert code == 1 and not line["within"]


def test_random_numbers_are_those_of_the_published_philox():
    import curve as script
    assert int(script.random_bits(0, 0, [0])[0]) == 0xe169c58d6627e8d5
