"""Runs that are killed, in the middle of a write as well, go on to the very numbers of a run that nobody disturbed."""
import os
import random
import time
from pathlib import Path

from runner import TINY, digests, end, kill, metrics, numbers, session, start, succeed

RANKS = 2
KILLS = 40 if os.environ.get("LAWA_FULL") == "1" else 6
TRAIN = ["train", TINY, "settings.toml", "run.directory=killed", "checkpoint.steps=1", "checkpoint.state_steps=2"]


def victims(draw, process):
    """All processes of a run, or one of its ranks, or mpirun alone: then the ranks may live on for a while."""
    everyone = session(process.pid)
    ranks = [member for member in everyone if member != process.pid]
    return draw.choice([everyone, ranks[:1], ranks[1:2], [process.pid]])


def lines():
    path = Path("killed/metrics.jsonl")
    return path.read_text().count("\n") if path.exists() else 0


def run_and_kill(draw):
    """Kills a run some lines of metrics after it went on, a random moment later; says whether it was still running."""
    process, fewest, wait = start(*TRAIN, ranks=RANKS), lines(), draw.randrange(2, 3 + 100 // KILLS)
    deadline = time.monotonic() + 30
    try:
        while process.poll() is None and time.monotonic() < deadline:
            fewest = min(fewest, now := lines())   # a run that goes on cuts the lines behind its checkpoint
            if now >= fewest + wait:
                break
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.02))   # a checkpoint takes about as long
        running = process.poll() is None
        kill(victims(draw, process) if running else [])
        time.sleep(draw.choice([0, 0.2]))   # what is left may try to go on
    finally:
        end(process)
    return running


def test_killed_runs_end_in_the_same_weights_and_losses(place):
    draw, interrupted = random.Random(4), 0
    whole = digests("run")
    for _ in range(KILLS):
        interrupted += run_and_kill(draw)
        if list(Path("killed/checkpoints").glob("*.json")):   # a checkpoint with a record is whole
            digests("killed")
    succeed(*TRAIN, ranks=RANKS)
    assert interrupted >= KILLS // 2
    assert numbers("killed") == numbers("run")
    checkpoints = digests("killed")
    assert list(checkpoints) == list(range(1, 61)) and {step: checkpoints[step] for step in whole} == whole
    assert any(line["kind"] == "resume" for line in metrics("killed"))
    assert not list(Path("killed").rglob("*.part"))
