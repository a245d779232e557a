"""Where runs and what is left of them lie, and in which state each run of a table is."""
import errno
import fcntl
import json
import math
import shutil
import struct
import time

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
        if run.key in self.again or self._again_mark(run).exists():
            return None
        local = record.read(self.records, run.key)
        if self.fresh or (local and not local.lacks(run.wanted(self.figures))):
            return local
        return record.read(PUBLISHED, run.key) or local

    def _again_mark(self, run):
        """A file that is there from the wish to make a run again until it is made."""
        return self.records / f"{run.key}.again"

    def forget(self, runs):
        """Runs that are to be made again: what was recorded and begun of them doesn't count any more."""
        for run in runs:
            self.records.mkdir(parents=True, exist_ok=True)
            self._again_mark(run).touch()
            for suffix in (".csv", ".json"):
                (self.records / f"{run.key}{suffix}").unlink(missing_ok=True)
            shutil.rmtree(self.run_folder(run), ignore_errors=True)

    def lock(self, run):
        """An open file that keeps other drivers away from the run as long as it is open, or None where one of them has it."""
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        file = open(self.folder / "runs" / f"{run.key}.lock", "w", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError:
            file.close()
            return None

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
            made = found.facts["made_by"].get("git", "?")
            if found.diverged:
                return "diverged", f"at step {found.facts['last_step']}, made by {made}"
            for branch in table.rows:
                if branch.parent is run and not self.finished(branch) and not self.start_file(branch):
                    return "pending", f"step {branch.parent_step} is needed again, by {branch.key}"
            return "complete", f"made by {made}"
        if held(self.run_folder(run)):
            return "running", "by another process"
        if message := self.failures.get(run.key) or self.failure(run):
            return "failed", message
        if found:
            return "pending", f"recorded without {lacks}"
        if run.key in self.again or self._again_mark(run).exists():
            return "pending", "asked for with --again"
        if record.metrics(self.run_folder(run)):
            return "pending", "begun, goes on from its newest checkpoint"
        return "pending", "not run yet"

    def failure(self, run):
        """Why it failed the last time; "" if it didn't."""
        path = self.run_folder(run) / "failure.txt"
        return path.read_text(encoding="utf-8").strip() if path.exists() else ""

    def begin(self, run, train, validation):
        """Makes a run's folder with its config, or leaves one that was begun and records enough; returns its path. request.toml says what
        is trained and recorded, paths.toml where it lies today."""
        folder = self.run_folder(run)
        begun = read_json(folder / "request.json").get("wanted")
        if folder.exists() and (begun is None or record.first_lacking(run.wanted(self.figures), begun)):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "failure.txt").unlink(missing_ok=True)
        if begun is None or not (folder / "request.json").exists():
            write_whole(folder / "request.toml", self.request(run))
            write_whole(folder / "request.json", json.dumps({"wanted": record.sorted_points(run.wanted())}))
        paths = {"run.directory": str(folder), "data.train": train, "data.validation": validation}
        if run.parent:
            paths["start.weights" if run.parent_average else "start.checkpoint"] = str(self.start_file(run))
        write_whole(folder / "paths.toml", "".join(f"{key} = {to_toml(path)}\n" for key, path in paths.items()))
        return folder

    @staticmethod
    def request(run):
        """The config of `lawa train` as TOML, but for paths."""
        keys = {**run.keys, "evaluate.steps": run.steps, "evaluate.at": sorted(run.points["plain"]), "evaluate.halves": True,
                **checkpoint_keys(run)}
        lines = [f"{key} = {to_toml(value)}" for key, value in keys.items()]
        for identity, average in run.averages.items():
            if points := sorted(run.points[identity]):
                table = {**average.keys, "evaluate_at": points}
                lines += ["", "[[averages]]", *(f"{key} = {to_toml(value)}" for key, value in table.items())]
        return "\n".join(lines) + "\n"

    def end(self, run, table, energy_kwh, keep):
        """Records a run that has ended, and removes its checkpoints where no branch needs them."""
        record.write(record.of_run(run, self.run_folder(run), energy_kwh), self.records)
        self._again_mark(run).unlink(missing_ok=True)
        for family in {run, run.parent} - {None}:
            waiting = [branch for branch in table.runs.values() if branch.parent is family and not self.finished(branch)]
            if not keep and not waiting and self.finished(family):
                for bulk in ("checkpoints", "averages"):
                    shutil.rmtree(self.run_folder(family) / bulk, ignore_errors=True)

    def inherit(self, run):
        """The outcome of a branch whose parent has diverged before it could begin: the same."""
        facts = self.record(run.parent).facts
        record.write(record.Record({**facts, "key": run.key, "config": run.keys, "recorded": record.sorted_points(run.wanted()),
                                    "timing": {}}, ",".join(record.COLUMNS) + "\n"), self.records)


def checkpoint_keys(run):
    """States to go on from: about eight a run; where branches begin inside it, at a common divisor of their steps."""
    inner = sorted(step for step in run.branch_steps if step < run.steps)
    if not inner:
        return {"checkpoint.steps": 0, "checkpoint.state_steps": max(1, run.steps // 8), "checkpoint.keep_states": 2}
    every = math.gcd(*inner)
    return {"checkpoint.steps": every, "checkpoint.state_steps": every, "checkpoint.keep_states": run.steps // every + 1}


def held(folder):
    """Whether a process trains in this folder: `lawa train` locks run.lock there. It is only asked who has the lock."""
    path = folder / "run.lock"
    if not path.exists():
        return False
    with open(path, "r+", encoding="utf-8") as file:
        asked = struct.pack("@hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
        try:
            return struct.unpack("@hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK
        except OSError as error:
            if error.errno != errno.ENOLCK:
                raise
    owner = folder / "run.lock.owner"   # stands for a lock where there are none, and is renewed every few seconds
    return owner.exists() and time.time() - owner.stat().st_mtime < 60
