"""A figure as data: experiments/<figure>/figure.toml over its base, at one scale.

Layers, the later over the earlier: the base, the base's [scale.<scale>], figure.toml, its own [scale.<scale>]. Tables are merged,
everything else is replaced. experiments/README.md says what may stand there.
"""
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import kinds
from averages import expand, part_of
from toml_files import flat, merged, read_toml

ROOT = Path(__file__).resolve().parent.parent
STATUSES = ("run", "not run")
SCALES = ("smoke", "workstation", "gpu", "paper")


@dataclass(frozen=True)
class Arm:
    """One place on an axis: what it is called, and the training keys that it sets."""

    name: object           # text, or the value itself where the axis is a training key
    label: str
    keys: dict             # dotted training keys
    files: tuple = ()      # .toml files under experiments/
    start: dict = field(default_factory=dict)  # run (axis -> arm), at or average: a branch of another run of this figure


@dataclass
class Spec:
    """What a figure trains, draws and claims, at one scale."""

    name: str
    scale: str
    status: str            # "run": paper_figures/<name> holds its data
    title: str
    subtitle: str
    paper: str             # the paper's item, "" where the figure goes beyond it
    note: str              # what a reader must know to trust it
    text: dict             # where the tokens come from
    ranks: int             # MPI ranks of a run
    side_by_side: int      # runs at a time; 0: as many as the cores hold
    files: tuple           # training configs under experiments/, in their order
    train: dict            # dotted training keys
    steps: int             # optimizer steps of an undisturbed run: what parts ("25%") are parts of
    axes: dict             # name -> tuple of Arm
    averages: tuple        # of Average: what is kept inside the runs
    claims: tuple          # of dicts, as they stand in the file
    columns: tuple         # training keys that become columns of data.csv
    confidence: float      # of intervals over seeds
    resolution: float      # nats/token: with one run, a smaller difference is called "not resolved"
    view_from: float       # part of training from which on axes are fitted to the curves

    def arm(self, axis, name):
        """The Arm of that name. Errors: there is none."""
        for arm in self.axes.get(axis, ()):
            if arm.name == name:
                return arm
        raise ValueError(f"{self.name}: {axis} = {name!r} is none of {[arm.name for arm in self.axes.get(axis, ())]}")

    def cells(self):
        """The coordinates {axis: arm's name} of every run, in the order of the file; the last axis changes fastest."""
        names = [[arm.name for arm in arms] for arms in self.axes.values()]
        return [dict(zip(self.axes, cell)) for cell in itertools.product(*names)]

    def step(self, part):
        """The step of a part of training: "25%", or a step as it is."""
        return part_of(part, self.steps)

    def averages_of(self, cell):
        """The averages that a run keeps."""
        return [average for average in self.averages if average.belongs_to(cell)]


def figures(root=ROOT):
    """The names of all figures: folders of experiments/ with a figure.toml."""
    return sorted(path.parent.name for path in Path(root).glob("experiments/*/figure.toml"))


def layers(path, scale):
    """The tables of a figure.toml at a scale, merged. Errors: no such scale, an unknown table, a value of another kind."""
    figure = read_toml(path)
    kinds.check(figure, kinds.FIGURE, f"{path}: ")
    base = read_toml(path.parent.parent / figure["base"]) if "base" in figure else {}
    known = {**base.get("scale", {}), **figure.get("scale", {})}
    if scale not in known:
        raise ValueError(f"{path}: has no scale {scale!r}; there are {', '.join(known) or 'none'}")
    values = {}
    for layer in (base, base.get("scale", {}).get(scale, {}), figure, figure.get("scale", {}).get(scale, {})):
        values = merged(values, {name: value for name, value in layer.items() if name != "scale"})
    unknown = set(values) - set(kinds.FIGURE)
    if unknown:
        raise ValueError(f"{path}: unknown: {', '.join(sorted(unknown))}; known are {', '.join(sorted(kinds.FIGURE))}")
    kinds.check(values, kinds.FIGURE, f"{path}: ")
    return values


def load(name, scale="workstation", root=ROOT):
    """The Spec of experiments/<name>/figure.toml. Errors name the file: a missing key, an arm or a status that isn't known."""
    path = Path(root) / "experiments" / name / "figure.toml"
    if not path.exists():
        raise ValueError(f"there is no experiments/{name}/figure.toml; the figures are: {', '.join(figures(root))}")
    values = layers(path, scale)
    try:
        train, files = _training(values["train"], "train: ")
        steps = train["schedule.steps"]
        kinds.check({"schedule.steps": steps}, {"schedule.steps": kinds.POSITIVE}, "train: ")
        for claim in values.get("claims", ()):
            kinds.check(claim, kinds.CLAIM, f"claim {claim.get('name', '?')}: ")
        spec = Spec(
            name=name, scale=scale, status=values["status"], title=values["title"], subtitle=values["subtitle"],
            paper=values.get("paper", ""), note=values.get("note", ""), text=values.get("text", {}), ranks=values.get("ranks", 1),
            side_by_side=values.get("side_by_side", 0),
            files=files, train=train, steps=steps, axes=_axes(values), averages=expand(values.get("averages", ()), steps),
            claims=tuple(values.get("claims", ())), columns=tuple(values.get("columns", ("schedule.peak_lr", "schedule.steps"))),
            confidence=values.get("confidence", 0.95), resolution=values.get("resolution", 0.002), view_from=values.get("view_from", 0.1))
    except KeyError as error:
        raise ValueError(f"{path}: has no {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if spec.status not in STATUSES:
        raise ValueError(f"{path}: status = {spec.status!r} is none of {', '.join(map(repr, STATUSES))}")
    for average in spec.averages:
        for axis, wanted in average.where.items():
            for arm in wanted:
                spec.arm(axis, arm)
    return spec


def _axes(values):
    """{axis: arms}: a list of a training key's values, a list of names out of [choices.<axis>], or a table of arms."""
    axes = {}
    kinds.check(values["axes"], {}, "axes.", otherwise=kinds.AXIS)
    kinds.check(values.get("choices", {}), {}, "choices.", otherwise=kinds.TABLES)
    for axis, content in values["axes"].items():
        choices = values.get("choices", {}).get(axis)
        if isinstance(content, dict):
            arms = [_arm(name, keys) for name, keys in content.items()]
        elif choices is None:
            for value in content:
                kinds.check({axis: value}, kinds.TRAIN, "axes: ")
            arms = [Arm(value, f"{axis} {value}", {axis: value}) for value in content]
        else:
            unknown = [name for name in content if name not in choices]
            if unknown:
                raise ValueError(f"axes.{axis}: {unknown[0]!r} is none of choices.{axis}: {', '.join(choices)}")
            arms = [_arm(name, choices[name]) for name in content]
        if len({arm.name for arm in arms}) < max(len(arms), 1):
            raise ValueError(f"axes.{axis}: has an arm twice, or none at all")
        axes[axis] = tuple(arms)
    return axes


def _arm(name, content):
    own, place = dict(content), f"{name}: "
    kinds.check(own, kinds.ARM, place)
    label, start = own.pop("label", name), own.pop("start", {})
    if "run" not in start:   # start.weights = "…" is a training key
        own, start = {**own, **({"start": start} if start else {})}, {}
    kinds.check(start, kinds.START, f"{place}start.")
    return Arm(name, label, *_training(own, place), start)


def _training(tables, place):
    """(dotted training keys, files) of such tables. Errors: a value of another kind; `place` precedes the key."""
    tables = dict(tables)
    files = tables.pop("files", [])
    kinds.check({"files": files}, kinds.ARM, place)
    keys = flat(tables)
    kinds.check(keys, kinds.TRAIN, place, otherwise=kinds.ANY_KEY)
    return keys, tuple(files)
