"""What the system may do to files: calls that fail on one rank, full disks, limits, other writers. Nothing hangs, nothing is lost."""
import errno
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors_file
from faults import counting, counts, fault
from runner import ENVIRONMENT, PROGRAM, TINY, digests, end, lawa, metrics, numbers, session, start, succeed

RUN = ("train", TINY, "settings.toml", "run.directory=new", "schedule.steps=20", "checkpoint.steps=10", "checkpoint.state_steps=10", "checkpoint.tries=1")
WRITERS = ("direct", "hdf5")


def parts(folder="."):
    return list(Path(folder).rglob("*.part"))


def grid(*more, destination="grid"):
    """lawa average of all checkpoints: 55 averages in five folders."""
    return ("average", "run", f"destination={destination}", "averaging.window=[1,2,3,4,5]", *more)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("call, error", [("open", "EIO"), ("open", "EMFILE"), ("close", "EIO"), ("write", "EIO"), ("fsync", "EIO"), ("rename", "EACCES")])
def test_a_call_that_fails_on_one_rank_ends_all_and_is_named(place, writer, call, error):
    if call == "close" and writer == "hdf5":
        pytest.skip("HDF5 and MPI-IO close it")
    rank = 0 if call in ("fsync", "rename") else 1   # a node's first rank makes a file durable, rank 0 renames it
    nth = "1" if call == "open" and writer == "hdf5" else "1+"   # inside MPI-IO's own open nothing can be done
    result = lawa(*RUN, f"checkpoint.writer={writer}", ranks=2, timeout=40, **fault(error, call, "step_00000010", nth, rank))
    if writer == "hdf5" and call == "write" and result.code == 0:
        pytest.skip("MPI-IO has one rank write for both")
    assert result.code == 1 and len(result.errors) == 1 and "step_00000010" in result.errors[0], result.err
    assert os.strerror(getattr(errno, error)) in result.errors[0] or writer == "hdf5", result.errors
    assert not parts()
    succeed(*RUN, ranks=2)
    assert sorted(digests("new")) == [10, 20]


def test_the_others_work_ends_where_one_rank_has_failed(tmp_path, monkeypatch):
    """Long before they have read what they would: a group of averages may take hours."""
    monkeypatch.chdir(tmp_path)
    header = b'{"a":{"dtype":"F32","shape":[65536,1024],"data_offsets":[0,268435456]}}'
    for step in (1, 2, 3):
        Path(f"step{step}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        os.truncate(f"step{step}.safetensors", 8 + len(header) + 65536 * 1024 * 4)   # zeros, without a place on the disk
    result = lawa("average", *(f"step{step}.safetensors" for step in (1, 2, 3)), "destination=new", "averaging.window=3",
                  "averaging.fsync=false", ranks=2, **fault("EIO", "read", "step1", "1+", 1) | counting(tmp_path / "counts", "step"))
    assert result.code == 1 and len(result.errors) == 1 and "step1.safetensors: can't be read: Input/output error" in result.errors[0]
    assert of(counts(tmp_path / "counts"), "read", 0)[1] < 3 * 2**28 / 2 / 4 and not parts()


@pytest.mark.parametrize("call, error, rank", [("open", "EMFILE", 1), ("write", "EIO", 1), ("write", "ENOSPC", 0), ("close", "EIO", 1),
                                               ("fsync", "EIO", 0), ("rename", "EIO", 0)])
def test_a_save_that_fails_for_a_while_is_tried_again(place, call, error, rank):
    succeed(*RUN, "run.directory=quiet", ranks=2)
    succeed(*RUN, "checkpoint.tries=3", ranks=2, **fault(error, call, "step_00000010", "1", rank))
    failed = [line for line in metrics("new") if line["kind"] == "save_failed"]
    assert len(failed) == 1 and "step_00000010" in failed[0]["error"]
    assert digests("new") == digests("quiet") and not parts()
    assert numbers("new") == numbers("quiet")
    ended = lawa(*RUN, "run.directory=other", "checkpoint.tries=2", ranks=2, **fault(error, call, "step_00000010", "1+", rank))
    assert ended.code == 1 and os.strerror(getattr(errno, error)) in ended.errors[0] and not parts()
    assert sum(line["kind"] == "save_failed" for line in metrics("other")) == 1


@pytest.mark.parametrize("writer", WRITERS)
def test_long_paths(place, writer):
    for length in (186, 203, 230, 400):
        folder = str(place)
        while len(folder) < length - 1:
            folder += "/" + "d" * min(100, length - 1 - len(folder))
        result = succeed(*RUN, f"run.directory={folder}", f"checkpoint.writer={writer}",
                         'averages=[{scheme="lawa",window=2,stride=5,save=true}]', ranks=2)
        assert not list(Path(folder).rglob("*.locktest")), result.err
        assert sorted(digests(folder)) == [10, 20]


@pytest.mark.parametrize("call, nth", [*((call, nth) for call in ("write", "fsync") for nth in range(1, 12)), *(("allocate", nth) for nth in range(1, 5))])
def test_a_full_disk_is_called_one_at_every_call(place, call, nth):
    result = lawa(*RUN, ranks=1, **fault("ENOSPC", call, str(place / "new"), f"{nth}+"))
    assert result.code == 1 and "No space left on device" in result.errors[0], result.err
    assert not parts()


@pytest.mark.parametrize("call", ["write", "read"])
def test_calls_that_move_less_than_they_were_asked_to(place, call):
    """As they may: they are made again for the rest."""
    succeed(*RUN, ranks=2, **fault("SHORT", call, "new/"))
    expected = succeed("inspect", "new").objects
    assert [line["step"] for line in expected] == [10, 20]
    assert succeed("inspect", "new", ranks=0, **fault("SHORT", call, "new/")).objects == expected


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kilobytes", [9000, 12700, 20000])   # the weights have 12.7 MB and the state 25.4; Open MPI itself needs 4
def test_a_limit_on_the_size_of_files(place, kilobytes, writer):
    command = ["bash", "-c", f"ulimit -f {kilobytes}; exec \"$@\"", "-", PROGRAM, *RUN, "schedule.steps=1", "schedule.warmup_steps=0", "model.layers=4",
               "model.channels=256", "batch.global_sequences=1", f"checkpoint.writer={writer}", "evaluate.steps=0"]
    result = subprocess.run([str(word) for word in command], env=ENVIRONMENT, text=True, capture_output=True, timeout=60)
    assert result.returncode == 1 and result.stderr.splitlines()[-1].startswith("lawa: error"), result.stderr
    assert "ulimit -f" in result.stderr or "File too large" in result.stderr, result.stderr
    assert not parts()


def test_hints_for_mpi_io(place):
    succeed(*RUN, "checkpoint.writer=hdf5", 'checkpoint.hints=["cb_nodes=1"]', ranks=2)
    for hints in ('["cb_nodes"]', '["=1"]', '["cb_nodes="]'):
        refused = lawa(*RUN, "checkpoint.writer=hdf5", f"checkpoint.hints={hints}", "run.directory=other")
        assert refused.code == 1 and "isn't of the form name=value" in refused.errors[0] and not Path("other").exists()
    assert 'are for checkpoint.writer = "hdf5"' in lawa(*RUN, 'checkpoint.hints=["cb_nodes=1"]', "run.directory=other").errors[0]


def test_file_systems_that_promise_no_room(place):
    succeed(*RUN, ranks=2, **fault("EOPNOTSUPP", "allocate"))
    assert sorted(digests("new")) == [10, 20]


@pytest.mark.parametrize("destination", ["new/", "./new", "new/../new/"])
def test_a_folder_has_many_names(place, destination):
    succeed("average", "run", f"destination={destination}", "averaging.at=60", **fault("ENOLCK", "lock"))
    assert [path.suffix for path in sorted(Path("new").iterdir())] == [".json", ".h5"]


@pytest.mark.parametrize("program", ["inspect", "evaluate", "average"])
@pytest.mark.parametrize("name", ["pipe.h5", "pipe.weights.h5", "pipe.safetensors", "device.h5", "folder.h5"])
def test_what_is_no_file_is_refused_and_not_waited_for(place, program, name):
    {"pipe": os.mkfifo, "device": lambda path: os.symlink("/dev/zero", path), "folder": os.mkdir}[name.split(".")[0]](name)
    result = lawa(program, name, *(["destination=new", "averaging.window=1"] if program == "average" else []), timeout=20)
    assert result.code == 1 and len(result.errors) == 1 and name in result.errors[0], result.err


def test_file_systems_without_flock(place):
    succeed(*RUN, ranks=2, **fault("ENOLCK", "flock"))
    assert sorted(digests("new")) == [10, 20]


def test_every_folder_that_is_written_is_locked(place):
    inner = Path("grid/lawa_k002_nu000000")
    inner.mkdir(parents=True)
    (inner / "step_00000060.weights.h5.part").write_text("another job's")
    with open(inner / "writer.lock", "w") as other:
        fcntl.lockf(other, fcntl.LOCK_EX)
        refused = lawa(*grid())
        assert refused.code == 1 and f"{inner}/writer.lock: another process is running in this folder" in refused.errors[0]
        assert parts("grid"), "what isn't ours stays"
    succeed(*grid())
    assert not parts("grid"), "nobody's any more"


def test_a_run_that_goes_on_leaves_other_jobs_their_parts(place):
    folder = Path("run/averages/mine")
    folder.mkdir(parents=True)
    (folder / "step_00000060.weights.h5.part").write_text("being written")
    (Path("run/checkpoints") / "step_00000061.weights.h5.part").write_text("a killed run's")
    succeed("train", TINY, "settings.toml", "run.directory=run", ranks=2)
    assert [part.parent.name for part in parts("run")] == ["mine"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_averages_that_are_finished_stay_when_the_job_ends(place, how):
    """It never comes to the last files: the first ones have their names by then."""
    process = start(*grid("averaging.memory_bytes=65536"), ranks=2, **fault("SIGSTOP", "write", "lawa_k005_nu000000/step_00000060", "1", 0))
    try:
        deadline = time.monotonic() + 20
        while not list(Path("grid").rglob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.01)
        kill_all(process, how)
    finally:
        end(process)
    Path("grid/lawa_k005_nu000000/step_00000099.weights.h5.part").write_text("an earlier job's")
    finished = list(Path("grid").rglob("step_*.json"))
    assert finished
    before = {path: path.read_bytes() for path in finished}
    succeed(*grid("averaging.skip_existing=true"), ranks=2)
    assert len(list(Path("grid").rglob("step_*.json"))) == 12 + 11 + 10 + 9 + 8 and not parts("grid")
    assert all(path.read_bytes() == text for path, text in before.items()), "not made again"


def test_a_folder_that_another_job_has_taken_over_is_left_to_it(place):
    """On a file system without locks, while the job stood still: when all is written and read back."""
    process = start(*grid(), NO_LOCKS="1", **fault("SIGSTOP", "read", "step_00000060.weights.h5.part", "1", 0))
    try:
        deadline = time.monotonic() + 30
        while not (still := [pid for pid in session(process.pid) if state(pid) == "T"]) and time.monotonic() < deadline:
            time.sleep(0.01)
        finished = sorted(Path("grid").rglob("step_*.json"))
        folder = Path("grid/lawa_k002_nu000000")
        for part in parts(folder):
            part.unlink()
        (folder / "step_00000060.weights.h5.part").write_text("the other job's")
        (folder / "writer.lock.owner").write_text("node17 4711 88")
        os.kill(still[0], signal.SIGCONT)
        _, err = process.communicate(timeout=30)
    finally:
        end(process)
    errors = [line for line in err.splitlines() if line.startswith("lawa: error")]
    assert process.returncode == 1 and len(errors) == 1, err
    assert f"{folder}/writer.lock.owner: another process has taken over" in errors[0]
    assert (folder / "step_00000060.weights.h5.part").read_text() == "the other job's"
    assert (folder / "writer.lock.owner").exists() and sorted(Path("grid").rglob("step_*.json")) == finished != []


def state(pid):
    """Of a process: R, S, T, …; nothing where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def kill_all(process, how):
    for pid in session(process.pid):
        try:
            os.kill(pid, how)
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def tensors(step):
    draw = np.random.default_rng(step)
    return {"a": ("F32", draw.normal(size=(70, 31)).astype(np.float32)), "ids": ("I64", np.arange(300)), "mask": ("BOOL", np.ones(999, bool))}


def test_damage_of_a_safetensors_average_is_seen_wherever_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for step in (1, 2):
        safetensors_file.write(Path(f"step{step}.safetensors"), tensors(step))
    succeed("average", "step1.safetensors", "step2.safetensors", "destination=new", "averaging.window=2")
    path = Path("new/step_00000002.safetensors")
    whole = path.read_bytes()
    passed = []
    for byte in [*range(0, 1100, 41), *range(1100, len(whole), 257)]:
        damaged = bytearray(whole)
        damaged[byte] ^= 4
        path.write_bytes(damaged)
        if lawa("inspect", path, ranks=0).code == 0:
            passed.append(byte)
    assert passed == []
    path.write_bytes(whole)
    succeed("inspect", path)


def test_more_files_than_a_process_may_open(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for step in range(1, 121):
        safetensors_file.write(Path(f"step{step}.safetensors"), tensors(step))
    words = [PROGRAM, "average", *(f"step{step}.safetensors" for step in range(1, 121)), "averaging.window=3"]
    for limit in (64, 4096):
        command = ["bash", "-c", f"ulimit -n {limit}; exec \"$@\"", "-", *words, f"destination=new{limit}"]
        subprocess.run([str(word) for word in command], env=ENVIRONMENT, check=True, capture_output=True, timeout=60)
    files = sorted(path.name for path in Path("new64").glob("*.safetensors"))
    assert len(files) == 118
    assert all(Path("new64", name).read_bytes() == Path("new4096", name).read_bytes() for name in files)


# ---- how much is asked of the file system ----------------------------------------------------------------------------------


def of(found, call, rank=None, ending=""):
    """(calls, bytes) of a kind, on files whose names end so or with .part behind it."""
    some = [one for one in found if one.call == call and one.rank == (one.rank if rank is None else rank)
            and one.path.removesuffix(".part").endswith(ending)]
    return sum(one.calls for one in some), sum(one.bytes for one in some)


def test_a_save_on_eight_ranks(place):
    succeed(*RUN, "schedule.steps=10", ranks=8, **counting(place / "counts", "step_00000010"))
    found = counts(place / "counts")
    for ending, arrays in ((".weights.h5", 1), (".state.h5", 2)):
        size = next(Path("new").rglob(f"*{ending}")).stat().st_size
        for rank in range(1, 8):
            assert of(found, "open", rank, ending)[0] <= arrays, "a rank opens a file once an array"
            assert of(found, "write", rank, ending)[0] <= 4 * arrays, "a write a bucket"
            assert of(found, "fsync", rank, ending)[0] == 0, "once a node"
            assert of(found, "read", rank, ending)[0] == 0
        assert of(found, "fsync", 0, ending)[0] == 1, "of what all ranks have written"
        assert size <= of(found, "write", None, ending)[1] <= 1.2 * size, "each byte once, and what HDF5 leaves empty"


def test_sixty_four_sources_on_eight_ranks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for step in range(1, 65):
        safetensors_file.write(Path(f"step{step}.safetensors"), {"a": ("F32", np.full((9, 4096), step, np.float32))})
    succeed("average", *(f"step{step}.safetensors" for step in range(1, 65)), "destination=new", "averaging.window=64", ranks=8,
            **counting(tmp_path / "counts", "step"))
    found = counts(tmp_path / "counts")
    for rank in range(1, 8):
        assert of(found, "open", rank)[0] <= 64 + 1, "a rank opens a source once; one lays the average out"
    assert of(found, "open", 1)[0] >= 64 <= of(found, "read", 1)[0] <= 2 * 64 + 4, "its part of each"


def test_four_hundred_averages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for step in range(1, 102):
        safetensors_file.write(Path(f"step{step}.safetensors"), {"a": ("F32", np.full((9, 4096), step, np.float32))})
    sources = [f"step{step}.safetensors" for step in range(1, 102)]
    succeed("average", *sources, "destination=new", "averaging.window=[1,2,3,4]", "averaging.memory_bytes=65536", ranks=2, timeout=120,
            **counting(tmp_path / "counts", "/step_"))
    found = counts(tmp_path / "counts")
    files = list(Path("new").rglob("*.safetensors"))
    assert len(files) == 101 + 100 + 99 + 98
    for rank in (0, 1):
        opens, _ = of(found, "open", rank, ".safetensors")
        assert len(files) <= opens <= 8 * len(files), opens
