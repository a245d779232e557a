"""Draws any run's curves from its metrics.jsonl: python3 analysis/curves.py RUN... [--watch [SECONDS]]

Training loss, validation loss of the plain weights and of every average, and the learning rate, as curves.png, curves.pdf and, in
long form, curves.csv: run, step, kind (train, validation), model, loss (nats/token), trained_tokens.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import interpreter  # noqa: F401
import events
import metrics
import picture
import screen
import style


def names(folders):
    """As much of the ends of the folders' paths as tells them apart; mostly that is the folder's name."""
    length = 1
    while len({folder.parts[-length:] for folder in folders}) < len(folders):
        length += 1
    return ["/".join(folder.parts[-length:]) for folder in folders]


def write(runs, output):
    """curves.png, curves.pdf and curves.csv in the folder `output`, each whole or as it was before; returns the picture's path."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".curves.", dir=output) as folder:
        table = Path(folder, "curves.csv")
        table.write_text(metrics.to_csv(runs), encoding="utf-8")
        for path in (*map(Path, style.save(picture.of_runs(runs), table.with_suffix(""))), table):
            path.replace(output / path.name)
    return output / "curves.png"


class Reader:
    """Reads some runs, again and again, and names each unreadable line once."""

    def __init__(self, folders):
        self.folders, self.told = dict(zip(names(folders), folders)), set()

    def read(self):
        """Every metrics.Run as it is now. Errors: a folder without metrics.jsonl."""
        runs = [metrics.read(folder, name) for name, folder in self.folders.items()]
        lines = [f"{self.folders[run.name] / 'metrics.jsonl'}:{number}" for run in runs for number in run.unreadable]
        for line in lines:
            if line not in self.told:
                print(f"curves: {line}: skipped, as it can't be read", file=sys.stderr)
        self.told.update(lines)
        return runs

    def stamp(self):
        """Another value after a metrics.jsonl has changed."""
        stats = [metrics.file_of(folder).stat() for folder in self.folders.values()]
        return [(stat.st_size, stat.st_mtime_ns) for stat in stats]


def once(reader, output, log):
    """Draws all runs and says where they are. Errors: a run without evaluations."""
    runs = reader.read()
    for run in runs:
        if not run.validation:
            raise ValueError(f"{run.sentence()}; no evaluation yet, which --watch waits for")
    path = write(runs, output)
    log(runs)
    print("\n".join([*(run.sentence() for run in runs), str(path)]))


def watch(reader, output, log, seconds):
    """Draws the runs that have evaluations whenever something was added, until all runs have ended."""
    drawn, rows = None, 0
    while True:
        stamp = reader.stamp()  # before they are read: what comes meanwhile is seen next time
        if stamp != drawn:
            drawn, runs = stamp, reader.read()
            evaluated = [run for run in runs if run.validation]
            if evaluated:
                write(evaluated, output)
            log(runs)
            rows = show(runs, rows)
            if all(run.ended for run in runs):
                return
        time.sleep(seconds)


def show(runs, rows):
    """On a terminal curves as text, in place of the `rows` lines before them, else one line. Returns how many lines stand there now."""
    if not sys.stdout.isatty():
        print("; ".join(run.sentence() for run in runs), flush=True)
        return 0
    size = shutil.get_terminal_size()
    lines = screen.picture(runs, size.columns, max(4, min(18, size.lines - len(runs) - 4)))
    print((f"\x1b[{rows}F" if rows else "") + "\x1b[J" + "\n".join(lines), flush=True)
    return len(lines)


def interval(words):
    """--watch's number of seconds."""
    try:
        seconds = float(words)
        if 0 < seconds < float("inf"):
            return seconds
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{words!r} is no number of seconds above 0 (the runs stand before --watch)")


def main():
    parser = argparse.ArgumentParser(description="Draws any run's curves from its metrics.jsonl: curves.png, curves.pdf, curves.csv.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder; several are drawn into one picture")
    parser.add_argument("--output", type=Path, metavar="DIR",
                        help="where the files go (default: into the run's folder; with several runs into the current folder)")
    parser.add_argument("--watch", nargs="?", type=interval, const=10, metavar="SECONDS",
                        help="look every so often (default: 10 s) and draw again when something was added, until all runs have ended")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="write the curves as TensorBoard's event files too")
    args = parser.parse_args()
    folders = [Path(folder) for folder in dict.fromkeys(map(os.path.abspath, args.runs))]
    reader, output = Reader(folders), args.output or (folders[0] if len(folders) == 1 else Path())
    board = events.Events(args.tensorboard) if args.tensorboard else None
    log = board.add if board else lambda runs: None
    try:
        watch(reader, output, log, args.watch) if args.watch else once(reader, output, log)
    finally:
        if board:
            board.close()


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"curves: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
