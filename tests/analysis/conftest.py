"""The modules of analysis/ on the path, and a Spec that doesn't change when the experiment is tuned."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "analysis"))

import spec as specs  # noqa: E402  (after the path is set)


@pytest.fixture
def spec():
    """Two arms, one seed, the quickstart's rule."""
    arms = (specs.Arm("usual", "usual rate"), specs.Arm("high", "high rate"))
    return specs.Spec("quickstart", "run", "A title", "and more of it", (1,), arms, 0.2, (0.25, 0.75), 0.95, 0.002)
