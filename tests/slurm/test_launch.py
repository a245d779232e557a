"""`lawa doctor` under the srun of a real Slurm: with PMIx nothing is wrong, without it each task is a job of its own."""
import json
import os
import subprocess

import pytest
from cluster import PROGRAM

DOCTOR = [PROGRAM, "doctor", "--json", "probe_seconds=0.4", "probe_bytes=8000000"]
TASKS = min(2, len(os.sched_getaffinity(0)))


def report(slurm, folder, *launch, code, **variables):
    """The object on stdout, which must be the only one; and nothing stays in the folder."""
    printed = slurm.run(folder, *launch, *DOCTOR, code=code, **variables)
    assert os.listdir(folder) == [] and printed.count("\n") == 1, printed
    return json.loads(printed)


def errors(found):
    return {one["name"]: one for one in found["findings"] if one["severity"] == "error"}


def kinds(slurm):
    """The kinds of MPI that this srun has."""
    return subprocess.run(["srun", "--mpi=list"], text=True, capture_output=True, env=slurm.environment).stdout.split()


def test_with_pmix_ranks_find_each_other(slurm, tmp_path):
    if "pmix" not in kinds(slurm):
        pytest.skip("this Slurm has no PMIx")
    found = report(slurm, tmp_path, "srun", f"--ntasks={TASKS}", "--mpi=pmix", code=0)
    launch = {"launcher": "srun", "tasks": TASKS, "rank": 0, "pmix": True, "kind": "pmix"}
    assert found["launch"] == launch and found["mpi"]["ranks"] == TASKS
    assert not {"singletons", "no_pmix"} & {one["name"] for one in found["findings"]}


@pytest.mark.parametrize("kind", ["none", "pmi2"])
def test_without_pmix_they_do_not(slurm, tmp_path, kind):
    if kind not in kinds(slurm):
        pytest.skip(f"this Slurm has no {kind}")
    found = report(slurm, tmp_path, "srun", "--ntasks=2", f"--mpi={kind}", "--overcommit", code=1)
    if not found["mpi"]["library"].startswith("Open MPI"):
        pytest.skip("this MPI needs no PMIx")
    assert found["launch"]["tasks"] == 2 and found["mpi"]["ranks"] == 1 and not found["launch"]["pmix"]
    problems = errors(found)
    assert "srun started 2 tasks, and each is an MPI job of 1 rank" in problems["singletons"]["found"]
    assert "srun --mpi=pmix" in problems["singletons"]["remedy"]
    assert f"srun --mpi={kind} offers no PMIx" in problems["no_pmix"]["found"] and "MpiDefault=pmix" in problems["no_pmix"]["remedy"]


def test_a_batch_script_that_forgets_srun(slurm, tmp_path):
    words = " ".join(map(str, DOCTOR))
    slurm.run(tmp_path, "sbatch", "--wait", "--ntasks=2", "--overcommit", "--output=page.json", f"--wrap={words} 2>/dev/null", code=1)
    found = json.loads((tmp_path / "page.json").read_text())
    assert "Slurm's allocation is for 2 tasks" in errors(found)["singletons"]["found"]
    assert "srun (in a batch script too)" in errors(found)["singletons"]["remedy"]


def test_mpirun_inside_a_job_counts(slurm, tmp_path):
    words = " ".join(map(str, DOCTOR))
    slurm.run(tmp_path, "sbatch", "--wait", f"--ntasks={TASKS}", "--output=page.json", f"--wrap=mpirun -n 1 {words} 2>/dev/null",
              OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    found = json.loads((tmp_path / "page.json").read_text())
    assert (found["launch"]["launcher"], found["launch"]["tasks"]) == ("mpirun", 1) and not errors(found)
