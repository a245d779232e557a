"""The first test of a GPU node, packed from the CPU build and run as on another machine: without what has been packed of this one."""
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "gpu"
pytestmark = pytest.mark.skipif(not (ROOT / "build" / "cpu" / "bin" / "benchmark_training").exists(), reason="the preset cpu isn't built")

# Runs its other words where each file that its first word lists is hidden.
HIDDEN = """
set -e
while read -r file; do mount --bind /dev/null "$(readlink -f "$file")"; done <"$1"
exec env -i PATH=/usr/bin:/bin "${@:2}"
"""


def pack(out, *words):
    return subprocess.run(["bash", FOLDER / "pack.sh", *words, out], text=True, capture_output=True)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The archive of the preset cpu."""
    out = tmp_path_factory.mktemp("archive") / "lawa.tar"
    packed = pack(out, "--preset", "cpu")
    assert packed.returncode == 0, packed.stderr
    assert out.stat().st_size < 60 << 20
    return out


@pytest.fixture
def unpacked(archive, tmp_path):
    """Its folder."""
    subprocess.run(["tar", "-C", tmp_path, "-xf", archive], check=True)
    return tmp_path / "lawa_gpu"


def run(folder, *words, launcher=("env", "-i", "PATH=/usr/bin:/bin")):
    """(exit code, {part: its line in the file}, the screen)"""
    out = folder.parent / "result.json"
    done = subprocess.run([*launcher, "bash", folder / "run.sh", "--quick", "--out", out, *words], text=True, capture_output=True)
    result = json.loads(out.read_text())
    assert result["failed"] == sum(part["outcome"] == "failed" for part in result["parts"]), done.stderr
    assert done.stdout.endswith(f"{result['failed']} of {len(result['parts'])} parts failed, {result['seconds']} s; {out}\n")
    return done.returncode, {part["name"]: part for part in result["parts"]}, done.stdout


def failures(parts, log):
    """The parts that failed, each with its detail and the end of what its program said."""
    words = dict(section.split("\n", 1) for section in log.split("\n==== ")[1:])
    failed = [part for part in parts.values() if part["outcome"] == "failed"]
    return "\n".join(f"{part['name']}: {part['detail']} ({part['seconds']} s)" for part in failed) + "".join(
        f"\n\n==== {part['name']}\n{words[part['name']][-2000:]}" for part in failed)


def hides():
    """Whether a process may hide files from itself."""
    words = ["unshare", "--map-root-user", "--mount", "mount", "--bind", "/dev/null", __file__]
    return subprocess.run(words, capture_output=True).returncode == 0


def test_all_that_it_needs_is_in_it(unpacked):
    if hides():
        mine = unpacked / "origin.txt"
        assert any("libhdf5" in line for line in mine.read_text().splitlines())
        launcher = ["unshare", "--map-root-user", "--mount", "bash", "-c", HIDDEN, "hidden", mine]
        for program in ("mpirun", ROOT / "build" / "cpu" / "bin" / "lawa"):   # they don't start any more where the files are hidden
            assert subprocess.run([*launcher, program, "--help"], capture_output=True).returncode != 0
    else:
        launcher = ["env", "-i", "PATH=/usr/bin:/bin"]
    code, parts, screen = run(unpacked, launcher=launcher)
    assert code == 0, failures(parts, (unpacked.parent / "result.log").read_text())
    passed = {name for name, part in parts.items() if part["outcome"] == "passed"}
    assert passed >= {"libraries", "training", "bits", "speed", "tests of two ranks",
                      *(f"tests of {name}" for name in ("tensor", "ops", "optim", "model", "comm", "parity", "training_step"))}
    assert parts["training"]["numbers"]["steps"] == 3 and parts["speed"]["numbers"]["tokens_per_second"] > 0
    assert parts["memcheck of ops"]["outcome"] == "skipped" and parts["memcheck of ops"]["detail"]
    assert all(name in screen for name in parts)


def content(path):
    try:
        return path.read_bytes()
    except OSError:   # it ended while we looked
        return b""


def replace(folder, program, text):
    """Another program in its place."""
    path = folder / "bin" / program
    path.unlink()
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_part_that_fails_or_does_not_end_is_named_and_the_others_are_done(unpacked):
    replace(unpacked, "test_ops", "echo 'a \"quoted\" reason' >&2; exit 3")
    replace(unpacked, "test_model", f"sleep 1000.{os.getpid()}")
    replace(unpacked, "test_optim", "echo '[  PASSED  ] 0 tests.'")
    (unpacked / "tests" / "parity" / "golden.h5").unlink()
    (unpacked / "tokens" / "train.bin").unlink()
    code, parts, _ = run(unpacked, "--limit", "12", "--only", "libraries,tests,training,speed,kernels")
    failed = {name: part["detail"] for name, part in parts.items() if part["outcome"] == "failed"}
    assert code == 1 and set(failed) == {"libraries", "tests of ops", "tests of model", "tests of optim", "tests of parity", "training"}
    assert failed["tests of ops"] == 'exit code 3: a "quoted" reason' and failed["tests of model"] == "not done within 12 s"
    assert failed["libraries"].startswith("bin/test_") and "no test" in failed["tests of optim"]
    assert parts["tests of comm"]["outcome"] == parts["speed"]["outcome"] == parts["kernels"]["outcome"] == "passed"
    assert "bits" not in parts
    assert not any(f"sleep\0001000.{os.getpid()}".encode() in content(path) for path in Path("/proc").glob("[0-9]*/cmdline"))


def test_parts_that_are_not_there_are_refused(unpacked):
    refused = subprocess.run(["bash", unpacked / "run.sh", "--quick", "--only", "device,everything"], text=True, capture_output=True)
    assert refused.returncode == 2 and refused.stderr == "--only: there is no part everything\n"


def test_what_cannot_be_packed_is_refused(tmp_path):
    out = tmp_path / "lawa.tar"
    small = pack(out, "--preset", "cpu", "--most", "10")
    assert small.returncode == 1 and "and 10 are allowed (--most); the largest: " in small.stderr and not out.exists()
    for words, says in ((["--preset", "nothing"], "build/nothing/bin/lawa isn't built; bash framework/setup/build.sh nothing"),
                        (["--wrong"], "unknown option --wrong"), ([tmp_path / "other.tar"], "one archive, not also")):
        refused = pack(out, *words)
        assert refused.returncode == 1 and says in refused.stderr and not out.exists()
