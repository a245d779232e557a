"""kill -9 of one rank, of all, or of the launcher, while a run trains or saves, and while checkpoints are averaged."""
import shutil
import time
from collections import Counter
from pathlib import Path

from place import EVERY_STEP, RUN, WRITES, Lost, Silent, check, ended_well, finish
from runner import end, kill, lawa, ranks_of, start

RANKS = 2
VICTIMS = {
    "one rank": lambda process, draw: [draw.choice(sorted(ranks_of(process).values()) or [process.pid])],   # before there are some: mpirun
    "all ranks": lambda process, draw: list(ranks_of(process).values()) or [process.pid],
    "the launcher": lambda process, draw: [process.pid],
}


def wait_for_a_moment(process, draw, progress, starts_in):
    """Any moment of the start, or more often a random one behind some progress that was made."""
    if draw.random() < 0.2:
        time.sleep(draw.uniform(0, starts_in))
        return
    fewest, wait = progress(), draw.randrange(1, 12)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        fewest = min(fewest, now := progress())   # a run that goes on cuts the lines behind its checkpoint
        if now >= fewest + wait:
            break
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.02))   # a checkpoint takes about as long


def chain(draw, kills, victims, command, progress, starts_in, checked, ended):
    """Kills a program so often, which is begun again each time, next to what is left of the last one, say; `ended` when it has come to its end."""
    killed, left = 0, []
    try:
        while killed < kills:
            process = start(*command, ranks=RANKS)
            left.append(process)
            wait_for_a_moment(process, draw, progress, starts_in)
            running = process.poll() is None
            kill(VICTIMS[victims](process, draw) if running else [])
            killed += running
            if running and victims == "the launcher" and draw.random() < 0.5:
                continue   # its ranks may live on for a while
            time.sleep(draw.choice([0, 0.1]))
            while left:
                end(left.pop())
            checked()
            if not running:
                ended()
    finally:
        for process in left:
            end(process)
    ended()
    return Counter(survived=killed)


def lines():
    path = Path(RUN) / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def runs(victims, words, every):
    """A trial: a run with these words is killed so often."""
    def trial(place, draw, writes, _):
        command = place.train(*words, *WRITES[writes])

        def ended():
            finish(place, command, every=every)
            shutil.rmtree(RUN)
        return chain(draw, place.in_a_chain, victims, command, lines, place.seconds()[0], lambda: check(place.whole()), ended)
    return trial


def averaging(victims):
    """A trial: a grid of averages of the undisturbed run's checkpoints is killed so often."""
    def trial(place, draw, writes, _):
        whole, words = place.averages(), place.average("averaging.fsync=false" if writes == "fsync off" else "averaging.fsync=true")

        def listed():
            return {path.relative_to("grid"): path.read_bytes() for path in Path("grid").glob("*/*") if path.with_name(path.name[:13] + ".json").exists()
                    and path.suffix in (".h5", ".json")}

        def checked():
            for path, content in listed().items():
                if not (whole / path).exists() or content != (whole / path).read_bytes():
                    raise Silent(f"not the bytes of an undisturbed averaging: grid/{path}")

        def ended():
            ended_well(lawa(*words, ranks=RANKS))
            checked()
            if len(listed()) != len(list(whole.glob("*/*"))) or list(Path("grid").rglob("*.part")):
                raise Lost(f"left: {sorted(map(str, Path('grid').rglob('*')))}")
            shutil.rmtree("grid")
        return chain(draw, place.in_a_chain, victims, words, lambda: len(list(Path("grid").rglob("*"))) if Path("grid").exists() else 0,
                     place.seconds()[0], checked, ended)
    return trial


def kinds():
    """{name: (trial, ways to write)}."""
    found = {}
    for victims in VICTIMS:
        found[f"kill -9 of {victims}, training"] = runs(victims, ("checkpoint.steps=10", "checkpoint.state_steps=10"), 10), (*WRITES,)
        found[f"kill -9 of {victims}, saving"] = runs(victims, EVERY_STEP, 1), (*WRITES,)
        found[f"kill -9 of {victims}, averaging"] = averaging(victims), ("synchronous", "fsync off")
    return found
