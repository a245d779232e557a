#!/usr/bin/env python3
"""How fast checkpoints are averaged, beside PyTorch and beside the disk: python3 tests/benchmark/averaging.py FOLDER

Makes five checkpoints of GPT-2 small in FOLDER (5 GB of room; kept for the next time), then measures, three times each in turn:

  lawa     `lawa average` on two ranks, the files in the page cache, without fsync and verification
  torch    torch.load of each file, sums in float64, torch.save of the float32 mean (where PyTorch is installed)
  durable  `lawa average` with fsync and verification, and `raw`: reading the same bytes, writing as many with fsync, reading them back

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
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
RANKS, CHECKPOINTS, REPEATS = 2, 5, 3
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
    state = torch.load(file, map_location="cpu")
    if total is None:
        total = {name: value.double() for name, value in state.items()}
    else:
        for name, value in state.items():
            total[name] += value
torch.save({name: (value / len(files)).float() for name, value in total.items()}, output)
"""


def lawa(*words):
    subprocess.run(["mpirun", "-np", str(RANKS), PROGRAM, *map(str, words)], env=ENVIRONMENT, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def make_checkpoints(folder):
    """Five steps of GPT-2 small on random tokens, and the same weights as PyTorch files."""
    run = folder / "run"
    if not (run / "checkpoints" / f"step_{CHECKPOINTS:08d}.json").exists():
        tokens = folder / "tokens.bin"
        np.random.default_rng(1).integers(0, 50257, 1 << 20).astype("<u2").tofile(tokens)
        lawa("train", ROOT / "experiments/models/small.toml", f"data.train={tokens}", f"run.directory={run}", "evaluate.steps=0",
             f"schedule.steps={CHECKPOINTS}", "schedule.warmup_steps=0", "checkpoint.steps=1", "checkpoint.state_steps=0",
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


def raw(files, folder):
    """Reads the files, writes one of their size with fsync, drops it from memory and reads it back, on two processes."""
    size = files[0].stat().st_size // RANKS

    def part(rank):
        for file in files:
            read_part(file, rank * size, size)
        output = folder / f"raw{rank}"
        block = os.urandom(1 << 20)
        with open(output, "wb", buffering=0) as out:
            for _ in range(0, size, len(block)):
                out.write(block)
            os.fsync(out.fileno())
            os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        read_part(output, 0, size)
        output.unlink()

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


def averaging(files, folder, durable):
    output = folder / "average"
    shutil.rmtree(output, ignore_errors=True)
    switch = str(durable).lower()
    lawa("average", *files, f"destination={output}", "averaging.window=5", f"averaging.fsync={switch}", f"averaging.verify={switch}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    files = make_checkpoints(folder)
    torch_files = to_torch(files)
    works = {"lawa": lambda: averaging(files, folder, False),
             "torch": lambda: subprocess.run([sys.executable, "-c", TORCH, *torch_files, folder / "average.pt"], check=True),
             "durable": lambda: averaging(files, folder, True),
             "raw": lambda: raw(files, folder)}
    if not torch_files:
        del works["torch"]
    for file in files + torch_files:   # into the page cache
        read_part(file, 0, file.stat().st_size)
    results = {name: [] for name in works}
    for _ in range(REPEATS):
        for name, work in works.items():
            results[name].append(measured(work))
    for name, values in results.items():
        print(json.dumps({"what": name, "seconds": round(statistics.median(seconds for seconds, _ in values), 3),
                          "seconds_of_each": [round(seconds, 3) for seconds, _ in values],
                          "peak_memory_bytes": max(memory for _, memory in values),
                          "read_bytes": sum(file.stat().st_size for file in files), "ranks": RANKS if name != "torch" else 1}))


if __name__ == "__main__":
    READ, WRITE = os.pipe()
    main()
