"""slurm/ without a Slurm: syntax, portable directives, the numbers in comments, the sites' settings."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "slurm"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
TRAINING = sorted(FOLDER.glob("gpt2_*_lawa.sh"))
sys.path.insert(0, str(FOLDER))
import cost     # noqa: E402
import system   # noqa: E402


@pytest.mark.parametrize("script", [*SCRIPTS, FOLDER / "use", ROOT / "tests" / "slurm" / "one_node.sh"], ids=lambda path: path.name)
def test_the_syntax_is_bash(script):
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_nothing_of_a_site_stands_in_a_script(script):
    directives = re.findall(r"^#SBATCH (--[a-z-]+)", script.read_text(), re.MULTILINE)
    known = {"--job-name", "--nodes", "--ntasks", "--exclusive", "--time", "--signal", "--requeue", "--open-mode", "--output"}
    assert set(directives) <= known
    assert script not in TRAINING or {"--nodes", "--time", "--signal", "--requeue", "--open-mode", "--output"} <= set(directives)


built = pytest.mark.skipif(not cost.PROGRAM.exists(), reason="lawa isn't built")


@built
@pytest.mark.parametrize("name", [*(path.stem for path in TRAINING), "average", "evaluate"])
def test_the_numbers_in_the_comments_are_the_plan_s(name):
    assert "".join(f"#   {line}\n" for line in cost.lines(name)) in (FOLDER / f"{name}.sh").read_text()


@built
def test_the_plan_counts_what_can_be_counted_by_hand():
    planned = cost.plan("small")
    parameters, disk = 124_373_760, planned["disk"]
    assert planned["model"]["parameters"] == parameters and planned["training"]["tokens"] == 70000 * 384 * 1024
    assert disk["weights_bytes"] == pytest.approx(4 * parameters, rel=1e-3)
    assert disk["state_bytes"] == pytest.approx(7 * 4 * parameters, rel=1e-3)   # two moments, five snapshots
    products = 6 * (12 * 12 * 768**2 + 50304 * 768) + 12 * 12 * 768 * 1024   # of a token, forward and backward
    assert planned["training"]["flops"] == products * 70000 * 384 * 1024
    assert planned["evaluation"]["evaluations"] == 350 + 171   # plain every 200 steps; every 400 from 2000 on there is a new average
    assert planned["evaluation"]["flops"] == pytest.approx(521 * products * 2000 * 1024 / 3)
    assert (disk["checkpoints"], disk["averages"], disk["most_states"]) == (350, 171, 3)
    assert disk["bytes"] == (350 + 171) * disk["weights_bytes"] + 3 * disk["state_bytes"]
    assert planned["time"]["training_seconds"] == pytest.approx(planned["training"]["flops"] / (cost.GPUS * cost.GPU))
    assert cost.plan("medium")["disk"]["checkpoints"] == 70   # every 2000 steps, and beside each state


def use(*systems, prelude=""):
    """(exit code, stderr, environment) of a shell after `source slurm/use SYSTEM` for each."""
    commands = f"{prelude}\n" + "".join(f"source {FOLDER}/use {name} || exit 1\n" for name in systems) + "env -0"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SBATCH_", "LAWA_", "OMPI_"))}
    result = subprocess.run(["bash", "-c", commands], text=True, capture_output=True, env=environment | {"LAWA_PYTHON": sys.executable})
    return result.returncode, result.stderr, dict(line.partition("=")[::2] for line in result.stdout.split("\0") if line)


MODULE = "module() { LOADED=\"$*\"; export LOADED; }"   # stands for the site's own


def test_use_local():
    code, errors, found = use("local")
    assert code == 0 and errors == "" and found["LAWA_ROOT"] == str(ROOT)
    assert found["LAWA_LAUNCH"].startswith("srun --mpi=pmix --ntasks={ranks} ") and "SBATCH_PARTITION" not in found


def test_use_an_nvidia_cluster():
    code, errors, found = use("nvidia", prelude=MODULE)
    assert code == 0 and errors == "" and found["LOADED"].startswith("load gcc/")
    assert found["SBATCH_GPUS_PER_NODE"] == found["LAWA_RANKS_PER_NODE"] == "4" and found["LAWA_PRESET"] == "cuda"
    assert found["SBATCH_ACCOUNT"] == "my_project" and found["LAWA_LAUNCH"].endswith(" apptainer exec --nv lawa.sif")
    assert found["LAWA_STRIPE"] == "lfs setstripe -c 8 -S 16M" and found["OMPI_MCA_pml"] == "ucx"


def test_use_a_cpu_cluster_after_another():
    code, _, found = use("nvidia", "cpu", prelude=MODULE)
    assert code == 0 and found["SBATCH_PARTITION"] == "standard" and found["LAWA_RANKS_PER_NODE"] == "64"
    assert not {"SBATCH_GPUS_PER_NODE", "SBATCH_CONSTRAINT", "LAWA_PRESET", "LAWA_STRIPE"} & set(found)


def test_use_says_what_is_wrong_and_sets_nothing(tmp_path, monkeypatch):
    code, errors, _ = use("nowhere")
    assert code == 1 and "one of cpu, local, nvidia" in errors
    code, errors, _ = use("nvidia")   # a machine without modules
    assert code == 1 and "module" in errors
    (tmp_path / "slurm" / "systems").mkdir(parents=True)
    (tmp_path / "slurm" / "systems" / "mine.toml").write_text('partitoin = "gpu"\n')
    monkeypatch.setattr(system, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="unknown key partitoin; known are account, "):
        system.commands("mine")


def test_a_script_that_is_not_submitted_says_so():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "LAWA_"))}
    for script in (*TRAINING, FOLDER / "average.sh", FOLDER / "evaluate.sh", FOLDER / "experiment_task.sh"):
        result = subprocess.run(["bash", script], text=True, capture_output=True, env=environment)
        assert result.returncode != 0 and "submit this script with sbatch" in result.stderr
