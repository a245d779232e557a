"""A batch job that is preempted at random moments, in every way that there is, ends as one that was left alone (preemption.py)."""
import os
import random

import pytest
from cluster import Slurm, prepare_tokens
from preemption import KINDS, Job, check, preempted

FULL = os.environ.get("LAWA_FULL") == "1"
SEED = int(os.environ.get("LAWA_SEED", random.randrange(10**6)))


class Place:
    """A Slurm, a folder to submit from, and the end of the job that was left alone."""

    def __init__(self, slurm, folder):
        prepare_tokens(folder)
        self.slurm, self.folder, self.wholes = slurm, folder, {}

    def check(self, kind):
        print(f"LAWA_SEED={SEED}")
        job, rows = preempted(self.slurm, self.folder, kind, 3 if FULL else 1, random.Random(f"{SEED} {kind}"))
        end = job.end()
        for row in rows:
            check(row)
        if job.steps not in self.wholes:
            self.wholes[job.steps] = Job(self.slurm, self.folder, f"whole_{job.steps}", job.steps).submit().end()
        assert end == self.wholes[job.steps]


@pytest.fixture(scope="module")
def one_node(slurm, tmp_path_factory):
    return Place(slurm, tmp_path_factory.mktemp("one_node"))


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory):
    with Slurm(2) as slurm:
        yield Place(slurm, tmp_path_factory.mktemp("two_nodes"))


def waits_for_slurm(kind):
    return pytest.param(kind, marks=pytest.mark.skipif(not FULL, reason="takes more than a minute; LAWA_FULL=1 runs it"))


@pytest.mark.parametrize("kind", [waits_for_slurm(kind) if kind in ("time limit", "rank stopped") else kind for kind in KINDS])
def test_on_one_node(one_node, kind):
    one_node.check(kind)


@pytest.mark.parametrize("kind", [kind if kind == "node lost" else waits_for_slurm(kind) for kind in KINDS])
def test_on_two_nodes(two_nodes, kind):
    two_nodes.check(kind)
