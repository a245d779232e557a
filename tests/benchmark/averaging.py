#!/usr/bin/env python3
"""How fast checkpoints are averaged, beside PyTorch and beside the disk: python3 tests/benchmark/averaging.py FOLDER

Makes five checkpoints of GPT-2 small and sixty of a model of 10 million parameters in FOLDER (25 GB of room; kept for the next
time), then measures, three times each in turn:

  lawa     `lawa average` on two ranks, the files in the page cache, without fsync and verification
  torch    torch.load of each file, sums in float64, torch.save of the float32 mean (where PyTorch is installed)
  durable  `lawa average` with fsync and verification, and `raw`: reading the same bytes, writing as many with fsync, reading them back
  grid     windows of 2, 3, 5, 10 and 20 by strides of 1, 2 and 5 over the sixty, with fsync and verification, and `raw_grid`: reading
           the sixty files, writing as many files as the grid has with fsync, reading them back
  cached_grid, raw_cached_grid  the same without fsync and verification
  start    what `mpirun lawa` takes to start and to end; in all of the above

One JSON line each on stdout: the median of seconds, and the peak memory of the largest process.
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build" / "cpu" / "bin" / "lawa"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMPI_MCA_pml": "ob1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
RANKS, REPEATS = 2, 3
GRID = ("averaging.window=[2, 3, 5, 10, 20]", "averaging.stride=[1, 2, 5]")
TO_TORCH = """
import sys, h5py, torch
for file in sys.argv[1:]:
    with h5py.File(file) as weights:
        torch.save({name: torch.from_numpy(value[()]) for name, value in weights["named"].items()}, file + ".pt")
"""
TORCH = """
import sys, torch
*files, output = sys.argv[1:]
total = None
for file in files:
    state = torch.load(file, map_location="cpu", weights_only=True)
    if total is None:
        total = {name: value.double() for name, value in state.items()}
    else:
        for name, value in state.items():
            total[name] += value
torch.save({name: (value / len(files)).float() for name, value in total.items()}, output)
"""


def folder_of(doc):
    """The folder that the command line names, made."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def random_tokens(folder):
    """A file of a million random bytes as tokens, in the folder."""
    tokens = folder / "tokens.bin"
    np.random.default_rng(1).integers(0, 256, 1 << 20).astype("<u2").tofile(tokens)
    return tokens


def lawa(*words):
    subprocess.run(["mpirun", "-np", str(RANKS), PROGRAM, *map(str, words)], env=ENVIRONMENT, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def make_checkpoints(folder, name, steps, vocabulary, *model):
    """The weights files of a run's first steps on random tokens."""
    run = folder / name
    if not (run / "checkpoints" / f"step_{steps:08d}.json").exists():
        tokens = folder / f"{name}.bin"
        np.random.default_rng(1).integers(0, vocabulary, 1 << 20).astype("<u2").tofile(tokens)
        lawa("train", ROOT / "experiments/models/small.toml", *model, f"data.train={tokens}", f"run.directory={run}", "evaluate.steps=0",
             f"schedule.steps={steps}", "schedule.warmup_steps=0", "checkpoint.steps=1", "checkpoint.state_steps=0",
             f"batch.global_sequences={RANKS}", "batch.micro_sequences=1")
    return sorted((run / "checkpoints").glob("*.weights.h5"))


def to_torch(files):
    """The same weights as torch.save writes a state_dict; [] without PyTorch."""
    if subprocess.run([sys.executable, "-c", "import torch"], stderr=subprocess.DEVNULL).returncode != 0:
        return []
    converted = [file.with_name(file.name + ".pt") for file in files]
    if not all(file.exists() for file in converted):
        subprocess.run([sys.executable, "-c", TO_TORCH, *map(str, files)], check=True)
    return converted


def measured(work):
    """(seconds, peak bytes of the largest child) of a function that runs child processes."""
    child = os.fork()
    if child == 0:
        begin = time.monotonic()
        work()
        seconds = time.monotonic() - begin
        os.write(WRITE, json.dumps([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]).encode() + b"\n")
        os._exit(0)
    os.waitpid(child, 0)
    return json.loads(os.read(READ, 4096))


def raw(files, folder, outputs, durable):
    """Reads the files and writes `outputs` of their size on two processes; durably: with fsync, and read back from the disk."""
    size = files[0].stat().st_size // RANKS

    def part(rank):
        for file in files:
            read_part(file, rank * size, size)
        block = os.urandom(1 << 20)
        for i in range(outputs):
            output = folder / f"raw{rank}_{i}"
            with open(output, "wb", buffering=0) as out:
                for _ in range(0, size, len(block)):
                    out.write(block)
                if durable:
                    os.fsync(out.fileno())
                    os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if durable:
                read_part(output, 0, size)

    children = []
    for rank in range(RANKS):
        children.append(os.fork())
        if children[-1] == 0:
            part(rank)
            os._exit(0)
    for child in children:
        os.waitpid(child, 0)


def read_part(file, begin, size):
    buffer = bytearray(1 << 20)
    with open(file, "rb", buffering=0) as source:
        source.seek(begin)
        while size > 0 and (count := source.readinto(buffer)):
            size -= count


def averaging(files, folder, durable, *keys):
    switch = str(durable).lower()
    lawa("average", *files, f"destination={folder / 'average'}", *keys, f"averaging.fsync={switch}", f"averaging.verify={switch}")


def remove_outputs(folder):
    """What a measurement wrote; then nothing is left for the disk to do."""
    shutil.rmtree(folder / "average", ignore_errors=True)
    for output in folder.glob("raw*_*"):
        output.unlink()
    os.sync()


def main():
    folder = folder_of(__doc__)
    files = make_checkpoints(folder, "run", 5, 50257)
    torch_files = to_torch(files)
    many = make_checkpoints(folder, "many", 60, 256, "model.layers=6", "model.heads=6", "model.channels=384", "model.context=64",
                            "model.vocabulary=256")
    places = sum(max(0, 60 // stride - window + 1) for window in (2, 3, 5, 10, 20) for stride in (1, 2, 5))
    size = files[0].stat().st_size, many[0].stat().st_size
    # name: (what is done, bytes that it reads and writes)
    works = {"start": (lambda: lawa("--help"), 0),
             "lawa": (lambda: averaging(files, folder, False, "averaging.window=5"), 6 * size[0]),
             "torch": (lambda: subprocess.run([sys.executable, "-c", TORCH, *torch_files, folder / "average.pt"], check=True), 6 * size[0]),
             "durable": (lambda: averaging(files, folder, True, "averaging.window=5"), 7 * size[0]),
             "raw": (lambda: raw(files, folder, 1, True), 7 * size[0]),
             "grid": (lambda: averaging(many, folder, True, *GRID), (60 + 2 * places) * size[1]),
             "raw_grid": (lambda: raw(many, folder, places, True), (60 + 2 * places) * size[1]),
             "cached_grid": (lambda: averaging(many, folder, False, *GRID), (60 + places) * size[1]),
             "raw_cached_grid": (lambda: raw(many, folder, places, False), (60 + places) * size[1])}
    if not torch_files:
        del works["torch"]
    results = {name: [] for name in works}
    for _ in range(REPEATS):
        for name, (work, _) in works.items():
            for file in many if "grid" in name else torch_files if name == "torch" else files:   # into the page cache
                read_part(file, 0, file.stat().st_size)
            results[name].append(measured(work))
            remove_outputs(folder)
    for name, values in results.items():
        print(json.dumps({"what": name, "seconds": round(statistics.median(seconds for seconds, _ in values), 3),
                          "seconds_of_each": [round(seconds, 3) for seconds, _ in values],
                          "peak_memory_bytes": max(memory for _, memory in values),
                          "bytes": works[name][1], "ranks": RANKS if name != "torch" else 1}))


if __name__ == "__main__":
    READ, WRITE = os.pipe()
    main()
