"""The order in which runs and averaging jobs write, sync, rename and remove: a power cut at any moment leaves what is listed whole."""
import re

import pytest
from faults import Call, trace, tracing
from place import MPI_IO, Place
from power_cut import Disk
from runner import end, lawa
from two_hosts import NoNamespaces, TwoHosts

KEPT = ("checkpoint.steps=1", "checkpoint.state_steps=2", "checkpoint.keep_states=1", "checkpoint.keep_weights=2", "schedule.steps=10",
        "schedule.warmup_steps=2", "evaluate.steps=5")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("place"), 1).make()


def committed(calls):
    return [call.path for call in calls if call.call == "rename" and re.search(r"step_\d+\.json$", call.path)]


def run(place, folder, *words):
    """The words of a run in a folder whose whole path every call has."""
    return place.train(*KEPT, f"run.directory={folder}", *words)


@pytest.mark.parametrize("words", [(), ("checkpoint.asynchronous=false",), (MPI_IO,)], ids=["asynchronous", "synchronous", "MPI-IO"])
def test_of_a_run(place, tmp_path, words):
    result = lawa(*run(place, tmp_path / "run", *words), ranks=2, **tracing(tmp_path / "trace", str(tmp_path / "run")))
    calls = trace(tmp_path / "trace")
    assert result.code == 0 and len(committed(calls)) >= 12, result.err
    assert any(call.call == "unlink" and "step_" in call.path for call in calls), "old ones go"
    assert Disk().replay(calls).broken == []


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_of_averages(place, tmp_path, precision):
    result = lawa(*place.average(f"destination={tmp_path}/grid", f"averaging.precision={precision}"), ranks=2, **tracing(tmp_path / "trace", f"{tmp_path}/grid"))
    calls = trace(tmp_path / "trace")
    assert result.code == 0 and len(committed(calls)) == 10 + 9 + 8, result.err
    assert Disk().replay(calls).broken == []


def on_two_hosts(folder, traced, *words):
    """Each of them has to sync what its rank has written."""
    try:
        with TwoHosts(folder) as hosts:
            process = hosts.start(*words, **tracing(folder / "trace", str(folder / traced)))
            try:
                _, err = process.communicate(timeout=60)
            finally:
                end(process)
    except NoNamespaces:
        pytest.skip("no network namespaces here")
    calls = trace(folder / "trace")
    assert process.returncode == 0 and len(committed(calls)) >= 12, err
    assert Disk(node_of=lambda rank: rank).replay(calls).broken == []


def test_of_a_run_on_two_hosts(place, tmp_path):
    on_two_hosts(tmp_path, "run", *run(place, tmp_path / "run"))


def test_of_averages_on_two_hosts(place, tmp_path):
    on_two_hosts(tmp_path, "grid", *place.average(f"destination={tmp_path}/grid"))


GOOD = """write metrics; fsync metrics; fsynced metrics
write a.weights.h5.part; fsync a.weights.h5.part; fsynced a.weights.h5.part; rename a.weights.h5; fsync .; fsynced .
write a.json.part; fsync a.json.part; fsynced a.json.part; rename a.json; fsync .; fsynced ."""


def replayed(text, ranks=()):
    """Of "call path" separated by semicolons and ends of lines, in a folder /x/checkpoints whose checkpoint a is step_1."""
    words = [one.split() for one in re.split(r"[;\n]", text.strip())]
    paths = {".": "/x/checkpoints", "metrics": "/x/metrics.jsonl"}
    calls = [Call(ranks[i] if ranks else 0, 0, call, paths.get(path) or "/x/checkpoints/" + re.sub(r"^([a-z])\.", lambda a: f"step_{ord(a[1])}.", path))
             for i, (call, path) in enumerate(words)]
    return Disk(node_of=lambda rank: rank).replay(calls).broken


def test_a_good_order_is_one():
    assert replayed(GOOD) == []


@pytest.mark.parametrize("was, becomes", [
    ("fsync a.weights.h5.part; fsynced a.weights.h5.part; ", ""),
    ("fsync a.json.part; fsynced a.json.part; ", ""),
    ("fsync .; fsynced .\n", "\n"),
    ("fsynced a.weights.h5.part; rename a.weights.h5", "rename a.weights.h5; fsynced a.weights.h5"),
    ("fsync a.weights.h5.part; fsynced", "fsync a.weights.h5.part; write a.weights.h5.part; fsynced"),
    ("fsync metrics; fsynced metrics", ""),
    ("fsync metrics; fsynced metrics", "fsync metrics"),
    ("rename a.json; fsync .; fsynced .", "rename a.json; unlink b.weights.h5"),
    ("rename a.json; fsync .; fsynced .", "rename a.json; fsync .; fsynced .; unlink a.state.h5"),
])
def test_a_bad_order_is_seen(was, becomes):
    assert was in GOOD and replayed(GOOD.replace(was, becomes).replace("; \n", "\n").replace("; ;", ";").replace(";\n", "\n")) != []


def test_a_sync_is_its_own_nodes():
    two = "write a.weights.h5.part; write a.weights.h5.part; fsync a.weights.h5.part; fsynced a.weights.h5.part; rename a.weights.h5"
    assert replayed(two, [0, 0, 0, 0, 0]) == [] and replayed(two, [0, 1, 0, 0, 0]) != [] and replayed(two, [1, 0, 0, 0, 0]) != []
