"""The end of a figure: its runs' records become data.csv, timing.csv, provenance.json, verdicts.json and pictures."""
import importlib
import shutil
import sys

import provenance
import record
import redraw
import store as stores
from collect import collect
from files import locked, write_whole
from spec import ROOT
from table import to_csv

FILES = ("data.csv", "timing.csv", "verdicts.json", "provenance.json", "figure.png", "figure.pdf")


def finish(spec, runs, store, text, args):
    """Collects and draws one figure, and prints its verdicts. runs: [(coordinates, Run)]. Returns 1 where runs are missing."""
    folder = store.figure_folder(spec.name)
    with locked(folder.with_name(f"{spec.name}.lock")):
        return _finish(spec, runs, store, text, args, folder)


def _finish(spec, runs, store, text, args, folder):
    try:
        table = collect(spec, [(cell, run, store.finished(run)) for cell, run in runs], args.partial)
    except ValueError as error:
        print(f"experiments: {error}", file=sys.stderr)
        for run in [run for _, run in runs if not store.finished(run)] if args.draw else ():
            print(f"  place {run.place}: {run.name()}: {store.failure(run) or 'not finished'}", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    records = [store.finished(run) for _, run in runs]
    csv_text = table.to_csv()
    write_whole(folder / "timing.csv", to_csv(table.timing))
    write_whole(folder / "provenance.json", provenance.to_json(table, csv_text, [one for one in records if one], text))
    write_whole(folder / "data.csv", csv_text)
    try:
        redraw.report(spec.name, folder)
    except ValueError as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 1
    if args.publish and not table.missing:
        for one in records:
            record.write(one, stores.PUBLISHED)
        target = ROOT / "paper_figures" / spec.name
        target.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(folder / name, target / name)
        importlib.import_module("gallery").write()
        print(f"published: {target.relative_to(ROOT)}")
    return int(bool(table.missing))
