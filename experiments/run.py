#!/usr/bin/env python3
"""Makes figures of the paper: trains what isn't trained yet, collects, judges, draws.

  python3 experiments/run.py fig3_stride                     at workstation scale: two cores, hours
  python3 experiments/run.py --all --dry-run                 the table of runs, what it takes, and why each one will run
  python3 experiments/run.py fig3_stride --scale smoke       seconds; shows that everything works
  python3 experiments/run.py fig1_validation_loss --scale paper --only 2/15     one task of a job array

Run again, it goes on: finished runs are never made again because code has changed (--again KEY does it).
Variables: LAWA_OUT (folder to write to, default runs/), LAWA_TEXT (text, or a folder with train.bin and val.bin),
LAWA_LAUNCH (default "mpirun -np {ranks} --bind-to none"), LAWA_WATTS (power, where the machine doesn't tell), LAWA_PRESET.
Exit code: 0; 1 where a run is missing, or has failed or diverged in this call; 4 after SIGUSR1, which its runs are asked to stop with.
"""
import argparse
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "analysis"))

import interpreter  # noqa: E402, F401
import figure  # noqa: E402  (and with it numpy, pandas, scipy, matplotlib)
import launch  # noqa: E402
import price  # noqa: E402
import record  # noqa: E402
import spec as specs  # noqa: E402
import store as stores  # noqa: E402
import text as texts  # noqa: E402
from progress import Progress  # noqa: E402
from rehearse import rehearse  # noqa: E402
from runs import Table  # noqa: E402


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"of: {', '.join(specs.figures())}")
    parser.add_argument("--all", action="store_true", help="every figure that has the scale")
    parser.add_argument("--scale", choices=specs.SCALES, default="workstation")
    parser.add_argument("--only", metavar="I/N", help="the I-th of N parts of the table; what is drawn then is left to a later call")
    parser.add_argument("--dry-run", action="store_true", help="show the table, train nothing (but a few steps where a rate isn't known)")
    parser.add_argument("--array", action="store_true", help="make the token files, print the places and the ranks of a run; for a job array")
    parser.add_argument("--draw", action="store_true", help="start nothing; collect and draw what is there")
    parser.add_argument("--partial", action="store_true", help="draw figures with runs missing, and mark them")
    parser.add_argument("--publish", action="store_true", help="copy results to paper_figures/, and each run's record as it ends")
    parser.add_argument("--again", metavar="KEY", action="append", default=[], help="make this run again; 'all': every one")
    parser.add_argument("--fresh", action="store_true", help="the records in paper_figures/runs don't count")
    parser.add_argument("--jobs", type=int, metavar="N", help="runs side by side (default: cores / ranks of a run)")
    parser.add_argument("--keep", action="store_true", help="keep checkpoints of runs that are done")
    args = parser.parse_intermixed_args(words)
    args.only = only(args.only, parser)
    if args.all == bool(args.figures):
        parser.error("name figures, or --all")
    if args.all:
        args.figures = [name for name in specs.figures() if has_scale(name, args.scale)]
    return args


def only(text, parser):
    """(I, N) of "I/N"."""
    if text is None:
        return None
    try:
        part, parts = map(int, text.split("/"))
    except ValueError:
        parser.error(f"--only {text}: expected I/N, as 2/15")
    if not 1 <= part <= parts:
        parser.error(f"--only {text}: {part} is not between 1 and {parts}")
    return part, parts


def has_scale(name, scale):
    try:
        specs.load(name, scale)
        return True
    except ValueError as error:
        if "has no scale" in str(error):
            return False
        raise


def selected(table, part):
    """The table's rows, or those of one part: places I, I + N, …; a branch goes with its parent."""
    return [run for run in table.rows if part is None or (run.place - 1) % part[1] == part[0] - 1]


def print_table(table, store, rates, jobs):
    """The table for people, and what is still to be done."""
    print(f"{'#':>3}  {'key':<12}  {'run':<46}  {'tokens':>8}  {'PFLOP':>8}  {'hours':>7}  state")
    left, hours, disk, unknown = 0, 0.0, 0, False
    for run in table.rows:
        state, why = store.state(run, table)
        operations = price.flops(run)
        rate = rates.of(run)
        takes = operations / rate / 3600 if rate else None
        figures = len({name for name, _ in run.users})
        name = run.name() + (f" (+{figures - 1})" if figures > 1 else "")
        print(f"{run.place:>3}  {run.key}  {name:<46}  {run.tokens / 1e6:7.1f}M  {operations / 1e15:8.3g}  "
              f"{'?' if takes is None else f'{takes:.2f}':>7}  {state}: {why}")
        if state in ("pending", "failed"):
            left, hours, unknown = left + 1, hours + (takes or 0), unknown or takes is None
            disk = max(disk, price.peak_disk_bytes(run))
    evaluated = sum(price.evaluations(run) for run in table.rows)
    print(f"{len(table.rows)} runs in {table.places} places, {evaluated} evaluations; {left} to run: "
          f"{'unknown hours (the program is not built)' if unknown else f'about {hours / jobs:.2f} hours'} on this machine, "
          f"{jobs} side by side, at most {disk * jobs / 1e9:.1f} GB of disk at a time")


def train(args, table, store, base, jobs):
    """Trains what isn't done; returns 1 where something has failed."""
    rows = selected(table, args.only)
    store.forget([run for run in rows if run.key in store.again])
    store.again.clear()
    todo = [run for run in rows if store.state(run, table)[0] not in ("complete", "diverged")]
    if not todo:
        return 0
    if not launch.PROGRAM.exists():
        raise ValueError(f"{launch.PROGRAM.relative_to(specs.ROOT)} isn't built: bash framework/setup/build.sh")
    files = {str(run.text): texts.prepare(run.text, base) for run in todo}
    publish = (lambda run: record.write(store.record(run), stores.PUBLISHED)) if args.publish else (lambda run: None)
    launcher = launch.Launcher(table, store, lambda run: files[str(run.text)], jobs, args.keep, publish)
    with Progress(launcher, todo, {run.key: price.flops(run) for run in todo}):
        bad = launcher.train(todo)
    for run in bad:
        print(f"{store.failures[run.key]}: {run.key}, {run.name()} (its log: {store.run_folder(run)}/log.txt)", file=sys.stderr)
    return int(bool(bad))


def stop(*_):
    """Once: what is asked to stop writes its state in peace."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    raise launch.Stopped


def main(words=None):
    signal.signal(signal.SIGUSR1, stop)
    args = arguments(words)
    base = Path(os.environ.get("LAWA_OUT") or specs.ROOT / "runs").resolve()
    wanted = [specs.load(name, args.scale) for name in args.figures]
    others = [specs.load(name, args.scale) for name in specs.figures() if name not in args.figures and has_scale(name, args.scale)]
    for one in wanted + others:
        one.text = texts.chosen(one.text)
    table = Table(wanted, others)
    for one in wanted:
        rehearse(one, table.of_figure(one))
    again = [run.key for run in table.rows] if "all" in args.again else args.again
    for key in set(again) - {run.key for run in table.rows}:
        raise ValueError(f"--again {key}: no run of the table has this key")
    store = stores.Store(base, args.scale, args.figures, args.fresh, again)
    ranks = max(run.ranks for run in table.rows)
    jobs = args.jobs or wanted[0].side_by_side or max(1, len(os.sched_getaffinity(0)) // ranks)
    if args.array:
        for text in {str(run.text): run.text for run in table.rows}.values():
            texts.prepare(text, base)
        print(table.places, ranks)
        return 0
    if args.dry_run:
        print_table(table, store, price.Rates(store), jobs)
        return 0
    failed = 0 if args.draw else train(args, table, store, base, jobs)
    if args.only and args.only[1] > 1:
        return failed
    for one in wanted:
        failed |= figure.finish(one, table.of_figure(one), store, texts.described(one.text, base), args)
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, OSError) as error:
        sys.exit(f"experiments: {error}")
    except KeyError as error:
        sys.exit(f"experiments: a figure.toml lacks the key {error}")
    except launch.Stopped:
        print("experiments: asked to stop; run it again to go on", file=sys.stderr)
        sys.exit(launch.STOPPED)
    except KeyboardInterrupt:
        sys.exit("\nexperiments: stopped; run it again to go on")
