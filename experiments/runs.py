"""Which runs some figures need: each trajectory once, with everything that any figure wants recorded of it.

A run's key is a digest of what determines its weights: training keys, text, and for a branch its parent and the step. What is
recorded of it (averages, evaluations) isn't part of the key: figures that need the same trajectory share one run.
"""
import hashlib
import json
from dataclasses import dataclass, field

from spec import ROOT
from averages import Average, model_name, part_of
from toml_files import flat, read_toml

RECORDED = ("evaluate.", "checkpoint.")   # keys that don't change the weights
ALWAYS = ("schedule.steps", "batch.global_sequences", "model.context")   # what no run is without
MOST_EVALUATIONS = 100_000         # of one run
OF_THE_RUN = ("schedule.warmup_steps", "schedule.decay_steps")   # parts of the run's own steps; schedule.steps: of the figure's


@dataclass(eq=False)
class Run:
    """One training run of the table."""

    key: str
    keys: dict                     # dotted training keys, complete but for paths
    text: dict                     # where the tokens come from
    ranks: int
    parent: "Run" = None           # of a branch
    parent_step: int = 0           # where it begins
    parent_average: str = ""       # begins anew from this average of the parent, in place of its checkpoint
    users: list = field(default_factory=list)      # (figure, coordinates)
    needs: dict = field(default_factory=dict)      # figure -> {model as metrics.jsonl calls it: steps of its evaluations}
    curve_points: dict = field(default_factory=dict)  # figure -> steps of evaluations of everything without steps of its own
    averages: dict = field(default_factory=dict)   # identity -> Average: all that any figure wants
    points: dict = field(default_factory=dict)     # identity, or "plain" -> steps of its evaluations
    branch_steps: set = field(default_factory=set) # where other runs begin
    place: int = 0                 # of its family in the table, from 1: the index of --only

    @property
    def steps(self):
        return self.keys["schedule.steps"]

    @property
    def first_step(self):
        """The step from which it trains: a branch's parent has made the others."""
        return self.parent_step if self.parent and not self.parent_average else 0

    @property
    def tokens(self):
        """Tokens that this run trains on."""
        return (self.steps - self.first_step) * self.keys["batch.global_sequences"] * self.keys["model.context"]

    def points_of(self, spec):
        """The steps at which a figure evaluates every model of the run that has no steps of its own."""
        return self.curve_points[spec.name]

    def points_of_average(self, spec, average):
        """The steps at which a figure evaluates an average."""
        return {step for step in average.points(self.points_of(spec), self.steps) if step > self.first_step}

    def wanted(self, figures=None):
        """{model as metrics.jsonl calls it: steps at which it is evaluated}: what some figures need, or all of them."""
        wanted = {}
        for figure, needs in self.needs.items():
            for model, points in needs.items() if figures is None or figure in figures else ():
                wanted.setdefault(model, set()).update(points)
        return wanted

    def name(self):
        """Figure and coordinates of its first use, for people."""
        figure, cell = self.users[0]
        return f"{figure} " + " ".join(f"{axis}={arm}" if isinstance(arm, (int, float)) else str(arm) for axis, arm in cell.items())


class Table:
    """The fixed table of runs: families (a run and its branches) in the order in which the figures ask for them."""

    def __init__(self, specs, others=()):
        """specs: the figures that are asked for, at one scale; others: further ones, whose wishes are recorded where they share a run.
        Errors: a branch that begins behind its parent's end, or from an average that nobody keeps."""
        self.runs, self.of_cell, self.figures = {}, {}, [spec.name for spec in specs]
        for spec in [*specs, *others]:
            for cell in spec.cells():
                self._add(spec, cell)
        needed = [run for run in self.runs.values() if set(run.needs) & set(self.figures)]
        for run in needed:
            for other in self.runs.values():
                if other not in needed and run.parent is other:
                    needed.append(other)
        families = {}
        for run in needed:
            root = run
            while root.parent:
                root = root.parent
            families.setdefault(root.key, []).append(run)
        self.places = len(families)
        for place, family in enumerate(families.values(), 1):
            for run in family:
                run.place = place
        self.rows = [run for family in families.values() for run in _parents_first(family)]

    def of_figure(self, spec):
        """[(coordinates, Run)] of one figure."""
        return [(cell, self.of_cell[spec.name, _id(cell)]) for cell in spec.cells()]

    def _add(self, spec, cell):
        """The run at these coordinates, made where no figure has asked for it yet."""
        known = self.of_cell.get((spec.name, _id(cell)))
        if known:
            return known
        keys, start = resolved(spec, cell)
        parent, at = None, 0
        if start:
            parent_cell = {**cell, **start["run"]}
            if parent_cell == cell:
                raise ValueError(f"{spec.name}: {cell} is a branch of itself")
            for axis, arm in parent_cell.items():
                spec.arm(axis, arm)
            parent = self._add(spec, parent_cell)
            at = parent.steps if start.get("at", "end") == "end" else spec.step(start["at"])
            if at > parent.steps:
                raise ValueError(f"{spec.name}: {cell} begins at step {at}, and its parent ends at {parent.steps}")
        run = self._run(spec, keys, parent, at, start.get("average", ""))
        run.users.append((spec.name, cell))
        run.curve_points.setdefault(spec.name, set()).update(evaluation_points(spec, keys, run))
        self.of_cell[spec.name, _id(cell)] = run
        self._record(spec, cell, run)
        return run

    def _run(self, spec, keys, parent, at, average):
        if average:
            average = next((folder_name(one.keys) for one in spec.averages if one.name == average), None)
            if average is None:
                raise ValueError(f"{spec.name}: start.average names none of its averages")
        identity = {"keys": {key: value for key, value in keys.items() if not key.startswith(RECORDED)}, "text": spec.text,
                    "parent": [parent.key, at, average] if parent else None,
                    **({"ranks": spec.ranks} if spec.ranks > 1 else {})}   # sums are rounded in another order
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        if key not in self.runs:
            self.runs[key] = Run(key, {name: value for name, value in keys.items() if not name.startswith("evaluate.")}, spec.text, spec.ranks, parent, at, average, points={"plain": set()})
        if parent:
            parent.branch_steps.add(at)
        return self.runs[key]

    @staticmethod
    def _record(spec, cell, run):
        """Adds what the figure wants to see of the run."""
        needs = run.needs.setdefault(spec.name, {})
        needs.setdefault("plain", set()).update(run.points_of(spec))
        for average in spec.averages_of(cell):
            identity, points = model_name(average.keys), run.points_of_average(spec, average)
            run.averages[identity] = together(run.averages.get(identity), average)
            run.points[identity] = run.points.get(identity, set()) | points
            for model in [*average.models, "plain"]:
                needs.setdefault(model, set()).update(points)
        run.points["plain"] |= needs["plain"]


def evaluation_points(spec, keys, run):
    """The steps that evaluate.steps and evaluate.at of a figure name, and the run's last one."""
    every = part_of(keys.get("evaluate.steps", 0), spec.steps)
    if every and run.steps // every > MOST_EVALUATIONS:
        raise ValueError(f"{spec.name}: evaluate.steps = {every} are {run.steps // every} evaluations of a run, and {MOST_EVALUATIONS} are made at most")
    regular = range(every, run.steps + 1, every) if every else ()
    points = {*regular, *(spec.step(part) for part in keys.get("evaluate.at", ())), run.steps}
    return {step for step in points if run.first_step < step <= run.steps}


def together(one, other):
    """One average that serves two figures: the lambdas of both, saved if one of them wants it."""
    if one is None:
        return other
    keys = {**one.keys, **other.keys}
    if one.models != other.models:
        keys["blend"] = sorted({*one.models.values(), *other.models.values()})
    return Average(one.name, keys)


def _id(cell):
    return json.dumps(cell, sort_keys=True)


def _parents_first(family):
    """A run, then each of its branches with theirs."""
    def walk(run):
        yield run
        for other in family:
            if other.parent is run:
                yield from walk(other)
    return [run for root in family if root.parent is None for run in walk(root)]


def folder_name(keys):
    """The folder that `lawa train` saves a LAWA of these keys in."""
    return f"lawa_k{keys.get('window', 5):03d}_nu{keys.get('stride', 1):06d}"


def resolved(spec, cell):
    """(dotted training keys, start of a branch) of the run at these coordinates: files, the figure's keys, then each arm's."""
    keys, start = {}, {}
    def read(files):
        for name in files:
            keys.update(flat(read_toml(ROOT / "experiments" / name)))
    read(spec.files)
    keys.update(spec.train)
    for axis, name in cell.items():
        arm = spec.arm(axis, name)
        read(arm.files)
        keys.update(arm.keys)
        start = arm.start or start
    for key in ALWAYS:
        if key not in keys:
            raise ValueError(f"{spec.name}: neither its files nor its keys say {key}")
    keys["schedule.steps"] = part_of(keys["schedule.steps"], spec.steps)
    for key in OF_THE_RUN:
        if key in keys:
            keys[key] = part_of(keys[key], keys["schedule.steps"])
    final = keys.get("schedule.final_lr")
    if isinstance(final, str):   # a part of the peak
        keys["schedule.final_lr"] = float(f"{float(final.rstrip('%')) / 100 * keys['schedule.peak_lr']:.12g}")
    return keys, start
