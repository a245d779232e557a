"""A made-up figure, and where the project is."""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FIGURE = '''
title = "A made-up figure"
subtitle = "of a few steps"
status = "not run"
[train]
files = ["models/tiny.toml"]
batch.global_sequences = 8
schedule = { kind = "cosine", steps = 40, warmup_steps = "10%", peak_lr = 1e-2, final_lr = "10%" }
evaluate.steps = "25%"
data.validation_sequences = 8
checkpoint.fsync = false
[axes]
seed = [1, 2]
[axes.rate]
usual = { label = "usual", schedule.peak_lr = 1e-2 }
high = { label = "high", schedule.peak_lr = 4e-2 }
[[averages]]
name = "lawa"
window = 3
stride = "5%"
[[claims]]
name = "below"
text = "LAWA is below plain"
where = { rate = "usual" }
this = "lawa"
that = "plain"
at = "50%"
[scale.smoke]
text = { files = ["README.md"], tokenizer = "bytes", validation_fraction = 0.2 }
'''
