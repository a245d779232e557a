"""What the commands print and accept: help, results as JSON lines, configs that repeat a run, token files of every kind."""
import json
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
from faults import counting, counts
from runner import TINY, digests, metrics, numbers, python, succeed, weights

COMMANDS = ("train", "average", "evaluate", "import", "export", "doctor", "inspect")
FEW = ("schedule.steps=3", "schedule.warmup_steps=0", "evaluate.steps=0")   # steps, where any will do


def flat(table, prefix=""):
    """{dotted key: value} of a TOML text's tables."""
    items = {}
    for key, value in table.items():
        items |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return items


def keys(toml):
    return flat(tomllib.loads(toml))


def train(directory, *words, ranks=1):
    """Trains; returns the config as the run resolved it."""
    succeed("train", TINY, "settings.toml", f"run.directory={directory}", *words, ranks=ranks)
    return keys(Path(directory, "config.toml").read_text())


def losses(directory):
    return [line["loss"] for line in numbers(directory) if line["kind"] == "train"]


def hashes(directory):
    provenance = json.loads(Path(directory, "provenance.json").read_text())
    return provenance["trajectory_hash"], provenance["config_hash"]


def test_a_run_ends_with_its_speed_and_where_its_time_went(place):
    result = succeed("train", TINY, "settings.toml", "run.directory=short", "schedule.steps=6", "evaluate.steps=3", ranks=2)
    *trained, summary = [line for line in metrics("short") if line["kind"] in ("train", "summary")]
    assert (summary["kind"], summary["step"], summary["tokens_this_start"]) == ("summary", 6, trained[-1]["trained_tokens"])
    assert summary["seconds"] == pytest.approx(sum(line["seconds"] for line in trained))
    assert summary["tokens_per_second"] == pytest.approx(summary["tokens_this_start"] / summary["seconds"])
    phases = summary["phase_seconds"]
    assert {"training/gemm", "training/attention", "training/communication", "training/optimizer", "training/data", "evaluation/gemm",
            "checkpoints/other"} <= phases.keys() and all(seconds >= 0 for seconds in phases.values())
    inside = sum(seconds for name, seconds in phases.items() if name.startswith("training/"))
    assert inside == pytest.approx(summary["seconds"], rel=0.05)
    assert "gemm_share" not in summary and "matrix products" not in result.err   # too short to measure them
    assert f"training: {summary['tokens_per_second']:.0f} tokens/s" in result.err and "training steps: " in result.err


# ---- help -------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], []], ids=" ".join)
def test_help_lists_the_commands(words):
    result = succeed(*words, ranks=2)
    assert result.out.startswith("lawa ") and result.err == ""
    for command in COMMANDS:
        assert result.out.count(f"\n  {command} ") == 1   # once, though there are two ranks


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_all_that_it_prints(command):
    result = succeed(command, "--help", ranks=2)
    assert result.out.startswith(f"lawa {command} ") and result.err == ""


@pytest.mark.parametrize("command", COMMANDS[:5])
def test_help_explains_every_key(place, command):
    help = succeed(command, "--help").out.split("key=value):\n\n")[1]
    assert all(line.partition("# ")[2] for line in help.splitlines() if line)
    config = keys(Path("run/config.toml").read_text())
    if command == "train":
        help, _, averages = help.partition("\n[[averages]]")
        assert keys(help).keys() == config.keys() | {"model.tied"}   # which files of a GPT-2 have only where it says something
        assert all(f"\n{key} = " in averages for key in ("scheme", "window", "stride", "beta", "first", "last", "warmup", "save"))
    elif command == "evaluate":
        averaging = {f"averaging.{key}" for key in ("scheme", "window", "stride", "at", "first", "last", "beta", "curve", "weights",
                                                    "any_run", "order", "precision", "allow_nonfinite")}
        assert keys(help).keys() == {key for key in config if key.startswith("data.")} | {"memory_budget", "sharding"} | averaging
    elif command in ("import", "export"):
        assert keys(help).keys() == {"import": {"import.precision", "import.step"},
                                     "export": {"export.precision", "export.max_shard_size", "export.companions"}}[command]
    else:
        assert {"source", "destination", "averaging.scheme", "averaging.window", "averaging.stride"} <= keys(help).keys()


# ---- results on stdout ------------------------------------------------------------------------------------------------------

def test_evaluate_prints_one_object_a_file(place):
    result = succeed("evaluate", "run", ranks=2)
    assert [line["step"] for line in result.objects] == list(range(5, 61, 5))
    for line in result.objects:
        assert line["file"] == str(weights(line["step"])) and line["scheme"] == "plain"
        assert line["validation_tokens"] == (Path("data/val.bin").stat().st_size // 2 - 1) // 32 * 32
        assert line["trained_tokens"] == line["step"] * 8 * 32
    during = {line["step"]: line["loss"] for line in metrics("run") if line["kind"] == "evaluate"}
    afterwards = {line["step"]: line["loss"] for line in result.objects if line["step"] in during}
    assert len(during) == 3 and afterwards == pytest.approx(during, rel=1e-6)


def test_inspect_prints_the_header(place):
    header, = succeed("inspect", weights(60), ranks=2).objects
    assert header["file"] == str(weights(60)) and header["kind"] == "weights" and header["step"] == 60
    assert header["parameters"] == sum(np.prod(tensor["shape"]) for tensor in header["table"]) == 33952
    assert header["config"] == Path("run/config.toml").read_text()
    assert (header["trajectory_hash"], header["config_hash"]) == hashes("run")
    assert header["provenance"]["tokens_digest"] == json.loads(Path("run/provenance.json").read_text())["tokens_digest"]


def test_training_prints_nothing_on_stdout_and_averaging_a_line_a_file(place):
    assert succeed("train", TINY, "settings.toml", "run.directory=new", *FEW, ranks=2).out == ""
    lines = succeed("average", "run", "destination=average", ranks=2).objects
    assert [list(line) for line in lines] == [["file", "step", "scheme", "window", "stride", "digest"]] * 8
    assert {line["step"]: line["digest"] for line in lines} == digests("average")


def test_evaluation_depends_on_ranks_only_by_rounding_and_repeats_bitwise(place):
    files = [weights(10), weights(60)]
    on = {ranks: [line["loss"] for line in succeed("evaluate", *files, ranks=ranks).objects] for ranks in (1, 2, 3)}
    assert on[2] == pytest.approx(on[1], rel=1e-6) and on[3] == pytest.approx(on[1], rel=1e-6)
    assert [line["loss"] for line in succeed("evaluate", *files, ranks=3).objects] == on[3]


def test_a_folder_that_grows_is_listed_by_one_rank(place):
    """Ranks that listed it for themselves would wait for evaluations that others don't make."""
    succeed("evaluate", "run", ranks=3, **counting("counts", ".json"))
    assert {count.rank for count in counts("counts") if "meta.json" not in count.path} == {0}   # that is each one's own affair
    assert len(list(place.glob("counts.*"))) == 3


def test_evaluate_takes_models_of_different_shapes_in_one_go(place):
    train("other", "model.layers=1", "model.context=16", *FEW)
    files = [weights(60), weights(3, "other"), weights(60)]
    together = [line["loss"] for line in succeed("evaluate", *files).objects]
    assert together == [succeed("evaluate", file).objects[0]["loss"] for file in files]


# ---- configs ----------------------------------------------------------------------------------------------------------------

def test_config_of_a_run_repeats_it(place):
    succeed("train", "run/config.toml", "run.directory=again", ranks=2)
    assert len(numbers("run")) == 63 and numbers("again") == numbers("run")
    assert digests("again") == digests("run")
    again, run = (keys(Path(name, "config.toml").read_text()) for name in ("again", "run"))
    assert again == run | {"run.directory": "again"}


def test_hashes_tell_a_trajectory_from_a_config(place):
    train("new", "checkpoint.steps=1", "schedule.steps=3")
    train("moved", "checkpoint.steps=2", "schedule.steps=3")
    train("reseeded", "checkpoint.steps=1", "schedule.steps=3", "seed=2")
    trajectory, config = zip(*map(hashes, ("new", "moved", "reseeded")))
    assert trajectory[0] == trajectory[1] != trajectory[2]
    assert len(set(config)) == 3


def test_both_hashes_stand_in_every_file(place):
    succeed("average", "run", "destination=average", "averaging.window=12")
    files = [*Path("run/checkpoints").glob("*.h5"), *Path("average").glob("*.h5")]
    assert {path.name.split(".")[1] for path in files} == {"weights", "state"}
    for path in files:
        with h5py.File(path) as file:
            assert (file.attrs["trajectory_hash"].decode(), file.attrs["config_hash"].decode()) == hashes("run")
    line, = succeed("evaluate", "average").objects
    assert (line["trajectory_hash"], line["config_hash"]) == hashes("run")


def test_later_words_win_over_earlier_ones_and_files(place):
    Path("more.toml").write_text('seed = 5\nschedule.steps = 9\nschedule.kind = "constant"\n')
    config = train("new", *FEW, "seed=7", "more.toml", "schedule.steps=2", "schedule.peak_lr=3")
    assert (config["seed"], config["schedule.steps"], config["schedule.kind"]) == (7, 2, "constant")   # words over files
    assert config["schedule.peak_lr"] == 3.0 and config["batch.global_sequences"] == 8
    assert len(losses("new")) == 2


def test_arrays_and_single_values_name_files(place):
    assert train("one", *FEW)["data.train"] == ["data/train.bin"]
    assert train("two", *FEW, 'data.train=["data/train.bin", "data/val.bin"]')["data.train"] == ["data/train.bin", "data/val.bin"]
    succeed("train", "two/config.toml", "run.directory=again")
    assert losses("again") == losses("two") != losses("one")


# ---- token files ------------------------------------------------------------------------------------------------------------

def test_formats_of_the_same_tokens_make_the_same_run(place):
    prepared = python("data/prepare.py", "text.txt", "--tokenizer", "bytes", "--validation-fraction", 0.2, "--format", "llmc",
                      "--output", "shards")
    assert prepared.returncode == 0, prepared.stderr
    assert Path("shards/train.bin").stat().st_size == Path("data/train.bin").stat().st_size + 1024
    train("raw", "schedule.steps=3")
    train("llmc", "schedule.steps=3", "data.train=shards/train.bin", "data.validation=shards/val.bin")
    assert numbers("llmc") == numbers("raw") and hashes("llmc")[0] == hashes("raw")[0]


def test_training_draws_from_every_file(place):
    """Two files of one token each: a batch's first loss is a mix of theirs, by how many sequences came from which."""
    for token in (3, 4):
        np.full(2000, token, "<u2").tofile(f"{token}.bin")
    for name, files in {"a": '"3.bin"', "b": '"4.bin"', "both": '"3.bin", "4.bin"'}.items():
        train(name, "schedule.steps=1", "evaluate.steps=0", "batch.global_sequences=16", f"data.train=[{files}]")
    a, b, both = (losses(name)[0] for name in ("a", "b", "both"))
    sequences = 16 * (both - b) / (a - b)
    assert sequences == pytest.approx(round(sequences), abs=0.05) and 4 <= round(sequences) <= 12
