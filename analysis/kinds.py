"""What kind of value each key of a figure.toml has. It is looked at before anything is made of it, so that a slip is named by its key."""
import math
import re

MOST = 2 ** 53   # of a count: programs that read one take it for a float


class Kind:
    """A kind of value: its words for people, and whether a value is one."""

    def __init__(self, words, is_one):
        self.words, self.is_one = words, is_one

    def __or__(self, other):
        return Kind(f"{self.words} or {other.words}", lambda value: self.is_one(value) or other.is_one(value))


def list_of(kind):
    return Kind(f"a list, of which each is {kind.words}", lambda value: isinstance(value, list) and all(map(kind.is_one, value)))


def table_of(kind):
    return Kind(f"a table, of which each is {kind.words}", lambda value: isinstance(value, dict) and all(map(kind.is_one, value.values())))


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and abs(value) <= 1e300


def _is_count(value, least=0):
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST


def _is_percent(value):
    return isinstance(value, str) and re.fullmatch(r"\d{1,9}(\.\d{1,9})?%", value) is not None


TEXT = Kind("a text", lambda value: isinstance(value, str))
NUMBER = Kind("a number", _is_number)
BOOLEAN = Kind("a boolean", lambda value: isinstance(value, bool))
COUNT = Kind("a whole number", _is_count)
POSITIVE = Kind("a whole number above 0", lambda value: _is_count(value, 1))
PERCENT = Kind("a percentage", _is_percent)   # "25%"
PART = COUNT | PERCENT
STRIDE = POSITIVE | PERCENT
SCALAR = Kind("a text, number or boolean", lambda value: any(kind.is_one(value) for kind in (TEXT, NUMBER, BOOLEAN)))
TABLE = Kind("a table", lambda value: isinstance(value, dict))
TABLES = table_of(TABLE)
ARMS = SCALAR | list_of(SCALAR)
SIDE = TEXT | TABLE

FIGURE = {"base": TEXT, "title": TEXT, "subtitle": TEXT, "paper": TEXT, "status": TEXT, "note": TEXT, "resolution": NUMBER, "confidence": NUMBER,
          "view_from": NUMBER, "columns": list_of(TEXT), "text": TABLE, "ranks": POSITIVE, "side_by_side": COUNT, "train": TABLE,
          "choices": TABLES, "axes": TABLE, "averages": list_of(TABLE), "claims": list_of(TABLE),
          "scale": TABLES}
AXIS = list_of(SCALAR) | TABLES
ARM = {"label": TEXT, "files": list_of(TEXT), "start": TABLE}
START = {"run": table_of(SCALAR), "at": PART | Kind('"end"', lambda value: value == "end"), "average": TEXT}
AVERAGE = {"name": TEXT, "where": table_of(ARMS), "scheme": TEXT | list_of(TEXT), "window": POSITIVE | list_of(POSITIVE),
           "stride": STRIDE | list_of(STRIDE), "first": PART | list_of(PART), "last": PART | list_of(PART), "mean_age": STRIDE | list_of(STRIDE),
           "half_life_steps": NUMBER | PERCENT | list_of(NUMBER | PERCENT), "half_life": NUMBER | list_of(NUMBER), "beta": NUMBER | list_of(NUMBER),
           "warmup": BOOLEAN | list_of(BOOLEAN), "save": BOOLEAN | list_of(BOOLEAN), "blend": list_of(NUMBER), "exclude": list_of(TEXT),
           "evaluate_steps": PART | list_of(PART), "evaluate_at": list_of(PART)}
CLAIM = {"name": TEXT, "text": TEXT, "family": TEXT, "direction": Kind('"below" or "above"', lambda value: value in ("below", "above")),
         "paper": COUNT | TEXT, "where": table_of(ARMS), "this": SIDE, "that": SIDE, "than": TABLE, "at": PART | list_of(PART),
         "over": list_of(PART)}
TRAIN = {"schedule.steps": STRIDE, "schedule.warmup_steps": PART, "schedule.decay_steps": PART, "schedule.peak_lr": NUMBER,
         "schedule.final_lr": NUMBER | PERCENT, "evaluate.steps": PART, "evaluate.at": list_of(PART), "batch.global_sequences": POSITIVE,
         "model.context": POSITIVE}
ANY_KEY = SCALAR | list_of(SCALAR)   # of training


def check(values, kinds, place="", otherwise=None):
    """Errors: a value isn't of the kind that its key has; keys without one are of the kind `otherwise`, or any. `place` precedes the key:
    "averages: "."""
    for key, value in values.items():
        kind = kinds.get(key, otherwise)
        if kind is not None and not kind.is_one(value):
            raise ValueError(f"{place}{key} = {_short(value)} must be {kind.words}")


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
