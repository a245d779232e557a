"""lawa plan: what it says beside what runs then take, what it refuses, and that it says all the same what it can't know."""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from runner import ROOT, TINY, lawa, metrics, snapshot, succeed

sys.path[:0] = [str(ROOT / "experiments"), str(ROOT / "analysis"), str(ROOT / "tests" / "benchmark")]
import plan as committed   # noqa: E402
import price    # noqa: E402
from toml_files import flat, read_toml, to_toml   # noqa: E402

MODELS = ROOT / "experiments" / "models"
BENCHMARK = [json.loads(line) for line in (ROOT / "tests" / "benchmark" / "training.jsonl").read_text().splitlines()]
FIXED = ("plan.gemm_flops_per_second=1e11", "plan.write_bytes_per_second=1e9")   # nothing is measured
ROOMY = ("plan.free_bytes=1e15", "plan.memory_bytes=1e15")
AVERAGES = """
[[averages]]
window = 3
stride = 5
save = true
[[averages]]
scheme = "ema"
beta = 0.9
"""


def plan(*words, ranks=1, fixed=FIXED):
    """The plan as JSON."""
    found, = succeed("plan", "--json", *words, *fixed, ranks=ranks).objects
    return found


def largest(run, pattern):
    return max(path.stat().st_size for path in Path(run).rglob(pattern))


def test_a_page_for_people_and_one_object_for_programs(place):
    before = snapshot()
    page = succeed("plan", TINY, "settings.toml", "run.directory=new")
    planned = plan(TINY, "settings.toml", "run.directory=new", ranks=2, fixed=())
    assert snapshot() == before and not Path("new").exists(), "it leaves nothing behind"
    names = [line.split("  ")[0] for line in page.out.splitlines() if line[0] != " "]
    assert names == ["model", "training", "operations", "split", "memory", "disk", "a save", "time"]
    assert list(planned) == ["model", "training", "evaluation", "split", "memory", "disk", "time", "missing", "warnings", "problems"]
    assert planned["missing"] == planned["warnings"] == planned["problems"] == []
    assert planned["split"]["ranks"] == planned["split"]["ranks_per_node"] == 2
    assert planned["time"]["gemm_flops_per_second"] > 1e8 and planned["disk"]["write_bytes_per_second"] > 1e5
    assert planned["disk"]["free_bytes"] == pytest.approx(shutil.disk_usage(".").free, rel=0.05)
    tokens = Path("data/train.bin").stat().st_size / 2
    assert planned["training"]["epochs"] == pytest.approx(60 * 8 * 32 / tokens)


@pytest.mark.parametrize("model, words, ranks", [
    ("quickstart", ["batch.global_sequences=16"], 1),
    ("quickstart", ["batch.global_sequences=16", "averages.toml"], 2),
    ("quickstart", ["batch.global_sequences=8", "precision=bf16", "model.channels=256", "batch.recompute=block"], 1),
    ("tiny", ["batch.global_sequences=8", "averages.toml"], 2)])
def test_runs_take_what_was_planned(place, model, words, ranks):
    Path("averages.toml").write_text(AVERAGES)
    words = [MODELS / f"{model}.toml", "settings.toml", "schedule.steps=20", "run.directory=new", "data.validation_sequences=16",
             "checkpoint.state_steps=10", *words]
    if "precision=bf16" in words and "can't multiply" in "".join(lawa("plan", *words).errors):
        pytest.skip("no bfloat16 here")
    planned = plan(*words, ranks=ranks)
    succeed("train", *words, ranks=ranks)
    lines, disk = metrics("new"), planned["disk"]
    assert lines[-1]["peak_memory_bytes"] == pytest.approx(planned["memory"]["rank"], rel=0.15)
    assert sum(line["kind"] == "evaluate" for line in lines) == planned["evaluation"]["evaluations"]
    saved = [line for line in lines if line["kind"] == "checkpoint"]
    assert (len(saved), sum(line["state"] for line in saved)) == (disk["checkpoints"], disk["states"])
    assert len(list(Path("new").glob("averages/*/*.h5"))) == disk["averages"]
    assert largest("new", "*.weights.h5") == pytest.approx(disk["weights_bytes"], rel=0.01)
    assert largest("new", "*.state.h5") == pytest.approx(disk["state_bytes"], rel=0.01)
    assert sum(path.stat().st_size for path in Path("new").rglob("*.h5")) == pytest.approx(disk["bytes"], rel=0.01)


def test_memory_of_gpt2_small_is_what_the_benchmark_measured():
    for line in BENCHMARK:
        for side in (line["ours"], line.get("one_rank")):
            if line["model"] == "small" and side:
                ranks = side["ranks"]
                planned = plan(MODELS / "small.toml", *ROOMY, f"precision={line['precision']}", "batch.micro_sequences=1",
                               f"batch.global_sequences={ranks}", f"batch.recompute={side.get('recompute', 'none')}", f"plan.ranks={ranks}",
                               "checkpoint.asynchronous=false")
                assert planned["memory"]["rank"] == pytest.approx(side["peak_memory_bytes_per_rank"], rel=0.05)


def test_shares_are_those_that_were_measured():
    for line in BENCHMARK:
        if line["case"] == "training":
            folder = MODELS if (MODELS / f"{line['model']}.toml").exists() else ROOT / "tests" / "benchmark" / "models"
            time = plan(folder / f"{line['model']}.toml", f"precision={line['precision']}", *ROOMY)["time"]
            assert time["share"] == round(line["ours"]["gemm_share"], 2) and f"measured for {line['model']} " in time["share_from"]


def test_the_dry_run_of_figures_counts_alike():
    paths = [*MODELS.glob("*.toml"), *(ROOT / "tests" / "benchmark" / "models").glob("*.toml")]
    others = [(TINY, {"model.bias": True}), (TINY, {"model.tied": False}), (TINY, {"model.architecture": "gpt_neox"})]
    others += [(MODELS / "pythia_70m.toml", {key: value}) for key, value in {"model.bias": False, "model.attention_bias": False, "model.tied": True}.items()]
    for path, change in [*((path, {}) for path in paths), *others]:
        keys = flat(read_toml(path)) | change
        model = plan(path, *(f"{key}={to_toml(value)}" for key, value in change.items()), *ROOMY)["model"]
        assert model == {"parameters": price.parameters(keys), "flops_per_token": price.flops_per_token(keys)}


def test_time_is_operations_over_what_the_ranks_reach(place):
    planned = plan(TINY, "settings.toml", "run.directory=new", "batch.global_sequences=10", "plan.ranks=4", "plan.share=0.5",
                   "data.validation_sequences=6")
    flops, time = planned["training"]["flops"], planned["time"]
    assert flops == planned["model"]["flops_per_token"] * 60 * 10 * 32
    assert time["training_seconds"] == pytest.approx(flops / (4 * 0.5e11 * 10 / 12)), "the first rank has three of ten"
    assert planned["evaluation"]["flops"] == pytest.approx(planned["model"]["flops_per_token"] / 3 * 6 * 32 * 3)
    assert time["evaluation_seconds"] == pytest.approx(planned["evaluation"]["flops"] / (4 * 0.5e11 * 6 / 8))
    assert time["saving_seconds"] == pytest.approx(planned["disk"]["written_bytes"] / 1e9)
    assert time["hours"] == pytest.approx(sum(time[f"{name}_seconds"] for name in ("training", "evaluation", "saving")) / 3600)


@pytest.mark.parametrize("ranks, used, enough", [(128, "100", None), (7, "99.7", None), (100, "96", None), (150, "85.3", 128), (500, "76.8", 384)])
def test_an_uneven_split(ranks, used, enough):
    words = (MODELS / "small.toml", *ROOMY, f"plan.ranks={ranks}", "data.validation_sequences=10")
    planned, page = plan(*words), succeed("plan", *words, *FIXED).out
    assert f"{100 * planned['split']['efficiency']:.3g}" == used and f"{used} % of their time is used" in page
    assert [line for line in page.splitlines() if line.startswith("warning")] == [f"warning     {line}" for line in planned["warnings"]]
    assert bool(planned["warnings"]) == (enough is not None)
    assert enough is None or f"{enough} ranks would be as fast" in planned["warnings"][0]


def refused(*words):
    """The one error of a plan whose page comes all the same."""
    result = lawa("plan", *words, *FIXED)
    assert result.code == 1 and result.out.startswith("model ") and len(result.errors) == 1
    return result.errors[0]


def test_too_small_a_disk_is_refused(place):
    error = refused(TINY, "settings.toml", "run.directory=new", "plan.free_bytes=1e6")
    planned, = lawa("plan", "--json", TINY, "settings.toml", "run.directory=new", *FIXED, "plan.free_bytes=1e6").objects
    needed = planned["disk"]["bytes"] / 1e6
    assert f"run.directory: new: the run takes up to {needed:.3g} MB of disk, and 1 MB are free" in error
    assert all(key in error for key in ("checkpoint.steps", "checkpoint.keep_states", "another run.directory")) and "[[averages]]" not in error
    assert planned["problems"] and planned["problems"][0] in error
    Path("averages.toml").write_text(AVERAGES)
    assert "[[averages]] without save" in refused(TINY, "settings.toml", "averages.toml", "run.directory=new", "plan.free_bytes=1e6")
    plan(TINY, "settings.toml", "run.directory=new", f"plan.free_bytes={planned['disk']['bytes']}")
    there = plan(TINY, "settings.toml", "run.directory=run", f"plan.free_bytes={planned['disk']['bytes'] - 100_000}")
    assert there["disk"]["present_bytes"] > 100_000, "what the run has written already takes no more room"


def test_the_disk_is_the_one_where_the_run_will_lie(place, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("can't mount a small disk here")
    try:
        error = refused(TINY, "settings.toml", f"run.directory={disk}/not/yet")
        assert re.search(r"takes up to [\d.]+ MB of disk, and 2\.1 MB are free", error)
        measured, = lawa("plan", "--json", TINY, "settings.toml", f"run.directory={disk}/not/yet", FIXED[0]).objects
        assert measured["disk"]["write_bytes_per_second"] > 1e6 and list(disk.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        result = lawa("plan", TINY, "settings.toml", f"run.directory={disk}/not/yet", FIXED[0])
        assert result.code == 1 and "Read-only" in result.errors[0] and "plan.write_bytes_per_second" in result.errors[0]
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        (disk / "full").write_bytes(bytes(2 * 2**20 - 8192))
        measured, = lawa("plan", "--json", TINY, "settings.toml", f"run.directory={disk}/not/yet", FIXED[0]).objects
        assert measured["disk"]["write_bytes_per_second"] is None and measured["problems"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_folder_that_cannot_be_made_is_named(place):
    result = lawa("plan", TINY, "settings.toml", "run.directory=settings.toml/run", FIXED[0])
    assert result.code == 1 and "run.directory: settings.toml/run: " in result.errors[0] and "is a file" in result.errors[0]


def test_too_little_memory_is_refused(place):
    error = refused(MODELS / "quickstart.toml", "settings.toml", "run.directory=new", "plan.ranks=64", "plan.ranks_per_node=32", "plan.memory_bytes=1e9")
    assert re.search(r"32 ranks on a node take [\d.]+ GB of memory, and there are 1 GB; .*batch\.recompute", error)


def test_without_the_data_it_plans_all_the_same(place):
    words = (TINY, "settings.toml", "run.directory=new", "data.train=far/train.bin", "data.validation=far/val.bin")
    planned = plan(*words)
    assert planned["training"]["epochs"] is None and planned["evaluation"]["tokens"] is None
    command = "python3 data/prepare.py TEXTS --tokenizer bytes --output far"
    assert planned["missing"] == [f"data.train (command line): there is no far/train.bin; make it with  {command}",
                                  "data.validation (command line): there is no far/val.bin; the same command makes it"]
    assert "data.validation_sequences is 0" in planned["warnings"][0]
    assert plan(*words, "data.validation_sequences=4")["evaluation"]["tokens"] == 4 * 32
    large = plan(MODELS / "large.toml", *ROOMY)
    assert "python3 data/prepare.py --source openwebtext --tokenizer gpt2 --output tokens" in large["missing"][0]
    assert "TEXTS --tokenizer pythia/tokenizer.json --output tokens" in plan(MODELS / "pythia_12b.toml", *ROOMY)["missing"][0]
    assert plan(*words, "model.vocabulary=5000")["missing"][0].endswith("--tokenizer bpe:5000 --output far")


def test_a_branch_is_planned_from_its_beginning(place):
    words = (TINY, "settings.toml", "run.directory=new", "start.checkpoint=run/checkpoints/step_00000040.weights.h5")
    planned = plan(*words)
    assert planned["training"]["first_step"] == 40 and planned["training"]["tokens"] == 20 * 8 * 32
    assert planned["disk"]["checkpoints"] == 4


@pytest.mark.parametrize("words, message", [
    (["plan.rank=2"], "plan.ranks"), (["plan.share=2"], "plan.share"), (["plan.free_bytes=-1"], "plan.free_bytes"),
    (["model.heads=3"], "model.channels"), (["somewhere"], "not somewhere"), (["--jason"], "unknown option --jason"),
    (["data.train=odd.bin"], "odd.bin"), (["start.checkpoint=nowhere.h5"], "nowhere.h5"),
    (["start.checkpoint=run/checkpoints/step_00000040.weights.h5", "schedule.steps=30"], "must be more than the step of start.checkpoint")])
def test_mistakes_are_named(place, words, message):
    Path("odd.bin").write_bytes(bytes(3))
    result = lawa("plan", TINY, "settings.toml", "run.directory=new", *words, *FIXED)
    assert result.code == 1 and message in result.errors[0]


def test_the_page_in_the_readme_is_todays():
    """But for what was measured there: rates, free bytes, the program's memory, and what follows from them."""
    command, *page = (ROOT / "tests" / "benchmark" / "plan.txt").read_text().splitlines()
    assert command == f"$ {' '.join(committed.COMMAND)}"
    same = ("model ", "training ", "operations ", "split ", "disk ")
    todays = committed.printed(*FIXED, "plan.free_bytes=1e12").splitlines()
    kept = [line for line in page if line.startswith(same)]
    assert len(kept) == len(same) and kept == [line for line in todays if line.startswith(same)]
    assert [line[:12].strip() for line in page if not line.startswith("missing")] == [
        line[:12].strip() for line in todays if not line.startswith("missing")]
