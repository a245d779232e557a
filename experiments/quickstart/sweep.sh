#!/usr/bin/env bash
# Which learning rate is "usual"? bash experiments/quickstart/sweep.sh trains the plain model at several rates with a seed that
# the figure doesn't use, and writes sweep.csv beside this file. After run.sh, which builds and prepares the text. About two
# minutes a rate on two cores; what is trained already is only read again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../framework/setup/environment.sh"
cd "$root"
here=experiments/quickstart
out=runs/quickstart/sweep
seed=101

for rate in 4e-4 1.3e-3 4e-3 1.3e-2 4e-2; do   # two a decade
  mantissa=${rate%e*} exponent=${rate#*e-}
  mpirun -np "$ranks" build/cpu/bin/lawa train experiments/models/quickstart.toml $here/{train,evaluate}.toml \
    "seed=$seed" "schedule.peak_lr=$rate" "schedule.final_lr=${mantissa}e-$((exponent + 1))" \
    checkpoint.steps=0 data.train=runs/quickstart/data/train.bin data.validation=runs/quickstart/data/val.bin \
    "run.directory=$out/$rate" </dev/null
done

PYTHONPATH=analysis "$python" - "$out" >"$here/sweep.csv.part" <<'END_OF_PYTHON'
import json
import sys
from pathlib import Path

from spec import read_toml

rows = []
for folder in Path(sys.argv[1]).iterdir():
    config = read_toml(folder / "config.toml")
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    rows += [(config["schedule"]["peak_lr"], config["seed"], line["step"], line["loss"]) for line in lines if line["kind"] == "evaluate"]
print("peak_lr,seed,step,loss")  # plain weights, nats/token on the figure's validation set
for row in sorted(rows):
    print(",".join(map(repr, row)))
END_OF_PYTHON
mv "$here/sweep.csv.part" "$here/sweep.csv"
cat "$here/sweep.csv"
