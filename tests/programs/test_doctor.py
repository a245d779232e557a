"""`lawa doctor`: its page and its object, and each finding on a machine on which that is really wrong."""
import json
import os
import resource
import subprocess
from pathlib import Path

import pytest
from runner import ENVIRONMENT, PROGRAM, lawa, succeed

CORES = len(os.sched_getaffinity(0))
QUICK = ("probe_seconds=0.4", "probe_bytes=8000000")
RESOURCES = {"open_files": resource.RLIMIT_NOFILE}

# What FAULT names goes wrong in a process that has this library in front of the others.
FAULTS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
static int is(const char* fault) { const char* set = getenv("FAULT"); return set && strstr(set, fault); }
#define NEXT(function) ((__typeof__(function)*)dlsym(RTLD_NEXT, #function))
#define FCNTL(function)                                                            \
  int function(int file, int command, ...) {                                       \
    va_list rest;                                                                  \
    va_start(rest, command);                                                       \
    void* argument = va_arg(rest, void*);                                          \
    va_end(rest);                                                                  \
    if (command == F_SETLK && is("no fcntl")) return errno = ENOLCK, -1;           \
    if (command == F_SETLK && is("private fcntl")) return 0;                       \
    return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, #function))(file, command, argument); \
  }
FCNTL(fcntl)
FCNTL(fcntl64)
int flock(int file, int operation) { return is("no flock") ? errno = ENOSYS, -1 : NEXT(flock)(file, operation); }
int fsync(int file) {
  if (is("slow fsync")) usleep(100000);
  return NEXT(fsync)(file);
}
int clock_gettime(clockid_t clock, struct timespec* time) {
  const int status = NEXT(clock_gettime)(clock, time);
  if (clock == CLOCK_REALTIME && is("late clock")) time->tv_sec -= 100;
  return status;
}
int H5Pset_fapl_mpio(long list, void* comm, void* info) {
  return is("serial hdf5") ? -1 : ((int (*)(long, void*, void*))dlsym(RTLD_NEXT, "H5Pset_fapl_mpio"))(list, comm, info);
}
int H5Pset_dxpl_mpio(long list, int how) {
  return is("no collective writes") ? -1 : ((int (*)(long, int))dlsym(RTLD_NEXT, "H5Pset_dxpl_mpio"))(list, how);
}
int H5Dwrite(long dataset, long type, long memory, long file, long list, const void* values) {
  int (*next)(long, long, long, long, long, const void*) = dlsym(RTLD_NEXT, "H5Dwrite");
  return is("no writes") ? -1 : next(dataset, type, memory, file, list, values);
}
"""


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    """fault -> the environment of a process in which it happens."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "faults.c").write_text(FAULTS)
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", folder / "faults.so", folder / "faults.c", "-ldl"], check=True)
    return lambda fault: {"LD_PRELOAD": str(folder / "faults.so"), "FAULT": fault}


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path, monkeypatch):
    """Runs a test in a folder that must be empty afterwards."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert os.listdir(tmp_path / "here") == []


def examined(command, variables=None, limits=None):
    """(exit code, the object on stdout) of a command that ends in `doctor … --json`."""
    def set_limits():
        for name, value in (limits or {}).items():
            resource.setrlimit(RESOURCES[name], (value, value))
    result = subprocess.run([str(word) for word in command], env=ENVIRONMENT | (variables or {}), text=True, capture_output=True, timeout=100,
                            preexec_fn=set_limits)
    assert result.stdout.count("\n") == 1, result.stdout + result.stderr
    report = json.loads(result.stdout)
    assert result.returncode == (1 if report["errors"] else 0)
    return report


def doctor(*words, ranks=None, **options):
    launcher = ["mpirun", "-np", ranks, "--oversubscribe", "--bind-to", "none"] if ranks else []
    return examined([*launcher, PROGRAM, "doctor", "--json", *QUICK, *words], **options)


def on_both(first=(), second=()):
    """The doctor on two ranks, each behind words of its own."""
    each = [PROGRAM, "doctor", "--json", *QUICK]
    return ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", 1, *first, *each, ":", "-np", 1, *second, *each]


def in_mounts(mounts, *command):
    """The command where these are mounted, for it alone: {folder: size, or None for what is there, read-only}."""
    lines = [f"mount -t tmpfs -o size={size} tmpfs {folder}" if size else
             f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}" for folder, size in mounts.items()]
    return ["unshare", "--mount", "sh", "-c", " && ".join([*lines, 'exec "$@"']), "sh", *command]


def can_mount():
    return subprocess.run(in_mounts({"/mnt": "1m"}, "true"), capture_output=True).returncode == 0


mounts = pytest.mark.skipif(not can_mount(), reason="this user may not mount anything (unshare --mount)")


def finding(report, name, severity):
    """The finding's texts; there must be one, of this severity, and warnings aside no other."""
    assert [one["name"] for one in report["findings"] if one["severity"] == "error" and one["name"] != name] == []
    found, = [one for one in report["findings"] if one["name"] == name]
    assert found["severity"] == severity
    return found["found"], found["remedy"]


def expect(report, name, severity, found, remedy):
    texts = finding(report, name, severity)
    assert found in texts[0] and remedy in texts[1], texts


# ---- a machine on which nothing is wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [None, 1, min(2, CORES)])
def test_the_facts_of_a_sound_machine(ranks):
    """Warnings may be there: other programs may run on the machine."""
    report = doctor(ranks=ranks, limits=None)
    busy = {"cores_taken", "slow_rank", "slow_disk", "slow_all_reduce", "few_open_files", "small_shared_memory", "memory_disk", "gpu_unused"}
    assert report["errors"] == 0 and {one["name"] for one in report["findings"]} <= busy
    assert report["seconds"] < 60
    number = ranks or 1
    assert report["mpi"]["ranks"] == len(report["ranks"]) == number and report["mpi"]["io"] in ("OMPIO", "ROMIO")
    assert (report["mpi"]["all_reduce_bytes_per_second"] > 0) == (number > 1)
    assert report["launch"]["launcher"] == ("mpirun" if ranks else "") and report["launch"]["tasks"] == number
    assert report["hdf5"]["parallel"] and report["hdf5"]["trial_write_bytes_per_second"] > 0
    folder, status = report["folder"], os.statvfs(".")
    assert folder["path"] == "." and folder["write_bytes_per_second"] > 0 and folder["read_bytes_per_second"] > 0
    assert folder["free_bytes"] == pytest.approx(status.f_bavail * status.f_frsize, rel=0.05)
    for rank in report["ranks"]:
        assert rank["host"] == os.uname().nodename and rank["cpus"] == sorted(os.sched_getaffinity(0)) and rank["threads"] == 1
        assert rank["memory_bytes"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        assert rank["open_files"] == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        assert rank["flops_per_second"] > 0 and 0 < rank["cpu_share"] < 1.1


def test_the_page_says_the_same_in_words():
    page = succeed("doctor", *QUICK, ranks=2).out
    for name in ("lawa", "MPI", "job", "hosts", "GPUs", "products", "all-reduce", "HDF5", "folder"):
        assert f"\n{name} " in "\n" + page
    assert f"2 ranks on 1 host, 2 share memory with rank 0; started by mpirun\nhosts       {os.uname().nodename}: 2 ranks of 1 thread" in page
    assert "\n0 errors, " in page and page.count("remedy: ") == page.count("\nwarning ")


def test_the_page_ends_with_the_errors_and_their_remedies():
    result = lawa("doctor", *QUICK, "disk_bytes=1e18")
    assert result.code == 1 and "lawa doctor found 1 error" in result.errors[0]
    assert "free, less than disk_bytes = 1e+03 PB (small_disk)\n            remedy: " in result.out


# ---- launch ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variables, found, remedy", [
    ({"SLURM_NTASKS": "2"}, "Slurm's allocation is for 2 tasks, and this is an MPI job of 1 rank", "srun"),
    ({"OMPI_COMM_WORLD_SIZE": "2"}, "mpirun started 2 tasks", "the mpirun of the MPI that lawa was built with"),
    ({"PMI_SIZE": "2"}, "mpiexec started 2 tasks", "the mpirun of the MPI that lawa was built with"),
], ids=["allocation", "mpirun", "mpiexec"])
def test_singletons(variables, found, remedy):
    expect(doctor(variables=variables), "singletons", "error", found, remedy)


def test_singletons_under_srun():
    report = doctor(variables={"SLURM_STEP_NUM_TASKS": "2", "SLURM_MPI_TYPE": "none"})
    first, second = (one for one in report["findings"] if one["severity"] == "error")
    assert (first["name"], second["name"]) == ("singletons", "no_pmix")
    assert "srun started 2 tasks, and each is an MPI job of 1 rank" in first["found"] and "srun --mpi=pmix" in first["remedy"]
    assert "srun --mpi=none offers no PMIx" in second["found"] and "MpiDefault=pmix" in second["remedy"]


def test_of_several_singletons_one_speaks():
    result = subprocess.run([PROGRAM, "doctor", *QUICK], env=ENVIRONMENT | {"PMI_SIZE": "2", "PMI_RANK": "1"}, capture_output=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_no_pmix():
    report = doctor(variables={"SLURM_STEP_NUM_TASKS": "1", "SLURM_MPI_TYPE": "none"})
    expect(report, "no_pmix", "error", "srun --mpi=none offers no PMIx", "srun --mpi=pmix")


# ---- cores ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(CORES != os.cpu_count(), reason="these tests may not run on all cores")
def test_more_ranks_than_cores():
    expect(doctor(ranks=CORES + 1), "oversubscribed_cores", "error", f"{CORES + 1} ranks on the {CORES} core", f"mpirun -n {CORES}")


@pytest.mark.skipif(CORES < 2, reason="takes two cores")
def test_two_ranks_bound_to_one_core():
    core = min(os.sched_getaffinity(0))
    report = examined(on_both(["taskset", "--cpu-list", core], ["taskset", "--cpu-list", core]))
    found = f"ranks 0, 1 of {os.uname().nodename} may run on 1 core (cpu {core}) of its {os.cpu_count()} cpus only"
    expect(report, "shared_cores", "error", found, "--bind-to core")


@pytest.mark.skipif(CORES < 2, reason="takes two cores")
def test_ranks_that_mpirun_binds_have_a_core_each():
    report = examined(["mpirun", "-np", 2, "--bind-to", "core", PROGRAM, "doctor", "--json", *QUICK])
    first, second = (set(rank["cpus"]) for rank in report["ranks"])
    assert report["errors"] == 0 and not first & second


def test_more_threads_than_cores():
    report = doctor(ranks=2, variables={"OMP_NUM_THREADS": str(CORES + 1)})
    assert [rank["threads"] for rank in report["ranks"]] == [CORES + 1] * 2
    expect(report, "too_many_threads", "warning", f"2 ranks with {2 * (CORES + 1)} threads in all on {CORES} core", "export OMP_NUM_THREADS=")


def test_cores_that_something_else_runs_on():
    core = str(min(os.sched_getaffinity(0)))
    others = [subprocess.Popen(["taskset", "--cpu-list", core, "sh", "-c", "while :; do :; done"]) for _ in range(3)]
    try:
        report = examined(["taskset", "--cpu-list", core, PROGRAM, "doctor", "--json", *QUICK])
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert report["ranks"][0]["cpu_share"] < 0.6
    expect(report, "cores_taken", "warning", "rank 0 on", "--exclusive")


@mounts
def test_a_gpu_that_the_build_does_not_use():
    appears = 'mkdir -p /proc/driver/nvidia/gpus/0000:3b:00.0; exec "$@"'
    report = examined(in_mounts({"/proc/driver": "1m"}, "sh", "-c", appears, "sh", PROGRAM, "doctor", "--json", *QUICK))
    if report["build"]["cuda"]:
        pytest.skip("this build is for GPUs")
    expect(report, "gpu_unused", "warning", "has 1 GPU, and this build has neither CUDA nor NCCL", "build the preset cuda")


def test_slow_communication():
    expect(doctor("all_reduce_rate=1e15", ranks=2), "slow_all_reduce", "warning", "less than all_reduce_rate = 1 PB/s", "OMPI_MCA_pml=ucx")


# ---- HDF5 -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [None, 2])
def test_serial_hdf5(faults, ranks):
    report = doctor(ranks=ranks, variables=faults("serial hdf5"))
    assert not report["hdf5"]["parallel"] and report["hdf5"]["trial_bytes"] > 0
    expect(report, "serial_hdf5", "warning", "is a serial library", "hdf5-parallel, phdf5, libhdf5-openmpi-dev")


@pytest.mark.parametrize("ranks", [None, 2])
def test_a_checkpoint_that_can_not_be_written(faults, ranks):
    report = doctor(ranks=ranks, variables=faults("no writes"))
    expect(report, "no_checkpoint", "error", "no checkpoint can be written: ", "lawa doctor FOLDER")


def test_parallel_hdf5_that_fails(faults):
    report = doctor(ranks=2, variables=faults("no collective writes"))
    assert report["hdf5"]["trial_bytes"] > 0
    expect(report, "no_parallel_hdf5", "warning", "through parallel HDF5: ", "OMPI_MCA_io=romio321")


# ---- folder ---------------------------------------------------------------------------------------------------------------------


def test_no_fcntl_locks(faults):
    report = doctor(variables=faults("no fcntl"))
    expect(report, "no_locks", "warning", "grants no fcntl locks: No locks available", "run.lock.owner stands for a lock")


def test_no_flock_locks(faults):
    report = doctor(variables=faults("no flock"))
    expect(report, "no_flock", "warning", "grants no flock locks: Function not implemented", "HDF5_USE_FILE_LOCKING=FALSE")


def test_locks_that_others_do_not_see(faults):
    report = doctor(ranks=2, variables=faults("private fcntl"))
    expect(report, "private_locks", "error", f"{os.uname().nodename} got a lock in .", "flock, not localflock")


def test_a_slow_disk(faults):
    report = doctor(variables=faults("slow fsync"))
    expect(report, "slow_disk", "warning", "from one process, fsync included, less than disk_write_rate = 100 MB/s", "scratch, not home")
    names = [one["found"] for one in doctor("disk_read_rate=1e15", "disk_write_rate=0")["findings"] if one["name"] == "slow_disk"]
    assert len(names) == 1 and "to one process, less than disk_read_rate = 1 PB/s" in names[0]


@mounts
def test_too_small_a_disk(tmp_path):
    report = examined(in_mounts({tmp_path / "here": "64m"}, PROGRAM, "doctor", tmp_path / "here", "--json", *QUICK))
    assert {one["name"] for one in report["findings"]} >= {"small_disk", "memory_disk"}
    expect(report, "small_disk", "error", "has 67.1 MB free, less than disk_bytes = 10 GB", "lawa plan")
    enough = examined(in_mounts({tmp_path / "here": "64m"}, PROGRAM, "doctor", tmp_path / "here", "--json", "disk_bytes=6e7", *QUICK))
    expect(enough, "memory_disk", "warning", "lies in memory (tmpfs)", "on a disk")


@mounts
def test_a_full_disk(tmp_path):
    here = tmp_path / "here"
    fill = f'cat /dev/zero >{here}/x 2>/dev/null; exec "$@"'
    report = examined(in_mounts({here: "1m"}, "sh", "-c", fill, "sh", PROGRAM, "doctor", here, "--json", *QUICK))
    expect(report, "no_folder", "error", "is full", "lawa doctor DIRECTORY")


@mounts
def test_a_folder_that_can_not_be_written(tmp_path):
    report = examined(in_mounts({tmp_path / "here": None}, PROGRAM, "doctor", tmp_path / "here", "--json", *QUICK))
    expect(report, "no_folder", "error", "Read-only file system", "may be written")


@pytest.mark.parametrize("ranks", [None, 2])
@pytest.mark.parametrize("folder, found", [("missing", "No such file or directory"), (PROGRAM, "is a file")], ids=["missing", "file"])
def test_no_folder(folder, found, ranks):
    expect(doctor(folder, ranks=ranks), "no_folder", "error", found, "name a folder that is there")


@mounts
def test_a_folder_that_ranks_do_not_share(tmp_path):
    report = examined(on_both(second=in_mounts({tmp_path / "here": "8m"}, "sh", "-c", f'cd {tmp_path}/here; exec "$@"', "sh")))
    expect(report, "private_folder", "error", f"{os.uname().nodename} don't see in .", "file system that all hosts share")


def test_clocks_that_differ(faults):
    report = doctor(variables=faults("late clock"))
    assert report["folder"]["clock_ahead_seconds"] == pytest.approx(100, abs=1)
    expect(report, "clocks_apart", "warning", "files in . get times 100 s ahead of", "NTP")


def test_a_long_path_is_none_of_its_problems(tmp_path):
    folder = tmp_path / "y" / ("x" * 200)
    folder.mkdir(parents=True)
    report = doctor(folder, ranks=2)
    assert report["hdf5"]["trial_bytes"] > 0 and not report["hdf5"]["parallel_error"]


# ---- nodes ----------------------------------------------------------------------------------------------------------------------


def test_few_open_files():
    expect(doctor(limits={"open_files": 300}), "few_open_files", "warning", "may have 300 files open, less than 512", "ulimit -Hn 4096")


@mounts
def test_small_shared_memory():
    report = examined(in_mounts({"/dev/shm": "48m"}, *on_both()))
    expect(report, "small_shared_memory", "warning", "MB free for 2 ranks, less than 33.6 MB each", "docker --shm-size=1g")


# ---- the command ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words, says", [
    (("a", "b"), "takes one folder, not 2"), (("disk_byte=1",), "unknown key disk_byte"), (("--jsn",), "unknown option --jsn"),
    (("cpu_share=2",), "cpu_share")], ids=str)
def test_mistakes(words, says):
    result = lawa("doctor", *words)
    assert result.code == 1 and says in result.errors[0] and result.out == ""


def test_help_says_what_the_exit_codes_mean():
    page = succeed("doctor", "--help").out
    assert "Exit codes: 0 without errors" in page and "1 with at least one" in page
    assert all(key in page for key in ("disk_bytes = ", "disk_write_rate = ", "probe_seconds = "))
