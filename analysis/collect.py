"""Turns what the programs wrote into data.csv and provenance.json: python3 analysis/collect.py FIGURE --runs DIR

Reads, for each arm and seed of figure.toml, DIR/<arm>_seed<seed>/config.toml (as the training resolved it) and
DIR/evaluate/<arm>_seed<seed>_*.jsonl (one line a weights file, as `lawa evaluate` printed it).
"""
import argparse
import json
import sys
from pathlib import Path

import provenance
import spec as specs
import table as tables

MODELS = {"plain": "plain", "sliding": "lawa", "lawa": "lawa"}  # the evaluator's scheme, and the name of its curve


def run_name(arm, seed):
    """The folder of one run."""
    return f"{arm}_seed{seed}"


def read_lines(path):
    """The objects of a JSON-lines file. Errors name the file and the line."""
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{number}: not JSON: {error.msg}") from None
    return lines


def to_row(line, arm, peak_lr, place):
    """The Row of one evaluated file. Errors name the place and the missing key or unknown scheme."""
    try:
        if line["scheme"] not in MODELS:
            raise ValueError(f"{place}: scheme {line['scheme']!r} is none of {', '.join(MODELS)}")
        return tables.Row(arm=arm, peak_lr=float(peak_lr), seed=int(line["seed"]), model=MODELS[line["scheme"]],
                          window=int(line["window"]), stride=int(line["stride"]), step=int(line["step"]),
                          tokens=int(line["trained_tokens"]), loss=float(line["loss"]),
                          trajectory_hash=line["trajectory_hash"])
    except KeyError as error:
        raise ValueError(f"{place}: has no {error}") from None
    except TypeError:   # null, as JSON has no NaN
        raise ValueError(f"{place}: a value is not a number (a loss that isn't finite?): {line}") from None


def collect_run(folder, arm, seed):
    """(rows by model and step, evaluated lines) of one run; checks that they belong to it and reach its last step."""
    name = run_name(arm, seed)
    config_path = folder / name / "config.toml"
    config = specs.read_toml(config_path)
    paths = sorted((folder / "evaluate").glob(f"{name}_*.jsonl"))
    if not paths:
        raise ValueError(f"{folder / 'evaluate'}: has no {name}_*.jsonl")
    rows, lines = [], []
    for path in paths:
        for number, line in enumerate(read_lines(path), 1):
            rows.append(to_row(line, arm, config["schedule"]["peak_lr"], f"{path}:{number}"))
            lines.append(line)
            if rows[-1].seed != seed:
                raise ValueError(f"{path}:{number}: seed {rows[-1].seed}, but the run's is {seed}")
    hashes = {row.trajectory_hash for row in rows}
    if len(hashes) > 1:
        raise ValueError(f"{name}: its evaluations are of {len(hashes)} different trajectories: {', '.join(sorted(hashes))}")
    last, steps = max(row.step for row in rows if row.model == "plain"), config["schedule"]["steps"]
    if last != steps:
        raise ValueError(f"{name}: the last evaluated step is {last}, but {config_path} says schedule.steps = {steps}")
    return sorted(rows, key=lambda row: (row.model != "plain", row.step)), lines


def collect(spec, folder):
    """Writes folder/data.csv and folder/provenance.json, each whole or not at all; returns the Table."""
    rows, runs = [], []
    for arm in spec.arms:
        for seed in spec.seeds:
            run_rows, lines = collect_run(folder, arm.name, seed)
            rows += run_rows
            runs.append(provenance.of_run(folder / run_name(arm.name, seed), arm.name, seed, lines))
    table = tables.Table(rows, spec.name)
    csv_text = table.to_csv()
    tables.write_whole(folder / "provenance.json", provenance.to_json(spec, folder, csv_text, runs))
    tables.write_whole(folder / "data.csv", csv_text)
    return table


def main():
    parser = argparse.ArgumentParser(description="Writes a figure's data.csv and provenance.json.")
    parser.add_argument("figure")
    parser.add_argument("--runs", type=Path, required=True, help="the folder with the figure's runs and evaluations")
    args = parser.parse_args()
    table = collect(specs.load(args.figure), args.runs)
    print(f"collect: {len(table.rows)} rows in {args.runs / 'data.csv'}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"collect: {error}")
