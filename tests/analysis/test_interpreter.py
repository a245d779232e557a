"""A Python without the modules that a program needs is named in one line, with one that has them or the package to get."""
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = r"^(?:import|from) (?:numpy|pandas|scipy|matplotlib)\b"
FILES = [path for folder in ("analysis", "experiments") for path in sorted((ROOT / folder).glob("*.py"))]
SCRIPTS = [path for path in FILES if path.name == "run.py" or re.search(MODULES, path.read_text(encoding="utf-8"), re.M)]
SCRIPTS += [ROOT / "data" / "prepare.py"]


def run(python, script, *options):
    return subprocess.run([*python, str(script), *options], text=True, capture_output=True, cwd="/", check=False)


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """A Python without packages."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return [str(folder / "bin" / "python"), "-E"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_missing_module_is_one_line(script):
    done = run([sys.executable, "-E", "-S"], script)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{script.stem}: {sys.executable} has no ") and "apt install python3-" in done.stderr


@pytest.mark.parametrize("script", ["data/prepare.py", "analysis/run.py", "analysis/curves.py", "experiments/run.py"])
def test_the_python_that_has_it_is_named(bare, script):
    done = run(bare, ROOT / script, "--help")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    system = subprocess.run(["/usr/bin/python3", "-c", "import numpy, matplotlib"], capture_output=True, check=False).returncode == 0
    assert ("use /usr/bin/python3, which has it" in done.stderr) == system


def test_other_errors_are_shown_as_ever(tmp_path):
    (tmp_path / "broken.py").write_text(f"import sys\nsys.path.insert(0, {str(ROOT / 'analysis')!r})\nimport interpreter\n1 / 0\n")
    done = run([sys.executable], tmp_path / "broken.py")
    assert done.returncode == 1 and "Traceback" in done.stderr and "ZeroDivisionError" in done.stderr
