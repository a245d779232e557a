"""Figures that are mistyped, mangled or meant to do harm: an answer or a ValueError that says what is wrong, never a traceback."""
import random
import re

import pytest
from a_figure import FIGURE
from rehearse import rehearse
from runs import Table

VALUES = ["0", "-1", "1e400", "nan", "-inf", "9223372036854775807", "true", '""', '"x"', '"25%"', '"%"', '"-5%"', '"nan%"', '"1e999%"', "[]", "[[]]", "[1]", '["a"]',
          "[{}]", "{}", "{ a = 1 }", "{ run = 1 }", "1979-05-27", "07:32:00", "0.5", '"../../x"']


def a_value(text, random):
    """One value becomes another one, mostly of another kind."""
    places = [match for match in re.finditer(r"= *([^\n={},\[\]]+|\[[^\]]*\]|\{[^}]*\})", text)]
    place = random.choice(places)
    return text[:place.start(1)] + random.choice(VALUES) + text[place.end(1):]


def a_line(text, random):
    """One line goes, or stands twice, or elsewhere."""
    lines = text.splitlines(keepends=True)
    line = lines.pop(random.randrange(len(lines)))
    for _ in range(random.randrange(3)):
        lines.insert(random.randrange(len(lines) + 1), line)
    return "".join(lines)


def a_character(text, random):
    at = random.randrange(len(text))
    return text[:at] + random.choice(["", "\0", "\n", '"', "[", "{", "=", ".", "é", "\ud800", chr(random.randrange(1, 128))]) + text[at + 1:]


def table_of(project, text):
    """The figure's runs, as the driver makes them before it trains anything."""
    path = project.root / "experiments" / "made_up" / "figure.toml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    spec = project.load()
    table = Table([spec])
    rehearse(spec, table.of_figure(spec))
    return table


@pytest.mark.parametrize("seed", range(8))
def test_a_mangled_figure_is_an_answer_or_an_error_with_words(project, seed):
    dice = random.Random(seed)
    answers = 0
    for _ in range(50):
        text = FIGURE
        for change in dice.choices([a_value, a_line, a_character], weights=[6, 3, 1], k=dice.randint(1, 2)):
            text = change(text, dice)
        try:
            answers += len(table_of(project, text).rows) > 0
        except (ValueError, OSError) as error:   # which every program that reads figures turns into one line
            assert str(error).strip() and len(str(error)) < 2000, text
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}\n{text}")
    assert answers > 0, "some changes do no harm"


@pytest.mark.parametrize("text, message", [
    ("title = " + "[" * 20_000, "lie in each other too deep"),
    ("title = '\udcff'", "not valid TOML"),
    (FIGURE.replace("steps = 40", "steps = 9007199254740992").replace('evaluate.steps = "25%"', "evaluate.steps = 1"), "are made at most"),
    (FIGURE.replace("seed = [1, 2]", "seed = [1, 1]"), "has an arm twice"),
    (FIGURE.replace("seed = [1, 2]", "seed = []"), "none at all"),
    (FIGURE.replace("window = 3", "window = true"), "window = True must be a whole number above 0"),
    (FIGURE.replace('stride = "5%"', 'stride = "5 %"'), "stride = '5 %' must be a whole number above 0 or a percentage"),
    (FIGURE.replace("usual = {", "usual = 3\nother = {"), "axes.rate = "),
    (FIGURE.replace("schedule.peak_lr = 4e-2", 'schedule.peak_lr = "4e-2"'), "high: schedule.peak_lr = '4e-2' must be a number"),
    (FIGURE.replace('files = ["models/tiny.toml"]', "files = []"), "say model.context"),
])
def test_a_value_of_another_kind_is_named_with_its_key(project, text, message):
    path = project.root / "experiments" / "made_up" / "figure.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError) as error:
        spec = project.load()
        Table([spec])
    assert message in str(error.value)
