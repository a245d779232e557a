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


@pytest.mark.parametrize("name", [*(path.stem for path in TRAINING), "average", "evaluate"])
def test_the_numbers_in_the_comments_are_the_formula_s(name):
    assert "".join(f"#   {line}\n" for line in cost.lines(name)) in (FOLDER / f"{name}.sh").read_text()


def test_the_formula_counts_what_can_be_counted_by_hand():
    keys, average = cost.keys_of("small")
    run = cost.training(keys, average)
    assert run["tokens"] == 70000 * 384 * 1024 and run["weights"] == 4 * 124_373_760
    assert run["state"] == 7 * run["weights"]   # two moments, five snapshots
    forward_and_backward = 6 * (124_373_760 - 1024 * 768) + 12 * 12 * 768 * 1024
    evaluated = 350 * 2 * 2000 * 1024   # 350 times, plain and averaged
    assert run["flops"] == pytest.approx(forward_and_backward * (run["tokens"] + evaluated / 3))
    assert len(cost.checkpoints(keys)) == 350 and cost.averages(keys, average) == set(range(2000, 70001, 400))
    assert run["disk"] == run["weights"] * (350 + 171) + 3 * run["state"]


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
