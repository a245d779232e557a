#!/usr/bin/env python3
"""The page of `lawa plan` in README.md: python3 tests/benchmark/plan.py > tests/benchmark/plan.txt, while nothing else runs."""
import subprocess

from averaging import ENVIRONMENT, ROOT

WORDS = ("experiments/models/small.toml", "slurm/lawa.toml", "checkpoint.steps=2000", "checkpoint.state_steps=2000", "plan.ranks=128",
         "plan.ranks_per_node=64", "plan.memory_bytes=256e9")
COMMAND = ("mpirun", "-np", "2", "$lawa", "plan", *WORDS)


def printed(*more):
    """What the command prints."""
    program = str(ROOT / "build" / "cpu" / "bin" / "lawa")
    command = ["mpirun", "-np", "2", "--oversubscribe", "--bind-to", "none", program, *COMMAND[4:], *more]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, text=True, check=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    print(f"$ {' '.join(COMMAND)}\n{printed()}", end="")
