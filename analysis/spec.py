"""A figure as data: experiments/<figure>/figure.toml, read and checked once.

`python3 analysis/spec.py FIGURE` prints the runs that the figure needs, one "arm seed" a line, for its run.sh.
"""
import sys
from dataclasses import dataclass
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python before 3.11
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
STATUSES = ("run", "not run")


@dataclass(frozen=True)
class Arm:
    """One kind of run in a figure; `<name>.toml` beside figure.toml configures it."""

    name: str
    label: str


@dataclass(frozen=True)
class Spec:
    """What a figure draws, and the rule by which its claims are judged."""

    name: str
    status: str          # "run": paper_figures/<name> holds its data
    title: str
    subtitle: str
    seeds: tuple         # of int; every arm is trained once with each
    arms: tuple          # of Arm; the first is the reference
    view_from: float     # part of training from which on the axes are fitted to the curves
    verdict_range: tuple  # (first, last) as fractions of training
    confidence: float    # of the interval over seeds
    resolution: float    # nats/token; the smallest difference that counts with one seed


def read_toml(path):
    """The tables of a TOML file. Errors name the file."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not valid TOML: {error}") from None


def load(name, root=ROOT):
    """The Spec of experiments/<name>/figure.toml. Errors: a missing key, an unknown status, a range outside 0..1."""
    path = Path(root) / "experiments" / name / "figure.toml"
    values = read_toml(path)
    try:
        verdict = values["verdict"]
        spec = Spec(
            name=name, status=values["status"], title=values["title"], subtitle=values["subtitle"],
            seeds=tuple(values["seeds"]),
            arms=tuple(Arm(arm["name"], arm["label"]) for arm in values["arms"]),
            view_from=values["view"]["from"],
            verdict_range=tuple(verdict["range"]), confidence=verdict["confidence"],
            resolution=verdict["resolution"])
    except KeyError as error:
        raise ValueError(f"{path}: has no {error}") from None
    if spec.status not in STATUSES:
        raise ValueError(f"{path}: status = {spec.status!r} is none of {', '.join(map(repr, STATUSES))}")
    if len(spec.verdict_range) != 2 or not 0 <= spec.verdict_range[0] < spec.verdict_range[1] <= 1:
        raise ValueError(f"{path}: verdict.range = {list(spec.verdict_range)} is not a part of [0, 1]")
    return spec


def figures(root=ROOT):
    """The names of all figures: folders of experiments/ with a figure.toml."""
    return sorted(path.parent.name for path in Path(root).glob("experiments/*/figure.toml"))


if __name__ == "__main__":
    wanted = load(sys.argv[1])
    for arm in wanted.arms:
        for seed in wanted.seeds:
            print(arm.name, seed)
