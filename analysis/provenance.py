"""provenance.json: from which code, configs, seeds and text a figure's data come. No machine paths, nothing that takes time."""
import hashlib
import json
import platform

import interpreter  # noqa: F401
import matplotlib
import numpy
import pandas
import scipy


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


def digest_of_claims(spec):
    """Changes when a claim does: redrawing says so where data were collected under other claims."""
    return hashlib.sha256(json.dumps(spec.claims, sort_keys=True).encode("utf-8")).hexdigest()


def distinct(values):
    """Different values, in order of appearance."""
    return list(dict.fromkeys(value for value in values if value is not None))


def epochs(table, text):
    """How often the longest run reads the training text, two digits; None where the text doesn't say how long it is."""
    tokens = text.get("files", {}).get("train.bin", {}).get("tokens")
    return float(f"{table.data['trained_tokens'].max() / tokens:.2g}") if tokens else None


def to_json(table, csv_text, records, text):
    """The text of a figure's provenance.json. csv_text: of the data.csv that it describes; text: meta.json of the tokens."""
    made_by = [record.facts["made_by"] for record in records]
    spec = table.spec
    return json.dumps({
        "figure": spec.name,
        "scale": spec.scale,
        "command": f"python3 experiments/run.py {spec.name} --scale {spec.scale}",
        "claims_sha256": digest_of_claims(spec),
        "data_csv_sha256": hashlib.sha256(csv_text.encode("utf-8")).hexdigest(),
        "runs": distinct(record.facts["key"] for record in records),
        "missing": table.missing,
        "diverged": table.diverged,
        "git": distinct(facts.get("git") for facts in made_by),
        "dirty": any(facts.get("dirty", False) for facts in made_by),
        "build": distinct(facts.get("build") for facts in made_by),
        "devices": distinct(facts.get("device") for facts in made_by),
        "tokens_digest": distinct(facts.get("tokens_digest") for facts in made_by),
        "epochs": epochs(table, text),
        "text": text,
        "machine": machine(),
        "versions": {"python": platform.python_version(), "numpy": numpy.__version__, "pandas": pandas.__version__,
                     "scipy": scipy.__version__, "matplotlib": matplotlib.__version__},
    }, indent=1, ensure_ascii=False) + "\n"
