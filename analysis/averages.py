"""The averages that runs keep: [[averages]] of a figure.toml, each list multiplied out and each part of training made a step.

Beside the keys of `lawa train` there are
  name      what the figure calls them (several may share one: a grid); default: the scheme
  where     {axis: arm or arms}: only in these runs
  mean_age  ema: the mean age of what it holds, in steps: beta = age / (age + stride), so that an EMA can be matched to a window
"""
import itertools
from dataclasses import dataclass, field

import kinds

LISTS = {"blend", "exclude", "evaluate_at"}   # lists in themselves; all others multiply
PARTS = {"stride", "first", "last", "half_life_steps", "mean_age", "evaluate_steps"}


@dataclass(frozen=True)
class Average:
    """One average of a run's weights."""

    name: str          # the figure's word for it
    keys: dict         # of `lawa train`'s [[averages]], without those of evaluation
    where: dict = field(default_factory=dict)
    every: int = 0     # steps between its evaluations; 0 with an empty `at`: at those of the run
    at: tuple = ()     # steps of further evaluations

    def belongs_to(self, cell):
        """Whether the run at these coordinates keeps it."""
        return all(cell[axis] in arms for axis, arms in self.where.items() if axis in cell)

    def points(self, of_run, last):
        """The steps at which it is evaluated, up to the last one; of_run: those of the run."""
        if not self.every and not self.at:
            return set(of_run)
        regular = set(range(self.every, last + 1, self.every)) if self.every else set()
        return regular | {step for step in self.at if step <= last}

    def label(self, step):
        """The step of its line when it is evaluated at a step: that of its newest snapshot."""
        stride, newest = self.keys.get("stride", 1), self.keys.get("last", 0)
        return min(step, newest or step) // stride * stride

    @property
    def models(self):
        """{the name in metrics.jsonl: lambda}, one for each lambda of its blend."""
        return {model_name(self.keys, blend): blend for blend in self.keys.get("blend") or (1.0,)}

    @property
    def window(self):
        """Snapshots in it; 0 where it has no window."""
        return self.keys.get("window", 5) if self.keys["scheme"] == "lawa" else 0

    @property
    def mean_age(self):
        """Mean age of the snapshots in it, in steps; None where it grows with the run (swa, half_life)."""
        stride = self.keys.get("stride", 1)
        if self.keys["scheme"] == "lawa":
            return (self.window - 1) * stride / 2
        if self.keys["scheme"] != "ema" or "half_life" in self.keys:
            return None
        beta = kept(self.keys)
        return stride * beta / (1 - beta)


def part_of(value, whole):
    """"25%" of a whole number of steps, at least 1; other values as they are."""
    if not (isinstance(value, str) and value.endswith("%")):
        return value
    return max(1, round(float(value[:-1]) / 100 * whole))


def kept(keys):
    """What an EMA keeps of itself at a snapshot."""
    if "half_life_steps" in keys:
        return 2.0 ** (-keys.get("stride", 1) / keys["half_life_steps"])
    return keys.get("beta", 0.999)


def number(value):
    """A number as `lawa` writes it in names."""
    return f"{value:g}" if float(value).is_integer() else repr(float(value))


def model_name(keys, blend=1.0):
    """What metrics.jsonl calls an average: lawa(k=5,nu=200), ema(beta=0.999,nu=1,exclude=wte+wpe,blend=0.6)."""
    scheme, parts = keys["scheme"], []
    if scheme == "lawa":
        parts.append(f"k={keys.get('window', 5)}")
    if scheme == "ema":
        which = next((name for name in ("half_life_steps", "half_life") if name in keys), "beta")
        parts.append(f"{which}={number(keys.get(which, 0.999))}")
    parts.append(f"nu={keys.get('stride', 1)}")
    parts += [f"{name}={keys[name]}" for name in ("first", "last") if keys.get(name)]
    if scheme == "ema" and keys.get("warmup"):
        parts.append("warmup")
    if keys.get("exclude"):
        parts.append(f"exclude={'+'.join(keys['exclude'])}")
    if blend != 1:
        parts.append(f"blend={number(blend)}")
    return f"{scheme}({','.join(parts)})"


def expand(tables, steps):
    """The Averages of [[averages]], in their order; steps: of a whole run, of which "1%" is a part. Errors: an unknown key, a value of
    another kind."""
    found, seen = [], set()
    for table in tables:
        unknown = set(table) - set(kinds.AVERAGE)
        if unknown:
            raise ValueError(f"averages: unknown key {sorted(unknown)[0]}; known are {', '.join(sorted(kinds.AVERAGE))}")
        kinds.check(table, kinds.AVERAGE, "averages: ")
        content = {"scheme": "lawa", **table}
        where = {axis: tuple(arms) if isinstance(arms, list) else (arms,) for axis, arms in content.pop("where", {}).items()}
        name = content.pop("name", content["scheme"] if isinstance(content["scheme"], str) else "average")
        lists = {key: value for key, value in content.items() if isinstance(value, list) and key not in LISTS}
        for choice in itertools.product(*lists.values()):
            average = _one(name, {**content, **dict(zip(lists, choice))}, where, steps)
            identity = (name, tuple(average.models), str(sorted(where.items())))
            if identity not in seen:   # two parts of a short run may round to the same step
                seen.add(identity)
                found.append(average)
    return tuple(found)


def _one(name, keys, where, steps):
    for key in PARTS & set(keys):
        keys[key] = part_of(keys[key], steps)
    every, at = keys.pop("evaluate_steps", 0), tuple(part_of(point, steps) for point in keys.pop("evaluate_at", ()))
    if "mean_age" in keys:
        age = keys.pop("mean_age")
        keys["beta"] = age / (age + keys.get("stride", 1))
    return Average(name, keys, where, every, at)
