"""tests/README.md: every report is there once, and the test that each row names exists."""
import functools
import re

from spec import ROOT

TESTS = ROOT / "tests"
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in (TESTS / "README.md").read_text(encoding="utf-8").splitlines()
        if re.match(r"\| [^|]* \| [\w.-]+/[\w.-]+#\d", line)]


@functools.cache
def text_of(file):
    return (TESTS / file).read_text(encoding="utf-8") if (TESTS / file).is_file() else ""


def is_there(cell):
    """Whether the test, a function in Python and Suite.Name in C++, stands in its file, with the case in quotes, if one is named."""
    file, test, case = re.fullmatch(r'`([\w/.]+)::([\w.]+)`(?: ("[^"]+"))?', cell).groups()
    definition = rf"TEST(_[FP])?\({test.replace('.', ', ')}\)" if "." in test else rf"def {test}\("
    return re.search(f"^{definition}", text_of(file), re.M) is not None and (case or "") in text_of(file)


def test_every_row_names_a_test_that_exists():
    assert len(ROWS) > 50 and {len(row) for row in ROWS} == {4}
    assert [row for row in ROWS if not is_there(row[3])] == []


def test_every_report_is_there_once():
    reports = [row[1] for row in ROWS]
    assert [report for report in reports if not re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", report) or reports.count(report) > 1] == []


def test_the_numbers_above_the_table_are_its_own():
    said = re.search(r"(\d+) reports of (\d+) kinds", (TESTS / "README.md").read_text(encoding="utf-8"))
    assert said and (int(said[1]), int(said[2])) == (len(ROWS), len({row[0] for row in ROWS}))
