"""The library that makes system calls fail, on a program that we know."""
import os
import subprocess
import sys

from faults import Count, counting, counts, fault

COPY = "import os; data = open('from', 'rb').read(); out = open('to', 'wb', buffering=0); [out.write(data) for _ in range(3)]; os.fsync(out)"


def copy(variables):
    return subprocess.run([sys.executable, "-c", COPY], env=os.environ | variables, text=True, capture_output=True)


def test_the_nth_call_of_a_rank_on_a_file_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "from").write_bytes(bytes(1000))
    for written, nth in ((0, 1), (1, 2), (2, "3+"), (3, 4)):
        result = copy(fault("ENOSPC", "read,write", path="/to", nth=nth, rank=1) | {"OMPI_COMM_WORLD_RANK": "1"})
        assert ("No space left on device" in result.stderr) == (written < 3)
        assert (tmp_path / "to").stat().st_size == 1000 * written
    assert copy(fault("ENOSPC", "write", path="/to", rank=1) | {"OMPI_COMM_WORLD_RANK": "0"}).returncode == 0
    assert copy(fault("SIGKILL", "fsync")).returncode == -9
    assert "neither an errno nor a signal" in copy(fault("EWRONG", "fsync")).stderr


def test_calls_and_bytes_are_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "from").write_bytes(bytes(1000))
    assert copy(counting(tmp_path / "counts", str(tmp_path)) | {"OMPI_COMM_WORLD_RANK": "2"}).returncode == 0
    found = counts(tmp_path / "counts")
    assert Count(2, "write", 3, 3000, str(tmp_path / "to")) in found and Count(2, "fsync", 1, 0, str(tmp_path / "to")) in found
    assert sum(count.bytes for count in found if count.call == "read") == 1000
