#!/usr/bin/env python3
"""What fsync costs a save: python3 tests/fault/fsync_cost.py > tests/fault/fsync.jsonl

Runs of a model of 3.2 M parameters save weights and state at every step, with checkpoint.fsync and without, in turn. One JSON line for each
way to save: the median seconds of a save (`seconds`; `without` fsync), from its beginning until its names are there.
"""
import json
import statistics
import tempfile
from pathlib import Path

from place import RUN, Place, current_folder, ended_well
from runner import lawa, metrics

ROUNDS, STEPS = 5, 12
MODEL = ("model.layers=4", "model.channels=256", "averages=[]", "batch.global_sequences=2", f"schedule.steps={STEPS}", "evaluate.steps=0",
         "checkpoint.steps=1", "checkpoint.state_steps=1", "checkpoint.keep_weights=2")


def seconds_of_saves(place, *words):
    """Of each save but the first two, and the bytes of one."""
    with tempfile.TemporaryDirectory(dir=place.folder) as folder, current_folder(folder):
        ended_well(lawa(*place.train(*MODEL, *words), ranks=2))
        lines = metrics(RUN)
        size = sum(path.stat().st_size for path in Path(RUN).glob(f"checkpoints/step_{STEPS:08d}.*"))
    return [line["seconds"] for line in lines if line["kind"] == "checkpoint"][2:], size


def main():
    with tempfile.TemporaryDirectory(dir=Path(__file__).resolve().parents[2] / "build") as folder:
        place = Place(folder, 1).make()
        found = {}
        for _ in range(ROUNDS):
            for asynchronous in ("true", "false"):
                for fsync in ("true", "false"):
                    seconds, size = seconds_of_saves(place, f"checkpoint.asynchronous={asynchronous}", f"checkpoint.fsync={fsync}")
                    found.setdefault((asynchronous, fsync), []).extend(seconds)
        for asynchronous in ("true", "false"):
            with_fsync, without = (found[asynchronous, fsync] for fsync in ("true", "false"))
            print(json.dumps({"asynchronous": asynchronous == "true", "bytes": size, "saves": len(with_fsync),
                              "seconds": round(statistics.median(with_fsync), 4), "without": round(statistics.median(without), 4)}))


if __name__ == "__main__":
    main()
