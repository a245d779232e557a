"""Draws figures from their data.csv alone: python3 analysis/run.py FIGURE... [--from DIR] | --all

Writes figure.png, figure.pdf and verdicts.json beside the data, and prints the verdicts.
"""
import argparse
import importlib
import sys
from pathlib import Path

import spec as specs
import style
import table as tables
import verdicts


def redraw(name, folder):
    """Draws one figure from folder/data.csv into the folder; returns the picture's path and the verdicts."""
    spec, table = specs.load(name), tables.read(folder / "data.csv")
    judged = verdicts.judge_all(table, spec)
    tables.write_whole(folder / "verdicts.json", verdicts.to_json(judged))
    drawing = importlib.import_module(name)
    return style.save(drawing.draw(table, spec), folder / "figure")[0], judged


def main():
    parser = argparse.ArgumentParser(description="Draws figures from their data.csv.")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"one of: {', '.join(specs.figures())}")
    parser.add_argument("--from", dest="folder", type=Path, help="where data.csv is (default: paper_figures/FIGURE)")
    parser.add_argument("--all", action="store_true", help="every figure that has been run")
    args = parser.parse_args()
    names = [name for name in specs.figures() if specs.load(name).status == "run"] if args.all else args.figures
    if not names and not args.all:
        parser.error("name a figure, or --all")
    if args.folder and len(names) > 1:
        parser.error("--from goes with one figure")
    for name in names:
        if name not in specs.figures():
            parser.error(f"there is no experiments/{name}/figure.toml; the figures are: {', '.join(specs.figures())}")
        picture, judged = redraw(name, args.folder or specs.ROOT / "paper_figures" / name)
        print(f"{name}: {picture}")
        for verdict in judged:
            print(f"  {verdict.sentence()}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"analysis: {error}")
