#!/usr/bin/env python3
"""Faults on the program that is built: kinds of faults, ways to write, trials. Nothing is lost, nothing is silent, nothing hangs.

    python3 tests/fault/campaign.py                                    the short form: minutes
    python3 tests/fault/campaign.py --full [--kinds WORD ...] [--trials N] [--seed S] [--jobs N]

Prints its seed, and a JSON line for each kind and way to write: how many trials survived (went on as if nothing had been), were detected
(an error that names it, or a checkpoint that is passed over; later the run goes on), lost a committed file, went on with other numbers
silently, or hung. The full form writes these lines to tests/fault/faults.jsonl (--table); stopped, it goes on where it was, from its log
build/fault/trials.jsonl.
Each trial ends in the losses, weights and averages of a run that nobody disturbed. Moments are drawn from the seed, but machines differ in
speed. Exit code: 1 where something was lost, silent or hung.
"""
import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from place import ROOT, Hang, Lost, Place, Silent, Skipped, current_folder

import corruptions
import disks
import driver_kills
import errors
import kills
import lost_ranks
import ranks

KINDS = kills.kinds() | driver_kills.kinds() | errors.kinds() | disks.kinds() | corruptions.kinds() | ranks.kinds() | lost_ranks.kinds()
BUILD = ROOT / "build" / "fault"
TABLE = Path(__file__).with_name("faults.jsonl")
BAD = ("lost", "silent", "hangs", "broken")
FULL = {"kill -9": 4, "making a figure": 1, "4 KiB": 180, "killed on N": 12, "cut off": 5}   # jobs for each way to write; 8 of the others
SHORT = {"making a figure": 0, "of the driver, making": 1, "4 KiB": 3, "MPI-IO": 1, "kill -9": 1, "cut off": 1}   # in all; 2 of the others


def times(kind, table, otherwise):
    return max((len(word), count) for word, count in (table | {"": otherwise}).items() if word in kind)[1]


@dataclass(frozen=True)
class Job:
    """Some trials of a kind, in a folder of their own."""
    kind: str
    writes: str
    number: int   # among all of the kind
    seed: int

    def key(self):
        return [self.kind, self.writes, self.number, self.seed]


def plan(kinds, seed, full, trials):
    jobs = []
    for kind in kinds:
        writes = KINDS[kind][1]
        count = trials or (times(kind, FULL, 8) if full else times(kind, SHORT, 2))
        for number in range(count * len(writes) if full or trials else count):
            jobs.append(Job(kind, writes[(number + (0 if full else seed)) % len(writes)], number, seed))
    random.Random(seed).shuffle(jobs)   # the slow ones don't come together
    return jobs


def outcomes(place, job):
    """Counts by outcome, and what there is to say of a bad one."""
    for again in range(20):   # a moment may come when all is done
        try:
            found = KINDS[job.kind][0](place, random.Random(f"{job.key()} {again}"), job.writes, job.number)
        except Lost as error:
            return Counter(lost=1), str(error)
        except Silent as error:
            return Counter(silent=1), str(error)
        except (Hang, subprocess.TimeoutExpired) as error:
            return Counter(hangs=1), str(error)
        except Skipped as reason:
            return Counter(), str(reason)
        except Exception:   # of the campaign itself
            return Counter(broken=1), traceback.format_exc()
        if found:
            return found, ""
        for path in Path().iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Counter(broken=1), "twenty moments came too late"


def work(place, job):
    """A line of the log."""
    folder = Path(tempfile.mkdtemp(dir=place.folder, prefix="trial_"))
    begin = time.monotonic()
    with current_folder(folder):
        found, note = outcomes(place, job)
    if any(found[bad] for bad in BAD):
        kept = BUILD / "kept" / f"{job.kind}, {job.writes}, {job.number}, {job.seed}".replace(" ", "_")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept, symlinks=True)
    shutil.rmtree(folder)
    return {"job": job.key(), "git": place.git(), "found": found, "note": note, "seconds": round(time.monotonic() - begin, 2)}


def made(place, jobs, width, log):
    """Makes them side by side, and appends a line each to the log; returns the lines."""
    lines = []
    with ProcessPoolExecutor(width) as pool, open(log, "a") as out:
        for done in as_completed([pool.submit(work, place, job) for job in jobs]):
            lines.append(done.result())
            out.write(json.dumps(lines[-1]) + "\n")
            out.flush()
            kind, writes, number, _ = lines[-1]["job"]
            print(f"{len(lines)}/{len(jobs)}  {kind}, {writes}, {number}: {dict(lines[-1]['found']) or 'skipped'} "
                  f"in {lines[-1]['seconds']} s  {lines[-1]['note']}", file=sys.stderr)
    return lines


def rows(lines):
    """A row for each kind and way to write. `bound`: with 95 % confidence fewer are lost or silent, where none was (the rule of three)."""
    found = {}
    for line in lines:
        kind, writes, _, seed = line["job"]
        row = found.setdefault((kind, writes), {"kind": kind, "writes": writes, "counts": Counter(), "git": line["git"], "seed": seed})
        row["counts"].update(line["found"])
    order = list(KINDS)
    for row in sorted(found.values(), key=lambda row: (order.index(row["kind"]), KINDS[row["kind"]][1].index(row["writes"]))):
        counts = row.pop("counts")
        trials = sum(counts.values())
        if trials > 0:
            columns = {name: counts[name] for name in ("survived", "detected", "lost", "silent", "hangs")}
            none = trials == counts["survived"] + counts["detected"]
            yield {"kind": row["kind"], "writes": row["writes"], "trials": trials, **columns, "bound": round(3 / trials, 4) if none else None,
                   "git": row["git"], "seed": row["seed"]}


def log_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="1,000 kills and more, every 4 KiB of a checkpoint, …: an hour or so")
    parser.add_argument("--kinds", nargs="+", metavar="WORD", default=[""], help=f"those with one of these in their names: {'; '.join(KINDS)}")
    parser.add_argument("--trials", type=int, help="jobs of each kind and way to write; kills come ten to a job in the full form, two in the short")
    parser.add_argument("--seed", type=int, help="of the moments and places")
    parser.add_argument("--jobs", type=int, default=2, help="side by side")
    parser.add_argument("--table", type=Path, default=TABLE, help="where the full form writes its lines")
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / ("trials.jsonl" if options.full else "short.jsonl")
    if not options.full:
        log.unlink(missing_ok=True)
    before = log_of(log)
    seed = options.seed if options.seed is not None else before[-1]["job"][3] if before else random.randrange(10**6)
    print(f"seed {seed}", file=sys.stderr)
    kinds = [kind for kind in KINDS if any(word in kind for word in options.kinds)]
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="place_") as folder:
        place = Place(folder, in_a_chain=10 if options.full else 2).make()
        before = [line for line in before if line["git"] == place.git() and line["job"][3] == seed]
        done = [line["job"] for line in before]
        jobs = [job for job in plan(kinds, seed, options.full, options.trials) if job.key() not in done]
        lines = [*before, *made(place, jobs, options.jobs, log)]
    table = list(rows(lines))
    for row in table:
        print(json.dumps(row))
    if options.full:
        options.table.write_text("".join(json.dumps(row) + "\n" for row in table))
        if {tuple(line["job"]) for line in lines} >= {tuple(job.key()) for job in plan(KINDS, seed, True, None)}:
            log.rename(log.with_name("last.jsonl"))   # the next call begins anew
    bad = [line for line in lines if any(line["found"].get(one) for one in BAD)]
    for line in bad:
        print(f"\n{line['job']}: {line['found']}: {line['note']}", file=sys.stderr)
    sys.exit(1 if bad or not table else 0)


if __name__ == "__main__":
    main()
