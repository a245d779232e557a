"""Whatever is wrong, on any number of ranks: one line that names it, a non-zero exit code, soon, and every file as it was."""
import json
import os
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from runner import TINY, end, lawa, metrics, snapshot, start, succeed, weights
from weights_file import flip, in_a_weight

FILE = weights(30)   # the checkpoint that is damaged


def nothing():
    pass


def write(path, content):
    """A step that puts a file there."""
    return lambda: Path(path).write_bytes(content.encode() if isinstance(content, str) else bytes(content))


def edit_meta(**changes):
    path = Path("data/meta.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def tokens(path, *values):
    return write(path, np.array(values, "<u2").tobytes())


def pipe(path):
    """A step that puts a pipe there, in the place of what there was: whoever opens it waits for its other end."""
    def bring_about():
        Path(path).unlink(missing_ok=True)
        Path(path).parent.mkdir(exist_ok=True)
        os.mkfifo(path)
    return bring_about


def link(path, to):
    return lambda: Path(path).symlink_to(to)


def change(path, what, into):
    text = path.read_text()
    assert what in text
    path.write_text(text.replace(what, into))


def remove(*paths):
    return lambda: [Path(path).unlink() for path in paths]


def train(*words):
    return ["train", TINY, "settings.toml", "run.directory=new", *words]


def average(*words):
    return ["average", *words, "destination=new"]


def refuse(words, ranks, says, out=""):
    """The one error line of a command that must fail and leave everything as it is."""
    before = snapshot()
    result = lawa(*words, ranks=ranks)
    assert result.code != 0 and result.seconds < 10
    assert len(result.errors) == 1, result.err
    for part in says:
        assert str(part) in result.errors[0]
    for noise in ("Traceback", "terminate called", "what():", "Signal:", "HDF5-DIAG"):
        assert noise not in result.err
    assert result.out == out
    after = snapshot()
    assert [path for path in before | after if before.get(path) != after.get(path)] == []


SAFETENSORS = (lambda header: len(header).to_bytes(8, "little") + header + bytes(8))(
    b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}')
LONG_HEADER = np.array([20240520, 1, 1000] + [0] * 253, "<i4").tobytes()   # an llm.c shard of 1000 tokens

# what is wrong: (how it is brought about, the command, what the message names)
CASES = {
    # configs and command lines
    "an unknown key in a file": (write("bad.toml", "[model]\nlayer = 3\n"), train("bad.toml"),
                                 ["model.layer (bad.toml:2)", "model.layers?"]),
    "an unknown key on the command line": (nothing, train("modle.layers=3"), ["modle.layers (command line)", "model.layers?"]),
    "a key that average doesn't know": (nothing, average("run", "averaging.windw=3"),
                                        ["averaging.windw (command line)", "averaging.window?"]),
    "a key that evaluate doesn't know": (nothing, ["evaluate", "run", "model.layers=3"], ["model.layers (command line)"]),
    "a key that inspect doesn't know": (nothing, ["inspect", "run", "seed=3"], ["seed (command line)"]),
    "a wrong type in a file": (write("bad.toml", "seed = 1\n[schedule]\nsteps = 'many'\n"), train("bad.toml"),
                               ["schedule.steps (bad.toml:3)", "integer"]),
    "a wrong type on the command line": (nothing, train("schedule.steps=2.5"), ["schedule.steps (command line)", "integer"]),
    "a list in a list of files": (nothing, train("data.train=[[1,2]]"), ["data.train (command line)", "string"]),
    "a key by another table's name": (nothing, train("optimizer.lr=1"), ["optimizer.lr (command line)", "schedule.final_lr or schedule.peak_lr?"]),
    "another command's key": (nothing, train("averaging.window=5"), ["averaging.window (command line): is a key of lawa average"]),
    "a place that isn't in the environment": (nothing, train("data.train=$NO_SUCH_PLACE/t.bin"),
                                              ["data.train (command line): $NO_SUCH_PLACE/t.bin: the environment has no NO_SUCH_PLACE"]),
    "a negative size": (nothing, train("model.layers=-2"), ["model.layers (command line)", "-2"]),
    "a word that is no choice": (nothing, train("model.gelu=relu"), ["model.gelu (command line)", "relu", "tanh, erf"]),
    "an override without a value": (nothing, train("seed="), ["seed (command line)"]),
    "channels that don't split into heads": (nothing, train("model.heads=3"),
                                             [f"model.channels ({TINY}:5)", "model.heads (command line)"]),
    "TOML that isn't": (write("bad.toml", "[model]\nlayers = = 2\n"), train("bad.toml"), ["bad.toml:2", "TOML"]),
    "a missing TOML file": (nothing, train("none.toml"), ["none.toml"]),
    "an unknown command": (nothing, ["trian", "settings.toml"], ["trian", "--help"]),
    "an unknown option": (nothing, train("--fast"), ["--fast", "--help"]),
    "averaging's option to another command": (nothing, ["evaluate", "--rebuild", FILE], ["unknown option --rebuild"]),
    "no run directory": (nothing, ["train", TINY, "settings.toml"], ["run.directory"]),
    "no training data": (nothing, ["train", TINY, "run.directory=new"], ["data.train"]),
    "no source": (nothing, average(), ["source"]),
    "no destination": (nothing, ["average", "run"], ["destination"]),
    "nothing to make again": (nothing, ["average", "--rebuild"], ["--rebuild", "name an average"]),
    "an average to make again from nowhere": (nothing, ["average", "--rebuild", FILE], ["source", FILE]),
    "nothing to evaluate": (nothing, ["evaluate"], ["evaluate"]),
    "nothing to inspect": (nothing, ["inspect"], ["inspect"]),
    "weights where a config belongs": (nothing, train(FILE), [FILE]),

    # token files
    "a missing data file": (nothing, train("data.train=none.bin"), ["data.train (command line)", "none.bin"]),
    "a missing validation file": (nothing, train("data.validation=none.bin"), ["data.validation (command line)", "none.bin"]),
    "a missing file to evaluate on": (nothing, ["evaluate", "run", "data.validation=none.bin"],
                                      ["data.validation (command line)", "none.bin"]),
    "an empty data file": (write("bad.bin", ""), train("data.train=bad.bin"), ["bad.bin", "empty"]),
    "a folder without shards": (nothing, train("data.train=run"), ["data.train (command line): run: is a folder without token files (*.bin)"]),
    "a pattern that nothing fits": (nothing, train("data.train=data/shard_*.bin"), ["data.train (command line): no file fits data/shard_*.bin"]),
    "text as data": (nothing, train("data.train=text.txt"), ["data.train (command line): text.txt: is text, not a token file; data/prepare.py"]),
    "an array as data": (lambda: np.save("t.npy", np.arange(99)), train("data.train=t.npy"), ["t.npy: is a NumPy array (.npy)", ".tofile("]),
    "tokens of 64 bits": (write("t.bin", np.arange(999) % 99), train("data.train=t.bin"), ["t.bin: looks like tokens of 64 bits"]),
    "tokens of another tokenizer than meta.json says": (lambda: edit_meta(vocabulary_size=50257, tokenizer="gpt2"), train(),
                                                        ["data/meta.json says a vocabulary of 50257 (gpt2), and model.vocabulary is 256"]),
    "tokens of another type than meta.json says": (lambda: edit_meta(dtype="float32"), train(), ["data/meta.json: dtype is float32"]),
    "another tokenizer than that of training": (lambda: edit_meta(tokenizer="gpt2"), ["evaluate", FILE],
                                                ["holds ids of the tokenizer gpt2", "was trained on those of bytes"]),
    "a data file that is cut": (lambda: os.truncate("data/train.bin", 2000), train(), ["data/train.bin: holds 1000 tokens, and data/meta.json says"]),
    "data shorter than a sequence": (tokens("bad.bin", *range(32)), train("data.train=bad.bin"),
                                     ["data.train", "bad.bin", "32", "33"]),
    "validation shorter than a sequence": (tokens("bad.bin", *range(32)), train("data.validation=bad.bin"),
                                           ["data.validation", "bad.bin", "32", "33"]),
    "more validation than there is": (nothing, train("data.validation_sequences=100000"),
                                      ["data.validation_sequences", "100000"]),
    "an odd number of bytes": (write("bad.bin", bytes(1001)), train("data.train=bad.bin"), ["bad.bin", "1001"]),
    "an llm.c header that promises too much": (write("bad.bin", LONG_HEADER + bytes(998)), train("data.train=bad.bin"),
                                               ["bad.bin", "1000", "499"]),
    "an llm.c header that promises too little": (write("bad.bin", LONG_HEADER + bytes(4000)), train("data.train=bad.bin"),
                                                 ["bad.bin", "1000", "2000"]),
    "a token beyond the vocabulary": (tokens("bad.bin", *[7] * 99, 256, 8), train("data.train=bad.bin"),
                                      ["bad.bin", "token 99 is 256", "vocabulary"]),

    # what is no file is refused before it is opened
    "a pipe as config": (pipe("pipe.toml"), train("pipe.toml"), ["pipe.toml: is a pipe, not a file"]),
    "a device as config": (link("zero.toml", "/dev/zero"), train("zero.toml"), ["zero.toml: is a device, not a file"]),
    "a folder as config": (lambda: Path("folder.toml").mkdir(), train("folder.toml"), ["folder.toml: is a folder, not a file"]),
    "a link to itself as config": (link("self.toml", "self.toml"), train("self.toml"), ["self.toml: ", "symbolic links"]),
    "a config below a file": (nothing, train("settings.toml/below.toml"), ["below.toml: ", "Not a directory"]),
    "a pipe as data": (pipe("pipe.bin"), train("data.train=pipe.bin"), ["data.train (command line)", "pipe.bin: is a pipe, not a file"]),
    "a link to a pipe as one of several": (lambda: (pipe("pipe")(), link("link.bin", "pipe")()),
                                           train('data.train=["data/train.bin","link.bin"]'), ["data.train", "link.bin: is a pipe, not a file"]),
    "a pipe as validation data": (pipe("pipe.bin"), train("data.validation=pipe.bin"), ["data.validation", "pipe.bin: is a pipe"]),
    "a device as data": (nothing, train("data.train=/dev/zero"), ["data.train", "/dev/zero: is a device, not a file"]),
    "standard input as data": (nothing, train("data.train=/dev/stdin"), ["/dev/stdin: is a "]),
    "a pipe to evaluate on": (pipe("pipe.bin"), ["evaluate", FILE, "data.validation=pipe.bin"], ["data.validation", "pipe.bin: is a pipe"]),
    "a pipe as weights to start from": (pipe("pipe.h5"), train("start.weights=pipe.h5"), ["pipe.h5: is a pipe, not a file"]),
    "a pipe as a commit record": (pipe(FILE.with_name("step_00000030.json")), train(f"start.weights={FILE}"), ["step_00000030.json: is a pipe"]),
    "a pipe as a run's provenance": (pipe("new/provenance.json"), train(), ["new/provenance.json: is a pipe, not a file"]),
    "a pipe as a run's record": (pipe("new/metrics.jsonl"), train(), ["new/metrics.jsonl: is a pipe, not a file"]),

    "a grid with a folder whose name isn't UTF-8": (lambda: shutil.copytree("run/checkpoints", "grid/caf\udce9"), average("grid"),
                                                    [r"grid/caf\xE9/step_00000005.weights.h5: isn't UTF-8"]),
    "TOML that isn't UTF-8": (write("bad.toml", b'[run]\ndirectory = "caf\xe9"\n'), train("bad.toml"), ["bad.toml:2"]),

    # checkpoints and places
    "a source that doesn't exist": (nothing, average("none"), ["none"]),
    "a file to evaluate that doesn't exist": (nothing, ["evaluate", "none.h5"], ["none.h5"]),
    "weights to start from that don't exist": (nothing, train("start.weights=none.h5"), ["none.h5"]),
    "a folder without checkpoints": (nothing, ["inspect", "data"], ["data"]),
    "a checkpoint to go on from without its state": (nothing, train(f"start.checkpoint={FILE}"),
                                                     ["start.checkpoint (command line)", "step 30 has weights only", "(40, 60)", "start.weights"]),
    "a folder to start from": (nothing, train("start.weights=run/checkpoints"), ["start.weights (command line): run/checkpoints: is a folder"]),
    "safetensors to start from": (write("m.safetensors", SAFETENSORS), train("start.weights=m.safetensors"),
                                  ["m.safetensors: is a safetensors file, not a weights file of this program"]),
    "safetensors to evaluate": (write("m.safetensors", SAFETENSORS), ["evaluate", "m.safetensors"], ["m.safetensors: doesn't say which model it is of"]),
    "an index of shards to evaluate": (write("model.safetensors.index.json", '{"weight_map": {}}'), ["evaluate", "model.safetensors.index.json"],
                                       ["model.safetensors.index.json: names no tensor"]),
    "a pointer to weights": (write("p.h5", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), ["evaluate", "p.h5"],
                             ["p.h5: is a Git LFS pointer", "git lfs pull"]),
    "too few checkpoints for the window": (nothing, average("run", "averaging.window=13"), ["averaging.window", "13", "12"]),
    "a checkpoint that misses in the stride": (remove(FILE, FILE.with_name("step_00000030.json")),
                                               average("run", "averaging.window=2", "averaging.stride=5"),
                                               ["averaging.stride", "30"]),
    "a record that names another step": (lambda: change(FILE.with_name("step_00000030.json"), '"step": 30', '"step": 35'), ["inspect", "run"],
                                         ["step_00000030.json: the commit record is damaged"]),
    "another checkpoint's record": (lambda: shutil.copy(FILE.with_name("step_00000035.json"), FILE.with_name("step_00000030.json")),
                                    ["evaluate", "run"], ["step_00000030.json: the commit record is damaged: it is of step 35"]),
    "a file that its record names and that is gone": (remove(FILE), average("run"), [FILE]),
    "the same checkpoint twice": (nothing, average(FILE, FILE, "averaging.window=2"), ["30"]),
    "a file in the place of the destination": (write("new", "mine"), average("run"), ["new"]),
    "a file above the destination": (write("new", "mine"), ["average", "run", "destination=new/below"], ["new/below"]),
    "a file in the place of the run directory": (write("new", "mine"), train(), ["run.directory", "new"]),
    "a run directory with too long a name": (nothing, train(f"run.directory={'x' * 256}"), ["run.directory", "too long"]),
    "a run directory with no room for names below it": (nothing, train("run.directory=" + "/".join(["x" * 202] * 20)),   # 4,059 bytes of 4,095
                                                        ["is too long a name for what goes below it, checkpoints/step_"]),
    "a run directory of another config": (nothing, train("run.directory=run", "seed=2"), ["run.directory", "run", "another run"]),
}


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_refuses(place, case, ranks):
    prepare, words, says = CASES[case]
    prepare()
    refuse(words, ranks, says)


NAMES = {   # with bytes that are no UTF-8, as no config and no result can hold them, and how the message writes them
    "run directory": (train("run.directory=caf\udce9"), r"run.directory=caf\xE9"),
    "data": (train("data.train=caf\udce9/train.bin"), r"data.train=caf\xE9/train.bin"),
    "start": (train("start.weights=caf\udce9.h5"), r"start.weights=caf\xE9.h5"),
    "config": (train("caf\udce9.toml"), r"caf\xE9.toml"),
    "source": (average("run", "caf\udce9"), r"caf\xE9"),
    "destination": (["average", "run", "destination=\udcf0\udc9f\udc98"], r"destination=\xF0\x9F\x98"),
    "evaluated": (["evaluate", "caf\udce9.h5"], r"caf\xE9.h5"),
    "inspected": (["inspect", "caf\udce9.h5"], r"caf\xE9.h5"),
    "planned": (["plan", TINY, "settings.toml", "run.directory=caf\udce9"], r"run.directory=caf\xE9"),
    "doctor's": (["doctor", "run.directory=caf\udce9"], r"run.directory=caf\xE9"),
    "command": (["caf\udce9"], r"unknown command caf\xE9"),
}


@pytest.mark.parametrize("what", NAMES)
def test_refuses_names_that_aren_t_utf8(place, what):
    words, written = NAMES[what]
    refuse(words, 0, [written if what == "command" else f"{written}: isn't UTF-8"])


def test_all_is_well_below_a_folder_whose_name_isn_t_utf8(place, monkeypatch):
    below = place / "caf\udce9"
    below.mkdir()
    for name in ("run", "data", "settings.toml"):
        (place / name).rename(below / name)
    monkeypatch.chdir(below)
    succeed("train", TINY, "settings.toml", "run.directory=new", "schedule.steps=6", ranks=2, XDG_CACHE_HOME=str(below))
    succeed("plan", TINY, "settings.toml", "run.directory=planned")
    succeed("average", "run", "destination=mean", "averaging.window=2", ranks=2)
    assert len(succeed("evaluate", "mean", "data.validation_sequences=1").objects) == 11


# ---- damaged checkpoints, for each command that reads one -------------------------------------------------------------------

def in_the_config(path):
    return path.read_bytes().index(b"schedule.peak_lr") + 20


def in_the_metadata(path):
    """A byte of HDF5's own, in the name of a link."""
    return path.read_bytes().rindex(b"c_attn.weight")


def without_record(damage):
    def both(path):
        path.with_name("step_00000030.json").unlink()
        damage(path)
    return both


def cut(path):
    os.truncate(path, 100000)


def other_hdf5(path):
    path.unlink()
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros(33952, np.float32)


def state_instead(path):
    shutil.copy(path.with_name("step_00000060.state.h5"), path)


DAMAGES = {   # what is done to FILE, and what the message says besides its name
    "truncated": (cut, "truncated"),
    "truncated without a record": (without_record(cut), ""),
    "a bit flipped in a weight": (flip(in_a_weight), "h.1.mlp.c_fc.weight"),
    "a bit flipped in the config": (flip(in_the_config), "damaged"),
    "a bit flipped in the config without a record": (without_record(flip(in_the_config)), "header"),
    "a bit flipped in HDF5's metadata": (flip(in_the_metadata), "damaged"),
    "not HDF5": (without_record(lambda path: path.write_text("these are no weights\n" * 99)), ""),
    "empty": (without_record(lambda path: path.write_bytes(b"")), ""),
    "another program's HDF5": (without_record(other_hdf5), "not a file of this program"),
    "a state file": (without_record(state_instead), "is a state file"),
}
READERS = {
    "average": average(FILE, weights(60), "averaging.window=2"),
    "evaluate": ["evaluate", FILE],
    "inspect": ["inspect", FILE],
    "start": train(f"start.weights={FILE}"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_refuses_a_checkpoint_that_is(place, damage, reader):
    bring_about, says = DAMAGES[damage]
    bring_about(FILE)
    refuse(READERS[reader], 1 + (reader in ("average", "start")), [FILE, says])   # those that read in parallel on two ranks


def test_refuses_a_checkpoint_of_another_model(place):
    succeed("train", TINY, "settings.toml", "run.directory=other", "model.layers=1", "schedule.steps=6")
    other = weights(6, "other")
    refuse(train(f"start.weights={other}"), 2, [other, "another model", "h.1.ln_1.weight"])
    refuse(average(other, weights(60), "averaging.window=2"), 2, [weights(60), "another model"])


def test_refuses_checkpoints_of_two_runs(place):
    succeed("train", TINY, "settings.toml", "run.directory=other", "seed=2", "schedule.steps=6")
    refuse(average(weights(6, "other"), weights(60), "averaging.window=2"), 2, [weights(60), "another run"])


# ---- places that are taken --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ranks", [1, 2])
def test_refuses_to_replace_an_average(place, ranks):
    succeed("average", "run", "destination=new", "averaging.first=30")
    refuse(average("run"), ranks, ["new/step_00000050.weights.h5", "exists"])   # 25 to 45 would have been new


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_refuses_a_folder_that_it_may_not_write(place):
    Path("new").mkdir(mode=0o500)
    refuse(average("run"), 2, ["new"])
    refuse(train(), 2, ["new"])


@pytest.mark.parametrize("ranks", [1, 2])
def test_refuses_a_run_directory_that_is_in_use(place, ranks):
    forever = train("schedule.steps=1000000", "evaluate.steps=0", "checkpoint.steps=0", "checkpoint.state_steps=0", "run.lock_seconds=0")
    first = start(*forever)
    try:
        while not Path("new/metrics.jsonl").exists():
            assert first.poll() is None
            time.sleep(0.01)
        second = lawa(*forever, ranks=ranks)
        assert second.code != 0 and second.seconds < 10 and len(second.errors) == 1
        assert "new" in second.errors[0] and "another process" in second.errors[0]
        assert first.poll() is None   # and it goes on, alone:
    finally:
        end(first)
    steps = [line["step"] for line in metrics("new")[:-1]]
    assert steps == list(range(1, len(steps) + 1))
