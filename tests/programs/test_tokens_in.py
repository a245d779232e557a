"""What is trained and evaluated on: wide tokens, shards by patterns and folders, validation files of one's own, keys of other commands."""
import json
import math
from pathlib import Path

import numpy as np
import pytest
from runner import TINY, lawa, metrics, numbers, succeed, weights

FILE = weights(60)
SHORT = ("schedule.steps=4", "schedule.warmup_steps=0", "evaluate.steps=4")


def train(directory, *words, ranks=1):
    succeed("train", TINY, "settings.toml", *SHORT, f"run.directory={directory}", *words, ranks=ranks)
    return numbers(directory)


def shard(path, tokens, kind):
    """An llm.c shard of these ids."""
    magic = {"<u2": (20240520, 1), "<u4": (20240801, 7)}[kind]
    header = np.zeros(256, "<i4")
    header[:3] = *magic, len(tokens)
    Path(path).write_bytes(header.tobytes() + np.asarray(tokens).astype(kind).tobytes())


def test_tokens_of_32_bits_train_to_the_same_bits(place):
    tokens = np.fromfile("data/train.bin", "<u2")
    Path("wide").mkdir()
    tokens.astype("<u4").tofile("wide/raw.bin")
    Path("wide/meta.json").write_text('{"dtype": "uint32"}')
    shard("shard.bin", tokens, "<u4")
    narrow = train("narrow")
    assert train("raw", "data.train=wide/raw.bin", ranks=2)[0]["loss"] == pytest.approx(narrow[0]["loss"], rel=1e-6)
    assert train("shards", "data.train=shard.bin") == narrow


def test_a_vocabulary_above_65536_trains(place):
    tokens = np.random.default_rng(1).integers(0, 70000, 4000)
    tokens[::7] = 69999
    shard("train.bin", tokens, "<u4")
    lines = train("new", "model.vocabulary=70000", "data.train=train.bin", "data.validation=train.bin", "data.validation_sequences=4", ranks=2)
    assert lines[0]["loss"] == pytest.approx(math.log(70000), rel=0.02)
    assert all(math.isfinite(line["loss"]) for line in lines)
    found = succeed("evaluate", "new").objects[0]
    assert found["loss"] == pytest.approx(lines[-1]["loss"], rel=1e-6)
    result = lawa("train", TINY, "settings.toml", *SHORT, "run.directory=less", "model.vocabulary=69999", "data.train=train.bin")
    assert result.code == 1 and "train.bin: token 0 is 69999, and model.vocabulary is 69999" in result.errors[0]


def test_shards_by_a_pattern_and_by_their_folder(place):
    Path("shards").mkdir()
    tokens = np.fromfile("data/train.bin", "<u2")
    names = [f"shards/train_{i}.bin" for i in (2, 9, 10)]
    for name, part in zip(names, np.split(tokens, (3000, 9000))):
        part.tofile(name)
    np.fromfile("data/val.bin", "<u2").tofile("shards/val_0.bin")
    listed = train("listed", f"data.train={json.dumps(names)}")
    assert train("pattern", "data.train=shards/train_*.bin") == listed
    assert train("folder", "data.train=shards", "data.validation=shards/") == listed
    assert 'data.train = ["shards"]' in Path("folder/config.toml").read_text()


def test_evaluation_says_perplexity_and_bits_a_byte(place):
    line = succeed("evaluate", FILE).objects[0]
    assert line["perplexity"] == pytest.approx(math.exp(line["loss"]))
    counts = json.loads(Path("data/meta.json").read_text())["files"]["val.bin"]
    assert line["bits_per_byte"] == pytest.approx(line["loss"] / math.log(2) * counts["tokens"] / counts["bytes"])
    Path("data/meta.json").unlink()
    without = succeed("evaluate", FILE).objects[0]
    assert without["bits_per_byte"] is None and without["loss"] == line["loss"]
    succeed("average", "run", "averaging.window=12", "destination=averages")
    assert succeed("inspect", "averages").objects[0]["provenance"]["tokenizer"] == "bytes"   # what evaluating it compares
    average = succeed("evaluate", "averages").objects[0]
    assert average["perplexity"] == pytest.approx(math.exp(average["loss"]))


def test_validation_files_of_ones_own_are_evaluated_whole(place):
    succeed("train", TINY, "settings.toml", *SHORT, "run.directory=short", "data.validation_sequences=3")
    trained, own = succeed("evaluate", "short").objects[0], succeed("evaluate", "short", "data.validation=data/train.bin").objects[0]
    assert trained["validation_tokens"] == 3 * 32
    assert own["validation_tokens"] == (np.fromfile("data/train.bin", "<u2").size - 1) // 32 * 32
    counted = succeed("evaluate", "short", "data.validation=data/train.bin", "data.validation_sequences=5").objects[0]
    assert counted["validation_tokens"] == 5 * 32


def test_a_runs_config_is_known_to_other_commands(place):
    plain = succeed("evaluate", FILE).objects[0]
    result = succeed("evaluate", "run/config.toml", FILE)
    assert result.objects[0]["loss"] == plain["loss"]
    assert "left alone: " in result.err and "which are keys of lawa train (run/config.toml:" in result.err
    own = succeed("evaluate", "run/config.toml", FILE, "data.validation=data/train.bin").objects[0]
    assert own["validation_tokens"] > plain["validation_tokens"]
    Path("averages.toml").write_text("destination = 'new'\n[averaging]\nwindow = 3\nstride = 20\n[[averages]]\nscheme = 'ema'\n")
    assert succeed("average", "averages.toml", "run/config.toml", "run").objects[0]["window"] == 3
    result = lawa("evaluate", FILE, "schedule.steps=3")
    assert result.code == 1 and "schedule.steps (command line): is a key of lawa train, not of lawa evaluate" in result.errors[0]
    result = lawa("evaluate", FILE, "optimizer.lr=3")
    assert result.code == 1 and "unknown key optimizer.lr" in result.errors[0]


def test_the_version_is_said(place):
    for word in ("--version", "version"):
        result = succeed(word)
        assert result.out.startswith("lawa 0.") and result.out.count("\n") == 1


def test_paths_in_files_know_the_environment(place):
    Path("places.toml").write_text("[data]\ntrain = '$TOKENS/train.bin'\nvalidation = '~/data/val.bin'\n[run]\ndirectory = 2026\n")
    succeed("train", TINY, "settings.toml", "places.toml", *SHORT, HOME=str(place), TOKENS=str(place / "data"))
    assert metrics("2026")[-1]["kind"] == "summary"
