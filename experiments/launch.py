"""Trains the runs of a table that aren't done, several side by side, and notes how each one ended."""
import ctypes
import os
import shlex
import signal
import subprocess
import threading
import time

from power import Power
from spec import ROOT
from store import held

PROGRAM = ROOT / "build" / os.environ.get("LAWA_PRESET", "cpu") / "bin" / "lawa"
LAUNCHER = "mpirun -np {ranks} --bind-to none"   # LAWA_LAUNCH replaces it: srun -n {ranks}, for example
DIVERGED, STOPPED = 3, 4   # exit codes of the program; 4: asked to stop, the state is safe
SAVING = 60   # seconds that runs have for that after a Ctrl-C


class Stopped(Exception):
    """Somebody has asked this driver (SIGUSR1) or a run to stop; started again, it goes on."""


def environment():
    """Of the programs that are started, as framework/setup/environment.sh has it: a rank a core; Open MPI on one machine, with seconds to
    save where mpirun itself is told to end, and asked twice before it runs as root."""
    values = {"OMP_NUM_THREADS": "1", "OMPI_MCA_pml": "ob1", "OMPI_MCA_odls_base_sigkill_timeout": "5", **os.environ}
    if os.geteuid() == 0:
        values |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return values


def command(ranks, *words):
    """The words that start `lawa` on so many ranks."""
    launcher = os.environ.get("LAWA_LAUNCH") or LAUNCHER
    try:
        return [*shlex.split(launcher.format(ranks=ranks)), str(PROGRAM), *map(str, words)]
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(f"LAWA_LAUNCH={launcher!r}: expected words with {{ranks}} in them ({error})") from None


def _stop_with_parent():
    """In the child: it is asked to stop when this process ends, however that is."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGUSR1)   # PR_SET_PDEATHSIG


class Launcher:
    """Runs of one table under way."""

    def __init__(self, table, store, text_of, jobs, keep=False, ended=lambda run: None):
        """text_of(run): (train, validation) token files; jobs: runs side by side; ended(run): called after each record."""
        self.table, self.store, self.text_of, self.jobs, self.keep, self.ended = table, store, text_of, jobs, keep, ended
        self.lock, self.stop = threading.Condition(), threading.Event()
        self.waiting, self.active, self.done = [], {}, []
        self.power = Power()
        command(1)   # a launcher that isn't one is noticed here
        self.shares = {}   # key -> joules so far

    def train(self, runs):
        """Trains these runs, in their order; parents before their branches. Returns those that didn't end well."""
        self.waiting = list(runs)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(self.jobs, len(runs)))]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.2)
                self._share_energy()
        except (KeyboardInterrupt, Stopped) as reason:
            self.stop.set()
            self._end(threads, None if isinstance(reason, Stopped) else SAVING)
            raise
        if self.stop.is_set():
            raise Stopped
        return [run for run in runs if run.key in self.store.failures]

    def _end(self, threads, seconds):
        """Asks the runs to save and end, which takes moments; after so many seconds (None: never) the others are ended."""
        for process in filter(None, list(self.active.values())):
            process.send_signal(signal.SIGUSR1)   # which launchers pass on to the ranks at once
        deadline = time.monotonic() + (seconds or 0)
        for thread in threads:
            thread.join(timeout=None if seconds is None else max(0, deadline - time.monotonic()))
        for process in filter(None, list(self.active.values())):
            process.terminate()

    def _work(self):
        while not self.stop.is_set():
            run = self._next()
            if run is None:
                return
            run, lock = run
            try:
                if self.store.finished(run) is None or not self._left(run):   # another driver may have trained it meanwhile
                    self._train_one(run)
            except Exception as error:   # whatever it is, the others go on
                self.store.failures[run.key] = f"{type(error).__name__}: {error}"
            finally:
                lock.close()
                with self.lock:
                    self.active.pop(run.key, None)
                    self.done.append(run)
                    self.lock.notify_all()

    def _next(self):
        """(the next run to train, its lock), once there is one; None when all are done or can't begin any more."""
        with self.lock:
            while self.waiting and not self.stop.is_set():
                for run in self.waiting:
                    if self._ready(run) and (lock := self.store.lock(run)):
                        self.waiting.remove(run)
                        self.active[run.key] = None
                        return run, lock
                    if self._is_orphan(run):
                        self._give_up(run)
                        self.waiting.remove(run)
                        self.done.append(run)
                        break
                else:
                    self.lock.wait(timeout=1)
            return None

    def _parent_is_coming(self, run):
        return run.parent is not None and (run.parent.key in self.active or run.parent in self.waiting)

    def _ready(self, run):
        """Whether it can begin: its parent has left a checkpoint, and no other process trains it (a killed driver's takes a moment)."""
        if self._parent_is_coming(run) or held(self.store.run_folder(run)):
            return False
        return run.parent is None or self.store.start_file(run) is not None

    def _is_orphan(self, run):
        return run.parent is not None and not self._parent_is_coming(run) and self.store.start_file(run) is None

    def _give_up(self, run):
        """On a branch without anything to begin from: its parent has diverged, and so has it, or has failed."""
        parent = self.store.record(run.parent)
        if parent and parent.diverged:
            self.store.inherit(run)
            self.ended(run)
        self.store.failures[run.key] = f"its parent {run.parent.key} has {'diverged' if parent and parent.diverged else 'left no checkpoint'}"

    def _left(self, run):
        """Whether what its branches begin from is there."""
        return all(self.store.start_file(other) or self.store.finished(other) for other in self.table.rows if other.parent is run)

    def _train_one(self, run):
        folder = self.store.begin(run, *self.text_of(run))
        with open(folder / "log.txt", "ab") as log:
            begin = log.tell()
            words = command(run.ranks, "train", folder / "request.toml", folder / "paths.toml")
            process = subprocess.Popen(words, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                       preexec_fn=_stop_with_parent, start_new_session=True)   # Ctrl-C is this process's business
        self.active[run.key] = process
        if self.stop.is_set():
            process.send_signal(signal.SIGUSR1)
        code = process.wait()
        if code == STOPPED:
            self.stop.set()
        if self.stop.is_set():
            return
        if code not in (0, DIVERGED):
            message = failure_message(folder / "log.txt", begin, code)
            (folder / "failure.txt").write_text(message + "\n", encoding="utf-8")
            self.store.failures[run.key] = message
            return
        energy = self.shares.get(run.key, 0) / 3.6e6 if self.power.measured else None
        self.store.end(run, self.table, None if energy is None else round(energy, 6), self.keep)
        if code == DIVERGED:
            self.store.failures[run.key] = f"diverged after step {self.store.record(run).facts['last_step']}"
        self.ended(run)

    def _share_energy(self):
        """What the machine has used since the last call, in equal parts to the runs under way."""
        before = getattr(self, "_joules", None)
        self._joules = self.power.joules() if self.power.measured else 0.0
        keys = list(self.active)
        if before is not None and keys:
            for key in keys:
                self.shares[key] = self.shares.get(key, 0.0) + (self._joules - before) / len(keys)


def failure_message(log, begin, code):
    """The program's own last error, or its last line, with the exit code; begin: where this attempt's words begin."""
    lines = log.read_bytes()[begin:].decode(errors="replace").splitlines()[-200:]
    errors = [line for line in lines if line.startswith("lawa: error")]
    return f"exit code {code}: {errors[-1] if errors else (lines or ['no word'])[-1]}"
