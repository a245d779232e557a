"""A folder with a prepared text and a finished run, made once, of which every test gets a copy to work in."""
import shutil

import pytest
from made_text import make_tokens
from runner import PROGRAM, TINY, succeed

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


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """data/ from text.txt, settings.toml, and run/: 60 steps on two ranks, a checkpoint every 5 steps. Nobody changes it."""
    assert PROGRAM.exists(), f"{PROGRAM} isn't built"
    folder = tmp_path_factory.mktemp("finished")
    make_tokens(folder)
    (folder / "settings.toml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        succeed("train", TINY, "settings.toml", "run.directory=run", ranks=2)
    return folder


@pytest.fixture
def place(finished, tmp_path, monkeypatch):
    """A copy of the finished run's folder, as the current folder; gone after the test."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    shutil.rmtree(tmp_path)
