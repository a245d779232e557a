"""Draws figures from their data.csv alone: python3 analysis/run.py FIGURE... [--from DIR] | --all

Writes figure.png, figure.pdf and verdicts.json beside the data, prints the verdicts, and brings paper_figures/README.md, the gallery,
up to date.
"""
import argparse
import sys
from pathlib import Path

import interpreter  # noqa: F401
import gallery
import redraw
import spec as specs


def main():
    parser = argparse.ArgumentParser(description="Draws figures from their data.csv.")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"one of: {', '.join(specs.figures())}")
    parser.add_argument("--from", dest="folder", type=Path, help="where data.csv is (default: paper_figures/FIGURE)")
    parser.add_argument("--all", action="store_true", help="every figure that is in paper_figures")
    args = parser.parse_args()
    published = specs.ROOT / "paper_figures"
    names = [name for name in specs.figures() if (published / name / "data.csv").exists()] if args.all else args.figures
    if not names and not args.all:
        parser.error("name a figure, or --all")
    if args.folder and len(names) > 1:
        parser.error("--from goes with one figure")
    for name in names:
        if name not in specs.figures():
            parser.error(f"there is no experiments/{name}/figure.toml; the figures are: {', '.join(specs.figures())}")
        redraw.report(name, args.folder or published / name)
    if not args.folder:
        gallery.write()


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"analysis: {error}")
