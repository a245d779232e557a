"""Where runs and what is left of them lie, and in which state each run of a table is."""
import fcntl
import json
import math
import shutil

import record
from files import read_json, write_whole
from spec import ROOT
from toml_files import to_toml

PUBLISHED = ROOT / "paper_figures" / "runs"


class Store:
    """The folders of one scale: <base>/<scale>/runs/<key>/ while a run trains, <base>/<scale>/records/ when it has ended."""

    def __init__(self, base, scale, figures, fresh=False, again=()):
        """figures: for which runs have to be complete; fresh: the records that are committed with the project don't count; again: keys
        whose records don't count."""
        self.folder, self.figures, self.fresh, self.again = base / scale, figures, fresh, set(again)
        self.records = self.folder / "records"
        self.failures = {}   # key -> message, of this start

    def run_folder(self, run):
        return self.folder / "runs" / run.key

    def figure_folder(self, name):
        return self.folder / name

    def record(self, run):
        """The Record of a run, or None."""
        if run.key in self.again:
            return None
        return record.read(self.records, run.key) or (None if self.fresh else record.read(PUBLISHED, run.key))

    def finished(self, run):
        """The run's Record, if it has all that is wanted of the run."""
        found = self.record(run)
        return found if found and not found.lacks(run.wanted(self.figures)) else None

    def checkpoint(self, run, step):
        """The weights of a step, which has a state beside it, or None."""
        path = self.run_folder(run) / "checkpoints" / f"step_{step:08d}.weights.h5"
        return path if path.exists() and path.with_name(f"step_{step:08d}.state.h5").exists() else None

    def start_file(self, run):
        """The file that a branch begins from, or None where its parent hasn't left it."""
        if not run.parent_average:
            return self.checkpoint(run.parent, run.parent_step)
        path = self.run_folder(run.parent) / "averages" / run.parent_average / f"step_{run.parent_step:08d}.weights.h5"
        return path if path.exists() else None

    def state(self, run, table):
        """(state, why): complete, diverged, running, failed or pending, and a word on it."""
        found = self.record(run)
        if found and not (lacks := found.lacks(run.wanted(self.figures))):
            for branch in table.rows:
                if branch.parent is run and not self.finished(branch) and not self.start_file(branch):
                    return "pending", f"step {branch.parent_step} is needed again, by {branch.key}"
            made = found.facts["made_by"].get("git", "?")
            if found.diverged:
                return "diverged", f"at step {found.facts['last_step']}, made by {made}"
            return "complete", f"made by {made}"
        if held(self.run_folder(run)):
            return "running", "by another process"
        if message := self.failures.get(run.key) or self.failure(run):
            return "failed", message
        if found:
            return "pending", f"recorded without {lacks}"
        if run.key in self.again:
            return "pending", "asked for with --again"
        if record.metrics(self.run_folder(run)):
            return "pending", "begun, goes on from its newest checkpoint"
        return "pending", "not run yet"

    def failure(self, run):
        """Why it failed the last time; "" if it didn't."""
        path = self.run_folder(run) / "failure.txt"
        return path.read_text(encoding="utf-8").strip() if path.exists() else ""

    def begin(self, run, train, validation):
        """Makes a run's folder with its config, request.toml, or leaves one that was begun and records enough; returns its path."""
        folder = self.run_folder(run)
        begun = read_json(folder / "request.json").get("wanted")
        if folder.exists() and (begun is None or run.key in self.again or record.first_lacking(run.wanted(self.figures), begun)):
            shutil.rmtree(folder)
        self.again.discard(run.key)
        (folder / "failure.txt").unlink(missing_ok=True)
        if not folder.exists():
            folder.mkdir(parents=True)
            write_whole(folder / "request.toml", self.request(run, train, validation))
            write_whole(folder / "request.json", json.dumps({"wanted": {model: sorted(steps) for model, steps in run.wanted().items()}}))
        return folder

    def request(self, run, train, validation):
        """The config of `lawa train` as TOML."""
        keys = dict(run.keys)
        keys |= {"run.directory": str(self.run_folder(run)), "data.train": train, "data.validation": validation,
                 "evaluate.steps": run.steps, "evaluate.at": sorted(run.points["plain"]), "evaluate.halves": True}
        keys |= checkpoint_keys(run)
        if run.parent:
            keys["start.weights" if run.parent_average else "start.checkpoint"] = str(self.start_file(run))
        lines = [f"{key} = {to_toml(value)}" for key, value in keys.items()]
        for identity, average in run.averages.items():
            if points := sorted(run.points[identity]):
                table = {**average.keys, "evaluate_at": points}
                lines += ["", "[[averages]]", *(f"{key} = {to_toml(value)}" for key, value in table.items())]
        return "\n".join(lines) + "\n"

    def end(self, run, table, energy_kwh, keep):
        """Records a run that has ended, and removes its checkpoints where no branch needs them."""
        record.write(record.of_run(run, self.run_folder(run), energy_kwh), self.records)
        for family in {run, run.parent} - {None}:
            waiting = [branch for branch in table.rows if branch.parent is family and not self.finished(branch)]
            if not keep and not waiting and self.finished(family):
                for bulk in ("checkpoints", "averages"):
                    shutil.rmtree(self.run_folder(family) / bulk, ignore_errors=True)


def checkpoint_keys(run):
    """States to go on from: about eight a run, and wherever a branch begins."""
    inner = sorted(step for step in run.branch_steps if step < run.steps)
    if not inner:
        return {"checkpoint.steps": 0, "checkpoint.state_steps": max(1, run.steps // 8), "checkpoint.keep_states": 2}
    every = math.gcd(*inner)
    return {"checkpoint.steps": every, "checkpoint.state_steps": every, "checkpoint.keep_states": run.steps // every + 1}


def held(folder):
    """Whether a process trains in this folder: `lawa train` locks run.lock there."""
    path = folder / "run.lock"
    if not path.exists():
        return False
    with open(path, "r+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_UN)
        except OSError:
            return True
    return False
