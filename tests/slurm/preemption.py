#!/usr/bin/env python3
"""Preempts slurm/gpt2_large_lawa.sh, with a tiny model, at random moments on a real Slurm of one and of two nodes of this machine.

    python3 tests/slurm/preemption.py [--times 3] [--seed N] [--nodes 1 2] > tests/slurm/preemption.jsonl

One JSON line a preemption: the step at which it was asked for, the last step that was made, the one that the next start went on from,
the steps lost, and the seconds until the checkpoint was durable: from the signal in the program, and from the request. Each job has to
end in the losses and the weights of one that was left alone. Moments are drawn from the seed, but machines differ in speed.
"""
import argparse
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from cluster import PROGRAM, ROOT, TINY, Slurm, output, prepare_tokens, wait_for

STATE_STEPS = 300   # a lost node may cost as many
WORDS = [*TINY, "evaluate.steps=150", "checkpoint.steps=75", f"checkpoint.state_steps={STATE_STEPS}",
         "averages=[{scheme='lawa', window=5, stride=60, save=true}]"]
STEPS, LIMITED, LONG = 2400, 8000, 20000   # LIMITED: longer than run.wall_seconds; Slurm looks every half minute whether a job's time is over


def lines(run):
    """The lines of metrics.jsonl, but one that is being written."""
    path = Path(run) / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")] if path.exists() else []


def last_step(run):
    return max((line["step"] for line in lines(run) if line["kind"] == "train"), default=0)


class Job:
    """A run of the batch script on two ranks, in a folder that has tokens/."""

    def __init__(self, slurm, folder, name, steps=STEPS):
        self.slurm, self.folder, self.run, self.steps = slurm, Path(folder), Path(folder) / name, steps
        self.limit = self.folder / f"{name}.toml"
        self.limit_start(0)

    def limit_start(self, seconds):
        """run.wall_seconds of the next start; 0: none."""
        self.limit.write_text(f"[run]\nwall_seconds = {seconds}\n")

    def submit(self, *options):
        script = ROOT / "slurm" / "gpt2_large_lawa.sh"
        words = [script, *WORDS, f"schedule.steps={self.steps}", f"run.directory={self.run.name}", self.limit]
        self.number = self.slurm.run(self.folder, "sbatch", "--parsable", f"--nodes={self.slurm.nodes}", *options, *words,
                                     LAWA_RANKS_PER_NODE=str(2 // self.slurm.nodes), LAWA_HANG_SECONDS="5", LAWA_ROOT=str(ROOT)).strip()
        return self

    def starts(self):
        """The steps from which it has gone on, 0 at its first start; without one that has not got so far yet."""
        said = (self.folder / f"gpt2_large_lawa-{self.number}.out").read_text().split("GPT-2, ")[1:]
        found = [re.search("going on from step ([0-9]+)\n|loss", start) for start in said]
        return [int(one[1] or 0) for one in found if one]

    def end(self):
        """When it has completed, what has to be as in any other run of it: the last losses, and the digests of all weights."""
        self.slurm.until(self.number, "COMPLETED", 600)
        assert not list(self.run.rglob("*.part"))
        losses = {line.get("model", "training"): line["loss"] for line in lines(self.run) if line["kind"] in ("train", "evaluate")}
        assert len(losses) == 3, losses   # of the last step, of the plain weights and of the averages
        inspected = "".join(self.slurm.run(self.run, PROGRAM, "inspect", place) for place in ("checkpoints", "averages/lawa_k005_nu000060"))
        digests = {(line["kind"], line["step"]): line["digest"] for line in map(json.loads, inspected.splitlines())}
        return losses, digests


# ---- what preempts a job; it is queued again ---------------------------------------------------------------------------------------------


def by_signal(job, _):
    """As Slurm's --signal=B:USR1@120 does."""
    job.slurm.run(job.folder, "scancel", "--batch", "--signal=USR1", job.number)


def by_requeue(job, _):
    job.slurm.run(job.folder, "scontrol", "requeue", job.number)


def by_node_down(job, draw):
    """The node still answers: Slurm sends the processes SIGTERM, but srun may kill them meanwhile."""
    node = f"n{draw.randint(1, job.slurm.nodes)}"
    job.slurm.run(job.folder, "scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    job.slurm.resume(node)


def by_node_lost(job, draw):
    """The ranks are gone from one moment to the next, nobody says so any more, and then a node is down."""
    ranks = job.slurm.ranks(job.number)
    for process in job.slurm.processes(job.number).keys() - set(ranks):   # the batch shell and srun
        os.kill(process, signal.SIGSTOP)
    for process in ranks:
        os.kill(process, signal.SIGKILL)
    by_node_down(job, draw)


def by_stopped_rank(job, draw):
    """Nobody is gone, and one rank doesn't go on: the others say so after LAWA_HANG_SECONDS, and srun ends it a minute later (--wait)."""
    os.kill(draw.choice(job.slurm.ranks(job.number)), signal.SIGSTOP)


ASK = {"signal": by_signal, "requeue": by_requeue, "node down": by_node_down, "node lost": by_node_lost, "rank stopped": by_stopped_rank}
KINDS = [*ASK, "run.wall_seconds", "time limit"]   # the last two come by themselves


def ask(job, kind, moment, draw):
    """Preempts a job that has come to a step. Returns that step and the time."""
    wait_for(lambda: last_step(job.run) >= moment, 120)
    time.sleep(draw.uniform(0, 0.02))
    found = {"asked_at_step": last_step(job.run), "asked": time.time()}
    ASK[kind](job, draw)
    return found


def how_it_stopped(job, asked=None):
    job.slurm.until_gone(job.number)
    found, line = {"last_step": last_step(job.run)}, lines(job.run)[-1]
    if line["kind"] == "stopped":
        found |= {"stopped_by": line["signal"], "seconds_to_durable": round(line["seconds_to_durable"], 3)}
        record = job.run / "checkpoints" / f"step_{line['step']:08d}.json"
        found |= {"seconds_from_request": round(record.stat().st_mtime - asked, 3)} if asked else {}
    return found


def preempted(slurm, folder, kind, times, draw):
    """A job that was preempted so often and runs now for the last time, and a line for each preemption."""
    steps = {"time limit": LONG, "run.wall_seconds": LONG if times > 1 else LIMITED}.get(kind, STEPS)

    def limit(number):   # it stops about a second before, as long as it has not saved a state and measured how long that takes
        return draw.uniform(1.4, 5 if times > 1 else 2) if kind == "run.wall_seconds" and number < times else 0

    job, rows = Job(slurm, folder, kind.replace(" ", "_"), steps), []
    job.limit_start(limit(0))
    job.submit(*(["--time=1", f"--signal=B:USR1@{draw.randint(30, 55)}"] if kind == "time limit" else []))
    for number in range(times):
        row = ask(job, kind, (number + draw.uniform(0.1, 0.7)) * job.steps / times, draw) if kind in ASK else {}
        wait_for(lambda: slurm.job(job.number)["Restarts"] == str(number + 1), 120)
        row |= how_it_stopped(job, row.pop("asked", None))
        rows.append({"nodes": slurm.nodes, "kind": kind} | row)
        job.limit_start(limit(number + 1))
        if kind == "time limit" and number + 1 == times:
            slurm.run(folder, "scontrol", "update", f"jobid={job.number}", "TimeLimit=UNLIMITED")
        slurm.start_again(job.number)
        wait_for(lambda: len(job.starts()) > number + 1)
        step = job.starts()[-1]
        rows[-1] |= {"went_on_from": step, "lost_steps": rows[-1]["last_step"] - step}
    return job, rows


def check(row):
    """Who is asked to stop loses nothing. Where a node is down Slurm may kill at once, and a lost rank asks nobody: the steps since the last
    state that was durable are lost, and the steps go on while a state is saved, but not past the next one's."""
    if row["kind"] in ("node down", "node lost", "rank stopped") and "stopped_by" not in row:
        assert 0 <= row["lost_steps"] <= 2 * STATE_STEPS, row
    else:
        assert row["lost_steps"] == 0 and row.get("asked_at_step", 0) <= row["went_on_from"], row
        assert row["stopped_by"] in ("SIGUSR1", "SIGTERM", "run.wall_seconds") and row["seconds_to_durable"] < 10, row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="preemptions of each kind")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the moments")
    parser.add_argument("--nodes", type=int, nargs="+", choices=(1, 2), default=(1, 2))
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    draw = random.Random(options.seed)
    for nodes in options.nodes:
        with tempfile.TemporaryDirectory() as folder, Slurm(nodes) as slurm:
            prepare_tokens(folder)
            whole = {steps: Job(slurm, folder, f"whole_{steps}", steps).submit().end() for steps in (STEPS, LIMITED, LONG)}
            for kind in KINDS:
                job, rows = preempted(slurm, folder, kind, options.times, draw)
                same = job.end() == whole[job.steps]
                for row in rows:
                    check(row)
                    print(json.dumps(row | {"same_end": same, "seed": options.seed}), flush=True)
                assert same, f"{kind}, {nodes} nodes: not the end of an undisturbed run\n{output(folder)}"


if __name__ == "__main__":
    main()
