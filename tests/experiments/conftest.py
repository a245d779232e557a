"""The driver's modules on the path, and a project of its own to write figures into."""
import shutil
import sys

import pytest
from a_figure import FIGURE, ROOT

sys.path[:0] = [str(ROOT / "experiments"), str(ROOT / "analysis")]


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
