#!/usr/bin/env python3
"""The lines of tests/benchmark/gpu.jsonl from what run.sh has written: python3 tests/gpu/lines.py gpu.json …

A file that has both "speed" and "compiled PyTorch" is a round; rounds of the same model, batch, device and commit make a line: medians of both
sides, the least and the most tokens/s, the largest peak memory, our fastest products (of each round's start), and the ratio, ours over PyTorch's: the median of the rounds' ratios.
Behind them stands a line for each commit: what became of every other part, the last time that it was run.
"""
import argparse
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path


def side(numbers, memory):
    rates = [each["tokens_per_second"] for each in numbers]
    return {"tokens_per_second": statistics.median(rates), "least": min(rates), "most": max(rates),
            "peak_memory_bytes": max(each[memory] for each in numbers)}


def lines(files):
    """files: what run.sh's --out files hold. Of each case in the order of its first round."""
    cases = defaultdict(list)
    for file in files:
        parts = {part["name"]: part["numbers"] for part in file["parts"] if part["outcome"] == "passed" and "numbers" in part}
        if {"speed", "compiled PyTorch"} <= parts.keys():
            ours, peer = parts["speed"], parts["compiled PyTorch"]
            if ours["step_tokens"] != peer["step_tokens"]:
                raise ValueError(f"{ours['model']}: {ours['step_tokens']} tokens a step, but PyTorch {peer['step_tokens']}")
            cases[ours["model"], ours["step_tokens"], ours["device"], ours["git"]].append((ours, peer, file["versions"]))
    for (model, step_tokens, device, git), rounds in cases.items():
        ours, peers, versions = zip(*rounds)
        ratios = [a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(ours, peers)]
        yield {"case": "gpu", "model": model, "precision": ours[0]["precision"], "parameters": ours[0]["parameters"], "device": device,
               "step_tokens": step_tokens, "git": git, "driver": versions[0]["driver"], "rounds": len(rounds),
               "ours": side(ours, "peak_memory_bytes_per_rank") | {"gemm_flops_per_second": max(o.get("gemm_flops_per_second", 0) for o in ours)},
               "pytorch": side(peers, "peak_memory_bytes") | {"version": peers[0]["version"], "mode": peers[0].get("mode"), "attention": peers[0].get("attention"),
                                                              "reserved_memory_bytes": max(p.get("reserved_memory_bytes", 0) for p in peers)},
               "ratio": statistics.median(ratios), "ratios": ratios}


def outcomes(files):
    """{"case": "parts", …} for each commit that was run."""
    commits = defaultdict(dict)
    for file in files:
        for part in file["parts"]:
            if part["name"] not in ("speed", "PyTorch", "compiled PyTorch"):
                commits[file["git"], file["versions"]["driver"]][part["name"]] = {key: part[key] for key in ("outcome", "seconds", "detail")}
    for (git, driver), parts in commits.items():
        yield {"case": "parts", "git": git, "driver": driver, "parts": parts}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="gpu.json")
    files = [json.loads(path.read_text()) for path in parser.parse_args().files]
    for line in [*lines(files), *outcomes(files)]:
        print(json.dumps(line))


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"lines: {error}")
