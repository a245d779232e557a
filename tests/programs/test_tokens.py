"""Token files that change while they are used, and what is kept of them from one start to the next."""
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from faults import counting, counts
from runner import TINY, end, lawa, numbers, start, succeed

DATA = Path("data/train.bin")
FOREVER = ["train", TINY, "settings.toml", "run.directory=new", "evaluate.steps=0", "schedule.steps=1000000", "checkpoint.steps=0",
           "checkpoint.state_steps=0"]
BLOCK = 2**25   # tokens


def settle():
    """Time passes, as far as the file's own time tells."""
    os.utime(DATA, (time.time() - 3600, time.time() - 3600))


def cut():
    os.truncate(DATA, 4096)


def overwrite(value, as_before):
    status = DATA.stat()
    with DATA.open("r+b") as file:
        file.write(np.full(status.st_size // 2, value, "<u2").tobytes())
    if as_before:
        os.utime(DATA, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES = {   # what happens to the file, and what the message says
    "cut": (cut, "data/train.bin: has been changed while it is used"),
    "emptied": (lambda: os.truncate(DATA, 0), "data/train.bin: has been changed while it is used"),
    "overwritten with ids beyond the vocabulary": (lambda: overwrite(60000, False), "data/train.bin: has been changed while it is used"),
    "the same, and its time put back": (lambda: overwrite(60000, True), "is 60000, and model.vocabulary is 256"),
    "overwritten with other tokens": (lambda: overwrite(7, False), "data/train.bin: has been changed while it is used"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_ends_the_run_with_a_message(place, change):
    bring_about, says = CHANGES[change]
    settle()
    process = start(*FOREVER, ranks=2)
    try:
        while not Path("new/metrics.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.01)
        bring_about()
        _, err = process.communicate(timeout=30)
    finally:
        end(process)
    assert process.returncode == 1 and "signal" not in err.lower(), err
    assert any(line.startswith("lawa: error") and "data.train" in line and says in line for line in err.splitlines()), err


def test_a_file_that_is_replaced_is_read_on(place):
    """A new file of that name is another file: the run has the old one open."""
    process = start("train", TINY, "settings.toml", "run.directory=new", ranks=2)
    try:
        while not Path("new/metrics.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.002)
        np.full(9999, 7, "<u2").tofile("data/other.bin")
        os.rename("data/other.bin", DATA)
        _, err = process.communicate(timeout=30)
    finally:
        end(process)
    assert process.returncode == 0, err
    assert numbers("new") == numbers("run")


def digest(run):
    return json.loads((Path(run) / "provenance.json").read_text())["tokens_digest"]


def test_where_files_end_is_part_of_the_digest(place):
    """Also where one ends with a block, of which digests are made."""
    found = []
    for n, sizes in enumerate(([BLOCK + 1000], [BLOCK, 1000], [1000, BLOCK], [BLOCK - 1000, 2000])):
        names = [f"data/{n}_{i}.bin" for i in range(len(sizes))]
        for name, size in zip(names, sizes):
            Path(name).touch()
            os.truncate(name, 2 * size)   # zeros, without a place on the disk
        succeed("train", TINY, "settings.toml", "schedule.steps=1", "schedule.warmup_steps=0", f"run.directory=run{n}", "evaluate.steps=0",
                f"data.train={json.dumps(names)}", ranks=2)
        found.append(digest(f"run{n}"))
    assert len(set(found)) == 4


def scanned(run, ranks, *words, **variables):
    """Bytes that a run of one step reads of the tokens, and their digest."""
    variables |= {"XDG_CACHE_HOME": str(Path("cache").resolve())}
    for left in Path(".").glob("counts.*"):
        left.unlink()
    succeed("train", TINY, "settings.toml", "schedule.steps=1", "schedule.warmup_steps=0", "evaluate.steps=0", f"run.directory={run}", *words,
            ranks=ranks, **variables, **counting("counts", "data/"))
    return sum(count.bytes for count in counts("counts") if count.call == "read"), digest(run)


def test_what_is_known_of_a_large_file_is_not_read_again(place):
    Path("data/meta.json").unlink()   # of another train.bin
    DATA.unlink()
    with DATA.open("wb") as file:
        file.truncate(2 * (BLOCK + 5000))   # zeros, without a place on the disk
        file.seek(2 * BLOCK)
        file.write(bytes([200, 0]) * 100)
    first = scanned("a", 2)
    assert first[0] > 2 * BLOCK
    time.sleep(max(0, 3.5 + DATA.stat().st_ctime - time.time()))   # until then it is too new for its times to tell a change
    assert scanned("b", 2)[1] == first[1]
    assert sorted(path.suffix for path in Path("cache").rglob("*") if path.is_file()) == [".json"]
    for n, ranks in enumerate((1, 2)):
        known = scanned(f"d{n}", ranks)
        assert known[0] < 100000 and known[1] == first[1]
    result = lawa("train", TINY, "settings.toml", "run.directory=e", "model.vocabulary=150", ranks=2, XDG_CACHE_HOME=str(Path("cache").resolve()))
    assert f"data/train.bin: token {BLOCK} is 200, and model.vocabulary is 150" in result.errors[0]   # as if it were read
    overwrite(3, as_before=True)
    changed = scanned("f", 2)
    assert changed[0] > 2 * BLOCK and changed[1] != first[1]
