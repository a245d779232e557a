"""A copy of the project's Python with a made-up figure, which experiments/run.py makes with the program that is built."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

from a_figure import FIGURE, ROOT

DRAW = '''"""Two lines."""
import style


def draw(table):
    figure = style.page(3, table.spec.title, [table.spec.subtitle])
    trunk = {"phase": "trunk"} if "phase" in table.spec.axes else {}
    figure.add_subplot().plot(table.curves(average="lawa", rate="usual", **trunk).mean(axis=1))
    return figure
'''


def other_figures(folder, names):
    """What isn't copied: the project's own figures."""
    return [name for name in names if name == "__pycache__" or (Path(folder) / name / "figure.toml").exists()]


class Project:
    """A copy of the project's Python with a figure of its own; the program is the one that is built."""

    def __init__(self, root):
        self.root = root
        for folder in ("experiments", "analysis", "data"):
            shutil.copytree(ROOT / folder, root / folder, ignore=other_figures)
        (root / "build").symlink_to(ROOT / "build")
        shutil.copy(ROOT / "README.md", root)
        self.write(FIGURE)
        (root / "analysis" / "made_up.py").write_text(DRAW)

    def write(self, text, name="made_up"):
        folder = self.root / "experiments" / name
        folder.mkdir(exist_ok=True)
        (folder / "figure.toml").write_text(text)

    def command(self, *words):
        return [sys.executable, str(self.root / "experiments" / "run.py"), "made_up", "--scale", "smoke", *map(str, words)]

    def environment(self, out):
        mine = {"LAWA_OUT": str(out), "OMPI_MCA_odls_base_sigkill_timeout": "0"}   # no waiting for the other ranks of a failed run
        return {name: value for name, value in os.environ.items() if name not in ("LAWA_TEXT",)} | mine

    def run(self, *words, out="out", code=0):
        result = subprocess.run(self.command(*words), text=True, capture_output=True, timeout=200, env=self.environment(self.root / out))
        assert result.returncode == code, result.stderr + result.stdout
        return result

    def file(self, name, out="out"):
        return self.root / out / "smoke" / "made_up" / name


def processes_with(path):
    """Command lines of living processes that name a path."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:   # it has ended
            continue
        if str(path) in words:
            found.append(words)
    return found
