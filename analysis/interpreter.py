"""Imported before numpy and the like: where this Python lacks a module, one line says which Python or package to use."""
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 9)
SYSTEM = "/usr/bin/python3"   # which gets its modules from the system's packages
PROGRAM = Path(sys.argv[0]).stem


def advice(module):
    """Where a missing module is to be had; the system's Python is asked whether it has it."""
    package = f"apt install python3-{module}"
    if sys.executable != SYSTEM and Path(SYSTEM).exists():
        asked = subprocess.run([SYSTEM, "-c", f"import {module}"], capture_output=True, check=False)
        if asked.returncode == 0:
            return f"use {SYSTEM}, which has it (elsewhere: {package})"
    return (f"{SYSTEM} of Debian and Ubuntu has it after {package}; elsewhere python3 -m venv .venv && .venv/bin/pip install {module}, "
            "and use .venv/bin/python")


def hook(kind, error, trace):
    """In place of sys.excepthook: a missing module is one line, everything else as before."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if issubclass(kind, ModuleNotFoundError) and name:
        print(f"{PROGRAM}: {sys.executable} has no {name}; {advice(name)}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if sys.version_info < OLDEST:
    sys.exit(f"{PROGRAM}: {sys.executable} is Python {sys.version.split()[0]}; use Python {'.'.join(map(str, OLDEST))} or newer")
sys.excepthook = hook
