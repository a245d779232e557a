#!/usr/bin/env python3
"""A site's settings as shell commands, for `source slurm/use SYSTEM`: python3 slurm/system.py SYSTEM"""
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "analysis"))
from toml_files import read_toml   # noqa: E402

SBATCH = {"partition": "SBATCH_PARTITION", "account": "SBATCH_ACCOUNT", "qos": "SBATCH_QOS", "constraint": "SBATCH_CONSTRAINT",
          "gpus": "SBATCH_GPUS_PER_NODE"}
OTHERS = {"ranks": "LAWA_RANKS_PER_NODE", "preset": "LAWA_PRESET", "stripe": "LAWA_STRIPE", "tasks": "LAWA_TASKS", "launch": "LAWA_LAUNCH"}
VARIABLES = SBATCH | OTHERS
KEYS = {*VARIABLES, "mpi", "container", "cores", "modules", "environment"} - {"launch"}


def systems():
    """Their names."""
    return sorted(path.stem for path in (ROOT / "slurm" / "systems").glob("*.toml"))


def settings(system):
    """The tables of a system's file, and what follows from them. Errors: a key that isn't known."""
    site = read_toml(ROOT / "slurm" / "systems" / f"{system}.toml")
    if unknown := set(site) - KEYS:
        raise ValueError(f"slurm/systems/{system}.toml: unknown key {min(unknown)}; known are {', '.join(sorted(KEYS))}")
    mpi = f" --mpi={site['mpi']}" if "mpi" in site else ""
    container = f" {site['container']}" if "container" in site else ""
    site["launch"] = f"srun{mpi} --ntasks={{ranks}} --kill-on-bad-exit=0 --wait=60{container}"
    if "gpus" in site or "cores" in site:   # a rank a GPU, or a core
        site.setdefault("ranks", site.get("gpus") or site["cores"])
    return site


def commands(system):
    """Lines for a shell. What another system has set before is gone."""
    site = settings(system)
    values = {variable: site[key] for key, variable in VARIABLES.items() if key in site} | site.get("environment", {})
    lines = [f"module load {shlex.join(site['modules'])} || return 1"] if site.get("modules") else []
    exports = [f"export {name}={shlex.quote(str(value))}" for name, value in {"LAWA_ROOT": ROOT, **values}.items()]
    return [*lines, f"unset {' '.join(VARIABLES.values())}", *exports]


if __name__ == "__main__":
    try:
        if sys.argv[1:] not in [[name] for name in systems()]:
            raise ValueError(f"source slurm/use SYSTEM, one of {', '.join(systems())} (files of slurm/systems/)")
        print("\n".join(commands(sys.argv[1])))
    except ValueError as error:
        sys.exit(str(error))
