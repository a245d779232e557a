#!/usr/bin/env python3
"""How fast training is, beside PyTorch and on one rank: python3 tests/benchmark/training.py [--torch PYTHON] [--out FILE]

training   For each model and precision: finds PyTorch's fastest setting in short runs (one thread and one a core; at the better of them
           compiled as well), then measures ours, with a rank a core, and PyTorch in turn, with as many tokens a step. Without PyTorch: ours alone.
one_rank   GPT-2 small in float32 on one rank and on a rank a core in turn, and on one rank with each other way to recompute.

One JSON line a result on stdout: each side's median of the rounds (tokens/s; also the least and the most), the largest peak memory,
and the ratio, ours over the other side: the median of the rounds' ratios. --out FILE takes each line as soon as there is one, in the
place of an older line of the same case; other lines stay. Every measurement is a process of its own, and nothing else should run.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from averaging import ENVIRONMENT, ROOT

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

OURS = ROOT / "build" / "cpu" / "bin" / "benchmark_training"
PEER = ROOT / "tests" / "benchmark" / "pytorch.py"
SMALL = ROOT / "experiments" / "models" / "small.toml"
MODELS = (ROOT / "experiments" / "models" / "quickstart.toml", ROOT / "tests" / "benchmark" / "models" / "l4_c128.toml",
          ROOT / "tests" / "benchmark" / "models" / "l6_c384.toml", SMALL)
CORES = len(os.sched_getaffinity(0))
OF_A_CASE = ("model", "precision", "parameters", "device", "git")   # in our lines; the rest belongs to a side
MEDIANS = ("tokens_per_second", "gemm_flops_per_second", "gemm_share")


def json_line(environment, *words):
    """What a program's last line on stdout says. Errors: RuntimeError with what it said instead."""
    done = subprocess.run(list(map(str, words)), env=environment, text=True, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"ended with code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def sequences(file, options):
    """Sequences a rank and step, of about as many tokens as asked for."""
    return max(1, options.tokens // tomllib.loads(file.read_text())["model"]["context"])


def ours(file, precision, ranks, options, recompute="none"):
    """One measurement of the program."""
    count = sequences(file, options)
    return json_line(ENVIRONMENT, "mpirun", "-np", ranks, "--oversubscribe", OURS, options.seconds, file, f"precision={precision}",
                     f"batch.micro_sequences={count}", f"batch.global_sequences={ranks * count}", f"batch.recompute={recompute}")


def pytorch(file, precision, setting, options, *words):
    """One measurement of PyTorch at a setting (threads, compiled)."""
    threads, compiled = setting
    return json_line(os.environ | {"OMP_NUM_THREADS": str(threads)}, options.torch, PEER, file, "--precision", precision,
                     "--threads", threads, "--sequences", CORES * sequences(file, options), *["--compiled"] * compiled, *words)


def search(file, precision, options):
    """What PyTorch reaches at each setting in a short run, or why it doesn't work there."""
    results = []

    def attempt(*setting):
        result = dict(zip(("threads", "compiled"), setting))
        try:
            line = pytorch(file, precision, setting, options, "--seconds", options.seconds / 4, "--warm-up", 1, "--least", 2)
            result["tokens_per_second"] = line["tokens_per_second"]
        except RuntimeError as error:
            result["skipped"] = str(error).splitlines()[-1]
        print(f"search: {file.stem} {precision} {result}", file=sys.stderr)
        results.append(result)

    for threads in sorted({1, CORES}):
        attempt(threads, False)
    if not options.eager:
        attempt(max(results, key=lambda result: result.get("tokens_per_second", 0))["threads"], True)
    return results


def in_turn(rounds, sides):
    """{side: lines of its rounds}, one round after the other."""
    lines = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            lines[name].append(measure())
            print(f"{name}: {lines[name][-1]['tokens_per_second']:.0f} tokens/s", file=sys.stderr)
    return lines


def summary(lines):
    """A side: the medians of its rounds, the least and the most tokens/s, the largest memory, and what all rounds share."""
    rates = [line["tokens_per_second"] for line in lines]
    whole = {key: value for key, value in lines[0].items() if key not in OF_A_CASE}
    whole |= {key: statistics.median(line[key] for line in lines) for key in MEDIANS if key in whole}
    whole |= {key: max(line[key] for line in lines) for key in whole if key.startswith("peak_memory")}
    return whole | {"least": min(rates), "most": max(rates)}


def result(case, options, ours, **other):
    """The line of a case: ours and, if there is one, the other side by its name, with the ratio of each round's pair."""
    line = {"case": case} | {key: ours[0][key] for key in OF_A_CASE}
    line |= {"seconds": options.seconds, "rounds": options.rounds, "ours": summary(ours)}
    for name, lines in other.items():
        ratios = [one["tokens_per_second"] / another["tokens_per_second"] for one, another in zip(ours, lines)]
        line |= {name: summary(lines), "ratio": statistics.median(ratios), "ratios": ratios}
    return line


def training(file, precision, options):
    """Ours and PyTorch at its best, on all cores."""
    sides = {"ours": lambda: ours(file, precision, CORES, options)}
    try:
        json_line(os.environ, options.torch, "-c", "import torch; print(1)")
        tried = search(file, precision, options)
    except (RuntimeError, OSError) as error:
        tried = [{"skipped": str(error).splitlines()[-1]}]
    worked = [setting for setting in tried if "skipped" not in setting]
    if not worked:
        return result("training", options, in_turn(options.rounds, sides)["ours"]) | {"pytorch": {"search": tried}}
    best = max(worked, key=lambda setting: setting["tokens_per_second"])
    sides["pytorch"] = lambda: pytorch(file, precision, (best["threads"], best["compiled"]), options, "--seconds", options.seconds)
    lines = in_turn(options.rounds, sides)
    line = result("training", options, **lines)
    if line["ours"]["step_tokens"] != line["pytorch"]["step_tokens"]:
        raise RuntimeError(f"{file}: {line['ours']['step_tokens']} tokens a step, but PyTorch {line['pytorch']['step_tokens']}")
    line["pytorch"]["search"] = tried
    return line


def one_rank(options):
    """A rank a core against one, and the other ways to recompute against the first, on one."""
    first, *others = options.recompute
    def measure(ranks, recompute):
        return lambda: ours(options.alone, "fp32", ranks, options, recompute)
    sides = {first: measure(1, first), "ranks": measure(CORES, first)} | {other: measure(1, other) for other in others}
    lines = in_turn(options.rounds, sides)
    yield result("ranks", options, lines["ranks"], one_rank=lines[first])
    for other in others:
        yield result("recompute", options, lines[other], one_rank=lines[first])


def results(options):
    """The line of each case that was asked for, as soon as there is one."""
    if "training" in options.cases:
        for file in options.models:
            for precision in options.precisions:
                yield training(file, precision, options)
    if "one_rank" in options.cases:
        yield from one_rank(options)


def update(path, line):
    """Puts a line into a file in place of the one of the same case, or behind all others; the file is whole at any time."""
    def name(line):
        return line["case"], line["model"], line["precision"], line.get("ours", {}).get("recompute", "none")
    lines = [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
    whole = {name(old): old for old in lines} | {name(line): line}
    new = path.with_name(path.name + ".new")
    new.write_text("".join(json.dumps(each) + "\n" for each in whole.values()))
    new.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="the Python that has PyTorch (default: this one)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a file of such lines to update")
    parser.add_argument("--cases", nargs="+", choices=("training", "one_rank"), default=("training", "one_rank"))
    parser.add_argument("--models", nargs="+", type=Path, default=MODELS, metavar="FILE.toml", help="of the case training")
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=("fp32", "bf16"), help="of the case training")
    parser.add_argument("--alone", type=Path, default=SMALL, metavar="FILE.toml", help="the model of the case one_rank")
    parser.add_argument("--recompute", nargs="+", default=("none", "attention", "block"), help="values of batch.recompute for the case one_rank")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement, which takes five steps at least")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=1024, help="about so many a core and step; one sequence at least")
    parser.add_argument("--eager", action="store_true", help="don't try torch.compile")
    options = parser.parse_args()
    for line in results(options):
        print(json.dumps(line), flush=True)
        if options.out:
            update(options.out, line)


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"training: {error}")
