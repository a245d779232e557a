"""data.csv and provenance.json out of what the programs write, and each way in which that can be wrong."""
import hashlib
import json

import collect
import pytest
import table as tables
from made_up import rows


def make_runs(folder):
    """A figure's folder as run.sh leaves it: config.toml, evaluations and data/meta.json, losses from made_up.rows()."""
    (folder / "evaluate").mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "meta.json").write_text('{"tokenizer": "bytes"}')
    (folder / "seconds.tsv").write_text("train usual_seed1\t2\ntrain usual_seed1\t3\naverage\t1\n")
    table = tables.Table(rows())
    for arm, peak_lr in (("usual", "0.002"), ("high", "2e-2")):
        run = folder / f"{arm}_seed1"
        run.mkdir()
        (run / "config.toml").write_text(f"seed = 1\n[schedule]\nsteps = 100\npeak_lr = {peak_lr}\n")
        (run / "provenance.json").write_text('{"git": "abc", "ranks": 2, "directory": "/somewhere/private"}')
        for model, scheme in (("plain", "plain"), ("lawa", "sliding")):
            lines = [json.dumps({
                "file": f"{arm}/step_{row.step:08d}.weights.h5", "step": row.step, "loss": row.loss, "validation_tokens": 4096,
                "trained_tokens": row.tokens, "scheme": scheme, "window": row.window, "stride": row.stride, "seed": 1,
                "trajectory_hash": row.trajectory_hash, "config_hash": f"c-{arm}", "git": "abc", "seconds": 0.1,
            }) for row in reversed(table.select(arm=arm, model=model))]
            (folder / "evaluate" / f"{arm}_seed1_{model}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_collects_every_evaluation(tmp_path, spec):
    collect.collect(spec, make_runs(tmp_path))
    table = tables.read(tmp_path / "data.csv")
    assert set(table.rows) == set(rows())
    order = [(row.arm, row.model, row.step) for row in table.rows]
    assert order == sorted(order, key=lambda row: (row[0] != "usual", row[1] != "plain", row[2]))
    assert not list(tmp_path.rglob("*.part"))


def test_provenance_says_where_it_is_from(tmp_path, spec):
    collect.collect(spec, make_runs(tmp_path))
    text = (tmp_path / "provenance.json").read_text()
    facts = json.loads(text)
    assert facts["data_csv_sha256"] == hashlib.sha256((tmp_path / "data.csv").read_bytes()).hexdigest()
    assert [run["trajectory_hash"] for run in facts["runs"]] == ["hash-usual-1", "hash-high-1"]
    assert facts["runs"][0]["trained_by"] == {"git": "abc", "ranks": 2}
    assert facts["runs"][1]["config_hashes"] == ["c-high"]
    assert facts["seconds"] == {"train usual_seed1": 5.0, "average": 1.0}
    assert facts["text"] == {"tokenizer": "bytes"} and facts["seeds"] == [1]
    assert str(tmp_path) not in text and "/somewhere/private" not in text


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("old, new, message", [
    ('{"file"', '{file', r"high_seed1_lawa\.jsonl:1: not JSON"),
    ('"scheme": "sliding"', '"scheme": "median"', r"jsonl:1: scheme 'median' is none of plain, sliding, lawa"),
    ('"seed": 1', '"seed": 2', r"jsonl:1: seed 2, but the run's is 1"),
    ('"trajectory_hash": "hash-high-1"', '"trajectory_hash": "other"', r"of 2 different trajectories"),
    ('"window": 5, ', '', r"jsonl:1: has no 'window'"),
])
def test_a_bad_line_is_named(tmp_path, spec, old, new, message):
    edit(make_runs(tmp_path) / "evaluate" / "high_seed1_lawa.jsonl", old, new)
    with pytest.raises(ValueError, match=message):
        collect.collect(spec, tmp_path)
    assert not (tmp_path / "data.csv").exists()


def test_a_loss_that_is_not_finite_is_named(tmp_path, spec):
    path = make_runs(tmp_path) / "evaluate" / "high_seed1_plain.jsonl"
    lines = path.read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "loss": None})
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"plain\.jsonl:1: a value is not a number"):
        collect.collect(spec, tmp_path)


def test_an_unfinished_run_is_named(tmp_path, spec):
    edit(make_runs(tmp_path) / "usual_seed1" / "config.toml", "steps = 100", "steps = 200")
    with pytest.raises(ValueError, match=r"usual_seed1: the last evaluated step is 100, but .* schedule.steps = 200"):
        collect.collect(spec, tmp_path)


def test_missing_evaluations_are_named(tmp_path, spec):
    for path in (make_runs(tmp_path) / "evaluate").glob("high_*"):
        path.unlink()
    with pytest.raises(ValueError, match=r"has no high_seed1_\*\.jsonl"):
        collect.collect(spec, tmp_path)
