"""provenance.json: from which code, configs, seeds and text a figure's data come, and what it took. No machine paths."""
import hashlib
import json
import platform

import matplotlib
import numpy as np

RUN_KEYS = ("program", "git", "dirty", "build", "ranks", "device", "tokens_digest")  # of a run's own file


def read_json(path):
    """The object in a JSON file; {} where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def of_run(folder, arm, seed, lines):
    """One run's entry: hashes, and which program trained and evaluated it. lines: its evaluations."""
    own = read_json(folder / "provenance.json")
    return {
        "arm": arm, "seed": seed,
        "trajectory_hash": sorted({line["trajectory_hash"] for line in lines})[0],
        "config_hashes": sorted({line["config_hash"] for line in lines if "config_hash" in line}),
        "git": sorted({line["git"] for line in lines if "git" in line}),
        "validation_tokens": sorted({line["validation_tokens"] for line in lines if "validation_tokens" in line}),
        "trained_by": {key: own[key] for key in RUN_KEYS if key in own},
    }


def seconds_of_phases(path):
    """{phase: seconds}, summed over the attempts that run.sh noted in seconds.tsv, in order of first appearance."""
    seconds = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            phase, value = line.split("\t")
            seconds[phase] = round(seconds.get(phase, 0) + float(value), 1)
    return seconds


def machine():
    """The processor and system that the data were collected on."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            processor = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        processor = platform.processor()
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, AttributeError, KeyError):
        system = platform.system()
    return {"processor": processor, "system": system}


def to_json(spec, folder, csv_text, runs):
    """The text of a figure's provenance.json. folder: its runs; csv_text: of the data.csv that it describes."""
    return json.dumps({
        "figure": spec.name,
        "command": f"bash experiments/{spec.name}/run.sh",
        "data_csv_sha256": hashlib.sha256(csv_text.encode("utf-8")).hexdigest(),
        "seeds": list(spec.seeds),
        "runs": runs,
        "text": read_json(folder / "data" / "meta.json"),
        "seconds": seconds_of_phases(folder / "seconds.tsv"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "matplotlib": matplotlib.__version__},
    }, indent=2, ensure_ascii=False) + "\n"
