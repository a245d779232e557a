"""Makes data/ importable and offers a runner for prepare.py."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "data"))


@pytest.fixture
def run(capsys):
    """run(*arguments) -> (exit code, stdout, stderr) of prepare.py."""
    import prepare

    def call(*arguments):
        code = prepare.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err
    return call
