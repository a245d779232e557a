"""kill -9 of experiments/run.py, of one of its runs' ranks, or of everything, while it makes a figure."""
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from a_figure import FIGURE
from a_project import Project
from place import WRITES, Hang, Lost, Silent
from runner import kill, rank_of

OUTCOME = ("data.csv", "verdicts.json", "figure.png", "figure.pdf")
SWITCHES = {"asynchronous": "checkpoint.fsync = true", "synchronous": "checkpoint.asynchronous = false", "fsync off": "checkpoint.fsync = false"}


def processes_in(folder):
    """The living processes whose current folder, or a word of whose command, is below this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes() and "Z" not in (process / "stat").read_text().rpartition(")")[2][:3]:
                found.append(int(process.name))
        except OSError:   # it has ended
            continue
    return found


def victims_of(which, driver, out, draw):
    if which == "the driver":
        return [driver.pid]
    ranks = [process for process in processes_in(out) if rank_of(process) is not None]
    return [draw.choice(ranks)] if ranks and which == "one rank" else [driver.pid, *ranks]


def killed(project, out, which, draw):
    """Starts the driver and kills at a random moment; whether there was something to kill."""
    driver = subprocess.Popen(project.command(), env=project.environment(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(draw.uniform(0.4, 1.2 * project.seconds))
    running = driver.poll() is None
    if running:
        kill(victims_of(which, driver, out, draw))
    if which == "one rank":   # the driver says that a run has failed, and ends; the next call makes it again
        try:
            driver.wait(timeout=120)
        except subprocess.TimeoutExpired:
            driver.send_signal(signal.SIGKILL)
            raise Hang("the driver of a killed rank doesn't end") from None
    driver.wait()
    wait_for_the_rest(out)
    return running


def wait_for_the_rest(out):
    end = time.monotonic() + 30
    while left := processes_in(out):
        if time.monotonic() > end:
            raise Hang(f"the runs of a killed driver don't end: {left}")
        time.sleep(0.05)


def driver(which):
    def trial(place, draw, writes, _):
        project, out = Project(Path.cwd()), Path.cwd() / "out"
        project.write(FIGURE.replace("checkpoint.fsync = false", SWITCHES[writes]))
        begin = time.monotonic()
        project.run(out="whole")
        project.seconds = time.monotonic() - begin
        kills = 0
        while kills < max(2, place.in_a_chain / 2):
            kills += killed(project, out, which, draw)
            if project.file("figure.png").exists() and draw.random() < 0.5:
                checked(project)
                shutil.rmtree(out)
        checked(project)
        return Counter(survived=kills)
    return trial


def checked(project):
    """It goes on to the table, verdicts and pictures of the driver that nobody disturbed."""
    result = subprocess.run(project.command(), env=project.environment(project.root / "out"), text=True, capture_output=True, timeout=300)
    if result.returncode != 0:
        raise Lost(f"the driver doesn't go on: {result.stderr}")
    for name in OUTCOME:
        if project.file(name).read_bytes() != project.file(name, "whole").read_bytes():
            raise Silent(f"another {name}")
    if list((project.root / "out").rglob("*.part")):
        raise Lost("left a .part")


def kinds():
    return {f"kill -9 of {which}, making a figure": (driver(which), (*WRITES,)) for which in ("one rank", "the driver", "the driver and all ranks")}
