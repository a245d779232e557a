"""The quickstart's chain at smoke scale, from a text to verdicts; what is done is not done again, and repeats its bytes."""
import json
import shutil
from pathlib import Path

import pytest
from runner import ROOT, TINY, python, snapshot, succeed

HERE = ROOT / "experiments" / "quickstart"
DATA = ("data.train=data/train.bin", "data.validation=data/val.bin", "data.validation_sequences=16")
SMOKE = ("schedule.steps=40", "schedule.warmup_steps=2", "batch.global_sequences=4", "evaluate.steps=20", "checkpoint.steps=4",
         "checkpoint.state_steps=20")


def analyse(script, *words):
    result = python(f"analysis/{script}.py", *words)
    assert result.returncode == 0, result.stderr
    return result.stdout


def runs():
    """The figure's arms and seeds, as its run.sh gets them."""
    return [line.split() for line in analyse("spec", "quickstart").splitlines()]


def prepare():
    return python("data/prepare.py", "text.txt", "--tokenizer", "bytes", "--validation-fraction", 0.2, "--output", "data")


def train():
    for arm, seed in runs():
        succeed("train", TINY, HERE / "train.toml", HERE / "evaluate.toml", HERE / f"{arm}.toml", *DATA, *SMOKE, f"seed={seed}",
                f"run.directory={arm}_seed{seed}", ranks=2)


def average():
    for arm, seed in runs():
        succeed("average", HERE / "average.toml", f"source={arm}_seed{seed}", f"destination={arm}_seed{seed}_lawa",
                "averaging.stride=4", "averaging.skip_existing=true", ranks=2)


def evaluate():
    Path("evaluate").mkdir(exist_ok=True)
    for arm, seed in runs():
        for model, folder in {"plain": f"{arm}_seed{seed}", "lawa": f"{arm}_seed{seed}_lawa"}.items():
            lines = succeed("evaluate", folder, HERE / "evaluate.toml", *DATA[1:], ranks=2).out
            Path(f"evaluate/{arm}_seed{seed}_{model}.jsonl").write_text(lines)


def draw():
    analyse("collect", "quickstart", "--runs", ".")
    return analyse("run", "quickstart", "--from", ".")


def numbers_of(path):
    """Evaluations without the time that they took."""
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def chain(finished, tmp_path_factory):
    """The whole chain, run once in a folder that is the current one from here on; what it printed at its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("chain"))
        shutil.copy(finished / "text.txt", ".")
        assert prepare().returncode == 0
        train()
        average()
        evaluate()
        yield draw()


def test_chain_ends_in_a_figure_and_verdicts(chain):
    arms, averages = len(runs()), 40 // 4 - 5 + 1
    rows = Path("data.csv").read_text().splitlines()
    assert len(rows) == 1 + arms * (40 // 4 + averages)
    assert Path("figure.png").read_bytes().startswith(b"\x89PNG") and Path("figure.pdf").read_bytes().startswith(b"%PDF")
    verdicts = json.loads(Path("verdicts.json").read_text())
    assert verdicts and "figure.png" in chain
    line = json.loads(Path("evaluate/high_seed1_lawa.jsonl").read_text().splitlines()[-1])
    assert (line["scheme"], line["window"], line["stride"], line["step"]) == ("sliding", 5, 4, 40)
    assert not list(Path().rglob("*.part"))


def test_second_time_nothing_is_done_again_and_the_rest_repeats_its_bytes(chain):
    first = snapshot()
    refused = prepare()
    assert refused.returncode == 1 and "exists" in refused.stderr
    train()
    average()
    assert snapshot() == first
    evaluated = {path: numbers_of(path) for path in Path("evaluate").iterdir()}
    evaluate()
    assert {path: numbers_of(path) for path in evaluated} == evaluated
    draw()
    for name in ("data.csv", "provenance.json", "verdicts.json", "figure.png", "figure.pdf"):
        assert Path(name).read_bytes() == first[Path(name)][1]
