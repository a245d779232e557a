"""From a folder with data.csv to verdicts.json, figure.png and figure.pdf."""
import importlib
import sys

import provenance
import spec as specs
import style
import table as tables
import verdicts
from files import read_json, write_whole


def read(name, folder):
    """The judged Table of a figure in a folder, at the scale that its provenance.json names."""
    facts = read_json(folder / "provenance.json")
    table = tables.read(folder, specs.load(name, facts.get("scale", "workstation")))
    table.missing, table.diverged = facts.get("missing", []), facts.get("diverged", [])
    table.verdicts = verdicts.judge(table)
    claims = provenance.digest_of_claims(table.spec)
    if facts.get("claims_sha256", claims) != claims:
        print(f"{name}: its claims in figure.toml have changed since these data were collected", file=sys.stderr)
    return table


def redraw(name, folder):
    """Judges and draws a figure in its folder; returns (the picture's path, the Table)."""
    table = read(name, folder)
    write_whole(folder / "verdicts.json", verdicts.to_json(table.verdicts))
    figure = importlib.import_module(name).draw(table)
    style.mark(figure, table)
    return style.save(figure, folder / "figure")[0], table


def report(name, folder):
    """The same, and the verdicts on the screen."""
    picture, table = redraw(name, folder)
    print(f"{name}: {picture}")
    for verdict in table.verdicts:
        print(f"  {verdict.sentence()}")
