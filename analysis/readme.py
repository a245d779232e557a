"""Writes README.md's numbers from the committed results: python3 analysis/readme.py [--check]

README.md holds each table between <!-- name --> and <!-- /name -->. --check changes nothing and exits with 1 where a table isn't
the one that the results give.
"""
import argparse
import json
import re
import sys

import interpreter  # noqa: F401
import numpy as np

import redraw
import spec as specs
import table as tables
import verdicts
from files import write_whole
from spec import ROOT


def grid(header, rows):
    """A Markdown table; the first column is left-aligned, numbers to the right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PUBLISHED = ROOT / "paper_figures"
PAPER_CLAIMS = {   # in our words; shared by every figure whose claims bear the number
    1: "The gain is larger at high learning rates", 2: "The gain grows with the spacing of the checkpoints",
    3: "LAWA is below plain weights, EMA and SWA", 4: "The gain is largest early and shrinks towards the end",
    5: "LAWA's curve is that of a lower learning rate", 6: "Averages remove loss spikes"}


def quickstart():
    """Mean losses over the claims' part of training, their difference, and the verdicts."""
    table, rows = redraw.read("quickstart", PUBLISHED / "quickstart"), []
    for verdict, claim in zip(table.verdicts, table.spec.claims):
        rate = claim["where"]["rate"]
        plain, lawa = (table.curves(average=model, rate=rate).loc[list(verdict.steps)].to_numpy().mean() for model in ("plain", "lawa"))
        peak = table.select(rate=rate)["peak_lr"].iloc[0]
        rows.append([f"{table.spec.arm('rate', rate).label} ({peak:g})", f"{plain:.4f}", f"{lawa:.4f}", verdicts.signed(verdict.mean), verdict.state])
    return grid(["learning rate", "plain", "LAWA", "LAWA \u2212 plain", "LAWA is below plain"], rows)


def quickstart_time():
    """What its runs took, side by side, from timing.csv."""
    timing = tables.read(PUBLISHED / "quickstart", specs.load("quickstart")).timing
    facts = json.loads((PUBLISHED / "quickstart" / "provenance.json").read_text(encoding="utf-8"))
    minutes = (timing["train_seconds"] + timing["evaluate_seconds"]).max() / 60
    return (f"The committed runs took {minutes:.1f} minutes side by side on two cores ({', '.join(facts['devices'])}); set-up, build and text "
            "come before them.")


def claims():
    """The paper's claims with every verdict on them, and what goes beyond the paper, from the figures that have been run."""
    rows, beyond = [], []
    for name in specs.figures():
        if name == "quickstart" or not (PUBLISHED / name / "verdicts.json").exists():
            continue
        for verdict in json.loads((PUBLISHED / name / "verdicts.json").read_text(encoding="utf-8")):
            interval = f" [{', '.join(map(verdicts.signed, verdict['interval']))}]" if verdict["interval"] else ""
            row = [verdict["text"], f"**{verdict['state']}**" if verdict["state"] == "contradicted" else verdict["state"],
                   f"{verdicts.signed(verdict['mean'])}{interval}", str(verdict["n"]), f"[{name}](paper_figures/{name}/figure.png)"]
            (rows if verdict["paper"] else beyond).append([verdict["paper"], *row])
    if not rows + beyond:
        return "No figure beyond the quickstart has been run yet."
    head = ["claim", "verdict", "difference, nats/token", "n", "figure"]
    parts = []
    for number, words in PAPER_CLAIMS.items():
        if some := [row[1:] for row in rows if row[0] == number]:
            parts.append(f"**{number}. {words}.**\n\n" + grid(head, some))
    if beyond:
        parts.append("**Beyond the paper.**\n\n" + grid(head, [row[1:] for row in beyond]))
    return "\n\n".join(parts)


def measured(*cases):
    """The lines of these cases in tests/benchmark/training.jsonl. A line without PyTorch has no ratio."""
    lines = map(json.loads, (ROOT / "tests" / "benchmark" / "training.jsonl").read_text().splitlines())
    return [line for line in lines if line["case"] in cases]


def setting(peer):
    """PyTorch's fastest setting in words, and whether compiled was no choice there."""
    if "threads" not in peer:
        return ""
    failed = any(other["compiled"] and "skipped" in other for other in peer["search"])
    remark = " (compiled fails)" if failed else ""
    return f"{peer['threads']} thread{'s' * (peer['threads'] > 1)}, {'compiled' if peer['compiled'] else 'eager'}{remark}"


def benchmark():
    """Ours beside PyTorch as a table, and how often each side ran."""
    lines, rows = measured("training"), []
    for line in lines:
        ours, peer = line["ours"], line.get("pytorch", {})
        rows.append([f"{line['model']} ({line['parameters'] / 1e6:.2f} M)", line["precision"], f"{ours['tokens_per_second']:,.0f}",
                     f"{ours['gemm_flops_per_second'] / 1e9:.0f} GFLOP/s", f"{100 * ours['gemm_share']:.0f} %",
                     f"{ours['peak_memory_bytes_per_rank'] / 1e9:.2f} GB",
                     f"{peer['tokens_per_second']:,.0f}" if "tokens_per_second" in peer else "", setting(peer),
                     f"{line['ratio']:.2f} ×" if "ratio" in line else ""])
    header = ["model", "precision", "tokens/s", "matrix products", "share", "memory a rank", "PyTorch, tokens/s", "at", "ratio"]
    rounds, seconds = ({line[key] for line in lines} for key in ("rounds", "seconds"))
    notes = [f"Medians of {min(rounds)} rounds of {min(seconds):g} to {max(seconds):g} s a side, or five steps, in turn; the ratio is the "
             "median of the rounds' ratios."]
    if versions := sorted({line["pytorch"]["version"].split("+")[0] for line in lines if "version" in line.get("pytorch", {})}):
        notes.append(f"PyTorch is {', '.join(versions)}.")
    return grid(header, rows) + "\n\n" + "\n".join(notes)


def alone():
    """GPT-2 small on one rank, beside all, and with each other way to recompute."""
    def reached(side):
        return f"{side['peak_memory_bytes_per_rank'] / 1e9:.2f} GB at {side['tokens_per_second']:.0f} tokens/s"
    lines = [line for line in measured("ranks", "recompute") if line["model"] == "small"]
    line = next(line for line in lines if line["case"] == "ranks")
    text = (f"On one rank GPT-2 small trains in {reached(line['one_rank'])} "
            f"({line['ours']['ranks']} ranks: {line['ratio']:.2f} times as fast)")
    for line in lines:
        if line["case"] == "recompute":
            text += f",\nwith `batch.recompute = \"{line['ours']['recompute']}\"` in {reached(line['ours'])}"
    return text + ";\nfloat32, one sequence at a time, the same bits."


def phases():
    """Where the time of GPT-2 small's steps goes: rank 0's, in the first round of the same lines."""
    names = ("gemm", "attention", "optimizer", "communication", "other")
    rows = []
    for line in measured("training"):
        seconds = {name: line["ours"]["phase_seconds"].get(f"training/{name}", 0) for name in names}
        if line["model"] == "small":
            rows.append([line["precision"], *(f"{100 * value / sum(seconds.values()):.1f} %" for value in seconds.values())])
    return grid(["GPT-2 small", "matrix products", "attention besides", "optimizer", "communication", "other kernels"], rows)


def threads():
    """tests/benchmark/threads.jsonl: ranks of one thread beside one rank of threads, for each model."""
    lines = [json.loads(line) for line in (ROOT / "tests" / "benchmark" / "threads.jsonl").read_text().splitlines()]
    rows = []
    for model, kind in dict.fromkeys((line["model"], line["precision"]) for line in lines):
        rates = {line["ranks"]: line["tokens_per_second"] for line in lines if (line["model"], line["precision"]) == (model, kind)}
        rows.append([model, kind, *(f"{rates[ranks]:,.0f}" for ranks in (2, 1))])
    return grid(["tokens/s", "precision", "2 ranks of 1 thread", "1 rank of 2 threads"], rows)


def precision():
    """tests/benchmark/precision.jsonl in a sentence: bfloat16 beside float32, seed by seed."""
    lines = [json.loads(line) for line in (ROOT / "tests" / "benchmark" / "precision.jsonl").read_text().splitlines()]
    exact, coarse = (np.array([line["losses"] for line in lines if line["precision"] == name]) for name in ("fp32", "bf16"))
    apart, seeds = coarse - exact, len(exact)
    error, spread = apart.std(axis=0, ddof=1) / np.sqrt(seeds), exact.std(axis=0, ddof=1)
    inside = int((np.abs(apart.mean(axis=0)) <= spread).sum())
    return (f"After {lines[0]['steps'][-1]} steps of the quickstart's model bfloat16's validation loss minus float32's is "
            f"{verdicts.signed(apart[:, -1].mean())} \u00b1 {error[-1]:.4f} nats/token (mean and\n"
            f"standard error over {seeds} seeds); float32's standard deviation over seeds is {spread[-1]:.4f}, and the mean difference is "
            f"within it at\n{inside} of {apart.shape[1]} evaluations.")


def averaging():
    """tests/benchmark/averaging.jsonl as a table."""
    lines = {line["what"]: line for line in map(json.loads, (ROOT / "tests" / "benchmark" / "averaging.jsonl").read_text().splitlines())}
    few, many = "five checkpoints of GPT-2 small", "412 averages of sixty checkpoints, 10.6 M parameters"
    names = {"lawa": (few, "`lawa average`"), "torch": (few, "torch.load, float64 sums, torch.save"),
             "durable": (few, "`lawa average`, fsync and verification"), "raw": (few, "raw read, fsynced write, raw read back"),
             "grid": (many, "`lawa average`, fsync and verification"), "raw_grid": (many, "raw read, fsynced writes, raw read back"),
             "cached_grid": (many, "`lawa average`"), "raw_cached_grid": (many, "raw read and writes")}
    rows = [[*names[what], str(lines[what]["ranks"]), f"{lines[what]['seconds']:.2f} s", f"{lines[what]['peak_memory_bytes'] / 1e6:.0f} MB"]
            for what in names if what in lines]
    return grid(["float32", "", "processes", "time", "memory a process"], rows)


def online():
    """tests/benchmark/online.jsonl in a sentence."""
    line = json.loads((ROOT / "tests" / "benchmark" / "online.jsonl").read_text())
    cost = f"{100 * (line['ratio'] - 1):.1f} %".replace("-", "−")
    words = cost if line["ratio"] > 1 else f"nothing that could be measured ({cost})"
    return (f"One LAWA and one EMA inside the run cost {words} of a step of {line['step_tokens']:,} tokens "
            f"({1000 * line['seconds_without']:.1f} ms, the median of {line['steps']} steps each).")


def saves():
    """tests/benchmark/saves.jsonl in a sentence."""
    lines = [json.loads(line) for line in (ROOT / "tests" / "benchmark" / "saves.jsonl").read_text().splitlines()]
    stall = {(line["every_steps"], line["saves"]): f"{100 * line['stall']:.1f} %" for line in lines}
    step = {line["every_steps"]: line["step_seconds"] for line in lines if line["saves"] == "none"}
    return (f"With 10 million parameters and steps of {step[50]:.2f} s, saves every 50 steps hold training up for {stall[50, 'asynchronous']} of the time\n"
            f"({stall[50, 'synchronous']} where each is waited for), and saves at every step for "
            f"{stall[1, 'asynchronous']} ({stall[1, 'synchronous']}).")


def sharding():
    """tests/benchmark/sharding.jsonl as a table."""
    lines = [json.loads(line) for line in (ROOT / "tests" / "benchmark" / "sharding.jsonl").read_text().splitlines()]
    memory = {(line["ranks"], line["sharding"]): f"{line['peak_memory_bytes'] / 1e6:,.0f} MB" for line in lines}
    rows = [[str(ranks), memory[ranks, "optimizer"], memory[ranks, "full"]] for ranks in dict.fromkeys(line["ranks"] for line in lines)]
    return grid(["ranks", "memory a rank: optimizer", "full"], rows)


def gpu():
    """The newest commit's rounds on a GPU beside PyTorch's."""
    lines = [line for line in json_lines("benchmark", "gpu.jsonl") if line["case"] == "gpu"]
    newest = [line for line in lines if line["git"] == lines[-1]["git"]]
    rows = [[f"{line['model']} ({line['parameters'] / 1e6:.2f} M)", f"{line['step_tokens']:,}", f"{line['ours']['tokens_per_second']:,.0f}",
             f"{line['ours']['peak_memory_bytes'] / 1e9:.1f} GB", f"{line['pytorch']['tokens_per_second']:,.0f}",
             f"{line['pytorch']['peak_memory_bytes'] / 1e9:.1f} GB", f"{line['ratio']:.2f} ×"] for line in newest]
    table = grid(["model, bf16", "tokens a step", "tokens/s", "memory", "PyTorch compiled, tokens/s", "memory", "ratio"], rows)
    last = newest[-1]
    return (f"{table}\n\n{last['device']}, driver {last['driver']}, at commit {last['git']}; PyTorch {last['pytorch']['version']} in torch.compile's "
            f"{last['pytorch']['mode'] or 'default'} mode; {last['rounds']} round{'s' if last['rounds'] > 1 else ''}. Memory: ours is all that the device has in use, "
            f"PyTorch's what its tensors have at their peak, of {last['pytorch']['reserved_memory_bytes'] / 1e9:.1f} GB that it had reserved.")


def json_lines(*path):
    """Of a file of results below tests/."""
    return [json.loads(line) for line in ROOT.joinpath("tests", *path).read_text(encoding="utf-8").splitlines()]


FAULTS = {   # words of the kinds in tests/fault/faults.jsonl, in ours
    "kill -9 while a run trains": ", training", "kill -9 while it saves every step": ", saving", "kill -9 while checkpoints are averaged": ", averaging",
    "kill -9 while a figure is made": ", making a figure", "every kill -9": "kill -9", "failing calls, plain writes": ", POSIX",
    "failing calls, MPI-IO": ", MPI-IO", "a disk that fills": "a disk", "a folder that becomes read-only": "read-only", "4 KiB of a checkpoint flipped or cut off": "4 KiB",
    "newest checkpoint damaged, run goes on": "the newest", "killed on N ranks, goes on with M": "N ranks", "a rank stopped for ever": "stopped",
    "a host cut off from the network": "cut off"}


def faults():
    """tests/fault/faults.jsonl as a table: trials by the way to write, outcomes, and the rule of three."""
    lines, rows = json_lines("fault", "faults.jsonl"), []
    for name, word in [*FAULTS.items(), ("all", "")]:
        some = [line for line in lines if word in line["kind"]]
        trials = {way: sum(line["trials"] for line in some if line["writes"] == way) for way in ("asynchronous", "synchronous", "fsync off")}
        outcomes = [sum(line[key] for line in some) for key in ("survived", "detected", "lost", "silent", "hangs")]
        total = sum(line["trials"] for line in some)
        if total > 0:
            bound = f"{300 / total:.2g} %" if word and sum(outcomes[2:]) == 0 else ""   # all kinds together are no sample of anything
            by_way = "any" if {line["writes"] for line in some} == {"any"} else " / ".join(f"{count:,}" for count in trials.values())
            rows.append([name, f"{total:,}", by_way, *(f"{count:,}" for count in outcomes), bound])
    header = ["fault", "trials", "asynchronous / synchronous / fsync off", "survived", "detected", "lost", "silent", "hung", "rate below"]
    return grid(header, rows)


def fsync():
    """tests/fault/fsync.jsonl in a sentence."""
    line = {line["asynchronous"]: line for line in json_lines("fault", "fsync.jsonl")}
    def took(one):
        return f"{1000 * one['seconds']:.0f} ms with fsync and {1000 * one['without']:.0f} ms without"
    return (f"A save of {line[False]['bytes'] / 1e6:.0f} MB that is waited for took {took(line[False])} (medians of {line[False]['saves']}, beside other work\n"
            f"on the same cores); from the beginning of an asynchronous one, beside the steps, to its names it was {took(line[True])}.")


def printed(name):
    """tests/benchmark/<name>.txt: a command and the page that it printed."""
    return f"```text\n{(ROOT / 'tests' / 'benchmark' / name).with_suffix('.txt').read_text(encoding='utf-8')}```"


def plan():
    return printed("plan")


def doctor():
    return printed("doctor")


SECTIONS = {"quickstart": quickstart, "quickstart time": quickstart_time, "claims": claims, "plan": plan, "doctor": doctor, "benchmark": benchmark, "phases": phases, "one rank": alone, "gpu": gpu,
            "threads": threads, "precision": precision, "averaging": averaging, "online": online, "sharding": sharding, "faults": faults, "fsync": fsync, "saves": saves}


def written(text):
    """README.md's text with every section made anew. Errors: a section that isn't there exactly once."""
    for name, make in SECTIONS.items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        if len(re.findall(pattern, text, re.DOTALL)) != 1:
            raise ValueError(f"README.md: <!-- {name} --> ... <!-- /{name} --> must stand there once")
        text = re.sub(pattern, lambda found: found[1] + make() + found[2], text, flags=re.DOTALL)
    return text


def main():
    parser = argparse.ArgumentParser(description="Writes README.md's numbers from the committed results.")
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    args = parser.parse_args()
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    new = written(text)
    if args.check and new != text:
        sys.exit("README.md: its numbers aren't those of the committed results; python3 analysis/readme.py writes them")
    if not args.check:
        write_whole(path, new)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"readme: {error}")
