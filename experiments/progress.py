"""How far the runs of a table are."""
import sys
import threading
import time


def trained_step(folder):
    """The last step that a run has reported, read from the end of its metrics.jsonl; 0 where there is none."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return 0
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 6000))
        tail = file.read()
    at = tail.rfind(b'{"kind":"train","step":')
    digits = tail[at + 23:at + 40].split(b",")[0] if at >= 0 else b"0"
    return int(digits) if digits.isdigit() else 0


class Progress:
    """One line over all runs: moving on a terminal, every minute elsewhere."""

    def __init__(self, launcher, runs, flops):
        """flops: {key: floating-point operations of the whole run}."""
        self.launcher, self.runs, self.flops = launcher, runs, flops
        self.begin, self.moving = time.monotonic(), sys.stderr.isatty()
        self.initial = {run.key: self._part(run) for run in runs}
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.over = threading.Event()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        print(("\r\x1b[K" if self.moving else "") + self.line(), file=sys.stderr, flush=True)

    def _part(self, run):
        if run in self.launcher.done:
            return 1.0
        if run.key not in self.launcher.active and run not in self.launcher.waiting:
            return 0.0
        begun = max(trained_step(self.launcher.store.run_folder(run)) - run.first_step, 0)
        return min(begun / max(run.steps - run.first_step, 1), 1.0)

    def line(self):
        """"runs 3 of 25 done; main high 2 2310/5000, …; 1:10:00 to go"."""
        parts = {run.key: self._part(run) for run in self.runs}
        total = sum(self.flops[run.key] for run in self.runs)
        done = sum(self.flops[key] * part for key, part in parts.items())
        gained = done - sum(self.flops[key] * part for key, part in self.initial.items())
        elapsed = time.monotonic() - self.begin
        words = [f"runs: {len(self.launcher.done)} of {len(self.runs)} done"]
        for run in self.runs:
            if run.key in self.launcher.active:
                words.append(f"{run.name()} {trained_step(self.launcher.store.run_folder(run))}/{run.steps}")
        if gained > 0 and done < total:
            words.append(f"{clock(elapsed * (total - done) / gained)} to go")
        return "; ".join(words)

    def _watch(self):
        while not self.over.wait(1 if self.moving else 60):
            print(("\r\x1b[K" if self.moving else "") + self.line()[:200], end="" if self.moving else "\n", file=sys.stderr, flush=True)


def clock(seconds):
    """h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
