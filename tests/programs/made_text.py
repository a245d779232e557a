"""A small text with some structure, and its tokens."""
import random
from pathlib import Path

from runner import python


def text(words=6000):
    """Sentences from a small vocabulary, the same ones every time: enough structure for a loss to fall."""
    vocabulary = "the early mean of some weights is often better than any one of them and a late one is not".split()
    draw = random.Random(1)
    return "".join(draw.choice(vocabulary) + (".\n" if draw.random() < 0.1 else " ") for _ in range(words))


def make_tokens(folder):
    """folder/text.txt, and folder/data/train.bin and val.bin of its bytes."""
    folder = Path(folder)
    (folder / "text.txt").write_text(text())
    prepared = python("data/prepare.py", folder / "text.txt", "--tokenizer", "bytes", "--validation-fraction", 0.2, "--output", folder / "data")
    assert prepared.returncode == 0, prepared.stderr
