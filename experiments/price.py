"""What a table of runs takes, before anything starts: tokens, floating-point operations, disk, hours."""
import contextlib
import json
import shutil
import subprocess
import tempfile
from array import array
from pathlib import Path

import launch
import record
from files import read_json, write_whole
from store import checkpoint_keys
from toml_files import to_toml

LARGEST_PROBE = 200e6   # parameters; larger models are priced by the rate of the others
FORWARD = 1 / 3         # of a training step's operations


def parameters(keys):
    """Weights of a GPT-2, or of a GPT-NeoX, which has no embedding of positions and a head of its own."""
    neox = keys.get("model.architecture") == "gpt_neox"
    layers, channels, bias = keys["model.layers"], keys["model.channels"], keys.get("model.bias", neox)
    block = 12 * channels**2 + 2 * channels + bias * (11 - 4 * (not keys.get("model.attention_bias", True))) * channels
    embeddings = keys["model.vocabulary"] * (1 if keys.get("model.tied", not neox) else 2) + (0 if neox else keys["model.context"])
    return embeddings * channels + layers * block + channels + bias * channels


def flops_per_token(keys):
    """Forward and backward, as `lawa` counts (model/model_config.hpp): 6 a weight of a matrix product, and 12 L C T for attention."""
    layers, channels, context = keys["model.layers"], keys["model.channels"], keys["model.context"]
    return 6 * (layers * 12 * channels**2 + keys["model.vocabulary"] * channels) + 12 * layers * channels * context


def evaluations(run):
    """Models that are evaluated, over all steps."""
    return sum(len(points) for points in run.wanted().values())


def flops(run):
    """Of a run: training, and the forward passes of its evaluations (counted as if validation_sequences were given)."""
    validation = run.keys.get("data.validation_sequences", 0) * run.keys["model.context"]
    return flops_per_token(run.keys) * (run.tokens + FORWARD * validation * evaluations(run))


def peak_disk_bytes(run):
    """Weights and states that lie on the disk while it trains: float32 weights, two moments, and the averages' snapshots."""
    weights = 4 * parameters(run.keys)
    kept = checkpoint_keys(run)["checkpoint.keep_states"]
    snapshots = sum(1 if not average.window else 0 for average in run.averages.values()) * 2   # float64 sums
    strides = {}
    for average in run.averages.values():
        if average.window:
            stride = average.keys.get("stride", 1)
            strides[stride] = max(strides.get(stride, 0), average.window)
    steps = {stride * i for stride, window in strides.items() for i in range(window)}
    return kept * weights * (3 + snapshots + len(steps))


class Rates:
    """Operations a second of this machine for the models of a table: of finished runs, or measured by a few steps."""

    def __init__(self, store):
        self.store, self.path = store, store.folder.parent / "rate.json"
        self.known = read_json(self.path)

    def of(self, run):
        """FLOP/s of a run's ranks, or None where neither a run has ended here nor the program is built."""
        name = f"{shape(run.keys)} {run.keys.get('precision', 'fp32')} {run.ranks} ranks"
        if name not in self.known:
            finished = record.read(self.store.records, run.key)   # of this machine; what is published may come from elsewhere
            speed = finished.facts["timing"]["tokens_per_second"] if finished else None
            if speed is None:
                small = parameters(run.keys) <= LARGEST_PROBE and launch.PROGRAM.exists()
                speed = measured_tokens_per_second(run) if small else None
            if speed is None:
                return max(self.known.values(), default=None)
            self.known[name] = speed * flops_per_token(run.keys)
            with contextlib.suppress(OSError):   # only to be quicker the next time
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self.path, json.dumps(self.known, indent=1))
        return self.known[name]


def shape(keys):
    """A model's shape in a word."""
    return f"L{keys['model.layers']}C{keys['model.channels']}V{keys['model.vocabulary']}T{keys['model.context']}"


def measured_tokens_per_second(run, steps=4):
    """Of a few steps on made-up tokens, the fastest; about a thousand tokens a rank and step. None where it fails."""
    folder = Path(tempfile.mkdtemp(prefix="lawa_rate_"))
    try:
        with open(folder / "tokens.bin", "wb") as file:
            array("H", (i * 7919 % run.keys["model.vocabulary"] for i in range(1 << 16))).tofile(file)
        keys = {key: value for key, value in run.keys.items() if key.startswith("model.") or key == "precision"}
        sequences = max(1, 1024 // run.keys["model.context"]) * run.ranks
        keys |= {"data.train": str(folder / "tokens.bin"), "evaluate.steps": 0, "batch.global_sequences": sequences,
                 "schedule.steps": steps, "schedule.warmup_steps": 0, "run.directory": str(folder / "run"), "checkpoint.fsync": False}
        (folder / "probe.toml").write_text("".join(f"{key} = {to_toml(value)}\n" for key, value in keys.items()))
        subprocess.run(launch.command(run.ranks, "train", folder / "probe.toml"), env=launch.environment(), capture_output=True,
                       timeout=300, check=True)
        lines = [line for line in record.metrics(folder / "run") if line["kind"] == "train"]
        return sequences * run.keys["model.context"] / min(line["seconds"] for line in lines[1:])
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    finally:
        shutil.rmtree(folder)
