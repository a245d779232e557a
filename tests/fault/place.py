"""What every trial starts from: tokens, the runs that nobody disturbed, the ways to write, and what a run has to be like at any moment."""
import fcntl
import json
import os
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "programs"), str(TESTS / "experiments")]

from made_text import make_tokens  # noqa: E402
from runner import ENVIRONMENT, ROOT, TINY, Result, end, lawa, numbers, start  # noqa: E402

ENVIRONMENT["OMPI_MCA_mpi_yield_when_idle"] = "1"   # trials run side by side
STEPS = 40
SETTINGS = f"""
[batch]
global_sequences = 8
[schedule]
steps = {STEPS}
warmup_steps = 5
peak_lr = 1e-2
final_lr = 1e-3
[evaluate]
steps = 20
[[averages]]
scheme = "lawa"
window = 2
stride = 5
save = true
"""
RUN = "the_run"
WRITES = {"asynchronous": (), "synchronous": ("checkpoint.asynchronous=false",), "fsync off": ("checkpoint.fsync=false",)}
MPI_IO = "checkpoint.writer=hdf5"
EVERY_STEP = ("checkpoint.steps=1", "checkpoint.state_steps=2")


class Lost(Exception):
    """A committed file that can't be loaded, or a run that doesn't go on."""


class Silent(Exception):
    """Numbers that differ, and nobody said so."""


class Hang(Exception):
    """A program that doesn't end, or doesn't say who is lost."""


class Skipped(Exception):
    """This machine can't have this fault."""


@contextmanager
def current_folder(folder):
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class Place:
    """Trials have a current folder each; `folder` holds what they share. A run is killed `in_a_chain` times before it comes to its end."""

    def __init__(self, folder, in_a_chain):
        self.folder, self.in_a_chain = Path(folder).resolve(), in_a_chain

    def make(self):
        make_tokens(self.folder)
        (self.folder / "settings.toml").write_text(SETTINGS)
        self.whole()
        return self

    def whole(self, ranks=2):
        """The folder of an undisturbed run on so many ranks, which keeps every step's weights and state; it is made when it is first asked for."""
        return self.made_once(f"on_{ranks}", lambda: self.make_whole(ranks)) / RUN

    def averages(self):
        """A folder grid/ of averages of that run's checkpoints."""
        return self.made_once("averages", lambda: ended_well(lawa(*self.average(), ranks=2))) / "grid"

    def made_once(self, name, make):
        """Makes something in a folder of this name, whoever of the processes comes first."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with open(folder / "lock", "w") as lock, current_folder(folder):
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not Path("made").exists():
                make()
                Path("made").touch()
        return folder

    def git(self):
        """The state of the sources that the program was built from."""
        return json.loads((self.whole() / "provenance.json").read_text())["git"]

    def make_whole(self, ranks):
        begin = time.monotonic()
        words = self.train("checkpoint.steps=1", "checkpoint.state_steps=1", "checkpoint.keep_states=1000")
        process = start(*words, ranks=ranks)
        try:
            while process.poll() is None and not (Path(RUN) / "metrics.jsonl").exists():
                time.sleep(0.01)
            begun = time.monotonic()
            _, err = process.communicate(timeout=300)
        finally:
            end(process)
        if process.returncode != 0:
            raise RuntimeError(f"the undisturbed run has failed: {err}")
        (Path(RUN) / "numbers.json").write_text(json.dumps(numbers_in(Path(RUN), listed_in(Path(RUN)))))
        (Path(RUN) / "seconds.json").write_text(json.dumps([begun - begin, time.monotonic() - begun]))

    def seconds(self):
        """Of the undisturbed run on two ranks: until its first step, and from there to its end."""
        return json.loads((self.whole() / "seconds.json").read_text())

    def train(self, *words):
        """The words of the undisturbed run's command, but where and how it writes."""
        data = [f"data.{name}={self.folder}/data/{file}.bin" for name, file in (("train", "train"), ("validation", "val"))]
        return ["train", TINY, self.folder / "settings.toml", *data, f"run.directory={RUN}", *words]

    def average(self, *words):
        """The words of an averaging job over the undisturbed run's checkpoints."""
        return ["average", self.whole(), "destination=grid", "averaging.window=[1,2,3]", "averaging.stride=4", "averaging.memory_bytes=65536",
                "averaging.skip_existing=true", *words]

    def copy_until(self, step):
        """The undisturbed run in the current folder, as if it had been killed behind a step."""
        shutil.copytree(self.whole(), RUN)
        for path in Path(RUN).rglob("step_*"):
            if int(path.name[5:13]) > step:
                path.unlink()


def read_json(text, place):
    try:
        return json.loads(text)
    except ValueError:
        raise Lost(f"{place}: is damaged: {text[:200]!r}") from None


def files_of(records):
    """The files that commit records name. Errors: Lost."""
    read = {record: read_json(record.read_text(), record) for record in records}
    return [record.parent / content[kind]["name"] for record, content in read.items() for kind in ("weights", "state") if kind in content]


def ended_well(result: Result):
    if result.code != 0 or result.errors:
        raise Lost(f"ended with {result.code}: {result.err}")
    return result


def listed_in(run):
    """The files of a run's checkpoints and averages that are committed. Errors: Lost."""
    listed = files_of([*run.glob("checkpoints/step_*.json"), *run.glob("averages/*/step_*.json")])
    if missing := [str(file) for file in listed if not file.exists()]:
        raise Lost(f"listed, and not there: {missing[:3]}")
    return listed


def numbers_in(run, files):
    """{file: its step, the digests of its numbers, …}; reads and verifies every byte. Errors: Lost."""
    lines = ended_well(lawa("inspect", *files, ranks=0)).objects if files else []
    words = ("step", "trained_tokens", "trajectory_hash", "table", "digest", "digests")
    return {str(Path(line["file"]).relative_to(run)): {word: line[word] for word in words if word in line} for line in lines}


def check(whole, run=RUN):
    """At any moment: what is listed is whole, and it is what the undisturbed run has there, bit for bit; losses likewise."""
    run, whole = Path(run), Path(whole)
    listed = listed_in(run)
    expected = json.loads((whole / "numbers.json").read_text())
    if others := [file for file, found in numbers_in(run, listed).items() if found != expected[file]]:
        raise Silent(f"not the numbers of the undisturbed run, and they verify: {others[:3]}")
    if (run / "metrics.jsonl").exists():
        expected = {(line["kind"], line.get("model"), line["step"]): line for line in numbers(whole)}
        for text in (run / "metrics.jsonl").read_text().splitlines(keepends=True):
            check_line(text, expected)


def check_line(text, expected):
    if not text.endswith("\n"):   # it was being written
        return
    line = read_json(text, "metrics.jsonl")
    if line["kind"] in ("train", "evaluate"):
        mine = {key: value for key, value in line.items() if key not in ("seconds", "tokens_per_second")}
        if mine != expected[line["kind"], line.get("model"), line["step"]]:
            raise Silent(f"not the undisturbed run's: {text}")


def finish(place, words, whole=None, every=1, damaged=0, ranks=2):
    """The run goes on to its end, which is that of the undisturbed one; it passes over so many damaged checkpoints."""
    whole = whole or place.whole()
    result = ended_well(lawa(*words, ranks=ranks, timeout=120))
    skipped = result.err.count("skipped the checkpoint")
    if skipped != damaged:
        raise Lost(f"{skipped} checkpoints were skipped: {result.err}")
    check(whole)
    if numbers(RUN) != numbers(whole):
        raise Silent("the losses aren't those of the undisturbed run")
    steps = sorted(int(path.name[5:13]) for path in Path(RUN).glob("checkpoints/step_*.json"))
    if set(steps) != set(range(every, STEPS + 1, every)) | {STEPS}:
        raise Lost(f"the checkpoints are of steps {steps}")
    averages = [sorted(path.relative_to(folder) for path in Path(folder).glob("averages/*/*")   # they are saved with checkpoints
                       if path.suffix in (".h5", ".json") and int(path.name[5:13]) % every == 0) for folder in (RUN, whole)]
    if averages[0] != averages[1] or list(Path(RUN).rglob("*.part")):
        raise Lost(f"averages: {averages[0]}; unfinished: {list(Path(RUN).rglob('*.part'))}")
    return result
