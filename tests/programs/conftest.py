"""A folder with a prepared text and a finished run, made once, of which every test gets a copy to work in."""
import random
import shutil

import pytest
from runner import PROGRAM, TINY, python, succeed

STEPS = 60
SETTINGS = f"""
[data]
train = "data/train.bin"
validation = "data/val.bin"
[batch]
global_sequences = 8
[schedule]
steps = {STEPS}
warmup_steps = 5
peak_lr = 1e-2
final_lr = 1e-3
[evaluate]
steps = 20
[checkpoint]
steps = 5
state_steps = 20
"""


def text(words=6000):
    """Sentences from a small vocabulary, the same ones every time: enough structure for a loss to fall."""
    vocabulary = "the early mean of some weights is often better than any one of them and a late one is not".split()
    draw = random.Random(1)
    return "".join(draw.choice(vocabulary) + (".\n" if draw.random() < 0.1 else " ") for _ in range(words))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """data/ from text.txt, settings.toml, and run/: 60 steps on two ranks, a checkpoint every 5 steps. Nobody changes it."""
    assert PROGRAM.exists(), f"{PROGRAM} isn't built"
    folder = tmp_path_factory.mktemp("finished")
    (folder / "text.txt").write_text(text())
    (folder / "settings.toml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepared = python("data/prepare.py", "text.txt", "--tokenizer", "bytes", "--validation-fraction", 0.2, "--output", "data")
        assert prepared.returncode == 0, prepared.stderr
        succeed("train", TINY, "settings.toml", "run.directory=run", ranks=2)
    return folder


@pytest.fixture
def place(finished, tmp_path, monkeypatch):
    """A copy of the finished run's folder, as the current folder; gone after the test."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    shutil.rmtree(tmp_path)
