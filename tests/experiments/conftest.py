"""The driver's modules on the path, and a project of its own to write figures into."""
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "experiments"), str(ROOT / "analysis"), str(ROOT / "tests" / "programs")]

FIGURE = '''
title = "A made-up figure"
subtitle = "of a few steps"
status = "not run"
[train]
files = ["models/tiny.toml"]
batch.global_sequences = 8
schedule = { kind = "cosine", steps = 40, warmup_steps = "10%", peak_lr = 1e-2, final_lr = "10%" }
evaluate.steps = "25%"
data.validation_sequences = 8
checkpoint.fsync = false
[axes]
seed = [1, 2]
[axes.rate]
usual = { label = "usual", schedule.peak_lr = 1e-2 }
high = { label = "high", schedule.peak_lr = 4e-2 }
[[averages]]
name = "lawa"
window = 3
stride = "5%"
[[claims]]
name = "below"
text = "LAWA is below plain"
where = { rate = "usual" }
this = "lawa"
that = "plain"
at = "50%"
[scale.smoke]
text = { files = ["README.md"], tokenizer = "bytes", validation_fraction = 0.2 }
'''


@pytest.fixture
def project(tmp_path):
    """A folder with experiments/made_up/figure.toml and the models; write(text, name) adds or replaces a figure."""
    shutil.copytree(ROOT / "experiments" / "models", tmp_path / "experiments" / "models")

    class Project:
        root = tmp_path

        @staticmethod
        def write(text=FIGURE, name="made_up"):
            folder = tmp_path / "experiments" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "figure.toml").write_text(text)

        @staticmethod
        def load(name="made_up", scale="smoke"):
            import spec
            return spec.load(name, scale, tmp_path)

    Project.write()
    return Project
