"""Averages inside `lawa train`: what they cost nothing of, what the offline job makes of the same steps, and the stop rule."""
import h5py
import numpy as np
import pytest
from runner import TINY, digests, lawa, metrics, numbers, succeed, weights
from weights_file import read

AVERAGES = """
[[averages]]
window = 4
stride = 5
save = true
[[averages]]
scheme = "ema"
beta = 0.9
stride = 5
save = true
[[averages]]
scheme = "swa"
stride = 5
first = 20
save = true
[evaluate]
steps = 10
"""
LAWA, EMA, SWA = "lawa_k004_nu000005", "ema_nu000005_beta0.9", "swa_nu000005_first20"


@pytest.fixture
def online(place):
    """The finished run once more on one rank, with averages in it: online/."""
    (place / "averages.toml").write_text(AVERAGES)
    succeed("train", TINY, "settings.toml", "averages.toml", "run.directory=online", "checkpoint.steps=10")
    return place


def losses(run, model):
    return {line["step"]: line["loss"] for line in metrics(run) if line["kind"] == "evaluate" and line["model"] == model}


def test_the_training_does_not_notice(online):
    succeed("train", TINY, "settings.toml", "evaluate.steps=10", "run.directory=without", "checkpoint.steps=10")
    plain = [line for line in numbers("online") if line.get("model", "plain") == "plain"]
    assert plain == numbers("without")
    assert digests("online") == digests("without")


def test_lawa_and_swa_are_the_offline_averages(online):
    succeed("train", TINY, "settings.toml", "run.directory=dense", "checkpoint.steps=5")   # one rank too: the same weights
    succeed("average", "dense", "averaging.window=4", "averaging.stride=5", "destination=lawa", ranks=3)
    succeed("average", "dense", "averaging.scheme=swa", "averaging.stride=5", "averaging.first=20", "destination=swa", ranks=2)
    for folder, offline in ((LAWA, "lawa"), (SWA, "swa")):
        live, made = digests(f"online/averages/{folder}"), digests(offline)
        assert list(live) == [step for step in range(20, 61, 10) if step > 20 or folder == LAWA]
        assert live.items() <= made.items()
    again = succeed("average", "--rebuild", f"online/averages/{LAWA}/step_00000060.weights.h5", "source=dense", ranks=2)
    assert again.objects[0]["rebuilt"] is True


def test_ema_is_its_recurrence_in_float64_rounded_once(online):
    succeed("train", TINY, "settings.toml", "run.directory=dense", "checkpoint.steps=5")
    state = read(weights(5, "dense")).astype(np.float64)
    for step in range(10, 61, 5):
        state = 0.9 * state + (1 - 0.9) * read(weights(step, "dense")).astype(np.float64)
    np.testing.assert_array_equal(read(f"online/averages/{EMA}/step_00000060.weights.h5"), state.astype(np.float32))


def test_every_new_average_has_a_line_at_its_newest_step(online):
    assert list(losses("online", "plain")) == [10, 20, 30, 40, 50, 60]
    assert list(losses("online", "lawa(k=4,nu=5)")) == [20, 30, 40, 50, 60]
    assert list(losses("online", "ema(beta=0.9,nu=5)")) == [10, 20, 30, 40, 50, 60]
    assert list(losses("online", "swa(nu=5,first=20)")) == [30, 40, 50, 60]
    lines = succeed("evaluate", f"online/averages/{LAWA}").objects
    assert {line["step"]: line["loss"] for line in lines} == pytest.approx(losses("online", "lawa(k=4,nu=5)"), rel=1e-6)
    assert {line["scheme"] for line in lines} == {"lawa"} and {line["window"] for line in lines} == {4}
    tokens = {line["step"]: line["trained_tokens"] for line in lines}
    assert tokens == {line["step"]: line["trained_tokens"] for line in metrics("online") if line.get("model") == "lawa(k=4,nu=5)"}


def test_averages_come_and_go_between_steps(online):
    """Stopped at 40 of 60 steps; one average leaves, one comes, one stays."""
    words = ("train", TINY, "settings.toml", "run.directory=changed", "checkpoint.steps=10", "evaluate.steps=10")
    succeed(*words, 'averages=[{window=4, stride=5}, {scheme="swa", stride=5}]', "checkpoint.state_steps=20", "checkpoint.keep_states=9")
    for path in (online / "changed/checkpoints").glob("step_000000[56]0*"):
        path.unlink()
    succeed(*words, 'averages=[{scheme="ema", beta=0.9, stride=5}, {window=4, stride=5}]', ranks=2)
    resume = next(line for line in metrics("changed") if line["kind"] == "resume")
    assert resume["step"] == 40
    assert (resume["averages_added"], resume["averages_dropped"]) == (["ema(beta=0.9,nu=5)"], ["swa(nu=5)"])
    lawa_losses = losses("changed", "lawa(k=4,nu=5)")
    assert lawa_losses == pytest.approx(losses("online", "lawa(k=4,nu=5)"), rel=1e-5)
    assert list(losses("changed", "swa(nu=5)")) == [10, 20, 30, 40]
    assert list(losses("changed", "ema(beta=0.9,nu=5)")) == [50, 60]


@pytest.mark.parametrize("array", ["averages/ema(beta=0.9,nu=1)/sum", "averages/snapshots/step_00000040"])
def test_a_damaged_state_leaves_nothing_behind(place, array):
    """Averages came at step 20; the state of step 40 is damaged in one of them: the run goes on from 20, as if 40 had never been."""
    words = ("train", TINY, "settings.toml", "checkpoint.steps=20", "checkpoint.keep_states=9")
    added = 'averages=[{scheme="ema", beta=0.9}, {window=3, stride=8, save=true}]'
    for run in ("whole", "damaged"):
        succeed(*words, f"run.directory={run}")
        for path in (place / run / "checkpoints").glob("step_000000[46]0*"):
            path.unlink()
        succeed(*words, f"run.directory={run}", added)
    for path in (place / "damaged/checkpoints").glob("step_00000060*"):
        path.unlink()
    state = place / "damaged/checkpoints/step_00000040.state.h5"
    with h5py.File(state) as file:
        offset = file[array].id.get_offset() + file[array].id.get_storage_size() - 3   # the last rank's part
    content = bytearray(state.read_bytes())
    content[offset] ^= 1
    state.write_bytes(content)
    assert "skipped the checkpoint of step 40" in succeed("train", TINY, "settings.toml", *words[3:], "run.directory=damaged", added, ranks=2).err
    for model in ("ema(beta=0.9,nu=1)", "lawa(k=3,nu=8)"):
        assert losses("damaged", model) == pytest.approx(losses("whole", model), rel=1e-4)   # 40 steps on other ranks


def test_a_run_stops_when_its_loss_has_stopped_falling(place):
    words = ("train", TINY, "settings.toml", "run.directory=stopped", "evaluate.steps=1", "checkpoint.steps=0", "checkpoint.state_steps=0",
             "schedule.peak_lr=0.3", "schedule.final_lr=0.3", "schedule.warmup_steps=0", "stop.patience=3",
             'averages=[{window=2, stride=1}]', "stop.model='lawa(k=2,nu=1)'")
    stopped = succeed(*words)
    curve = list(losses("stopped", "lawa(k=2,nu=1)").values())
    assert min(curve[-3:]) >= min(curve[:-3])
    assert all(min(curve[i - 3:i]) < min(curve[:i - 3]) for i in range(4, len(curve)))
    last = [line["step"] for line in metrics("stopped") if line["kind"] == "train"][-1]
    assert last < 60 and f"stopped at step {last}" in stopped.err
    assert (place / f"stopped/checkpoints/step_{last:08d}.state.h5").exists()
    before = metrics("stopped")
    assert f"stopped at step {last}" in succeed(*words).err and metrics("stopped") == before, "it is left as it is"
    succeed(*words[:-3], "schedule.peak_lr=0.3", 'averages=[{window=2, stride=1}]')   # without patience it goes on to its end
    assert [line["step"] for line in metrics("stopped") if line["kind"] == "train"] == list(range(1, 61))


@pytest.mark.parametrize("words, says", [
    (['averages=[{scheme="mean"}]'], ["averages.0.scheme (command line)", "must be one of: lawa, ema, swa"]),
    (['averages=[{window=0}]'], ["averages.0.window (command line)", "0 must be at least 1"]),
    (['averages=[{k=5}]'], ["unknown key averages.0.k (command line)"]),
    (["averages=[{}, {}]"], ["averages.1", "lawa(k=5,nu=1) is there twice"]),
    (["stop.model=ema", "averages=[{}]"], ["stop.model (command line)", "ema is none of: plain lawa(k=5,nu=1)"]),
    (["stop.patience=3", "evaluate.steps=0"], ["stop.patience (command line)", "evaluate.steps (command line)"]),
    (["averages=[{beta=0.9}]"], ["averages.0.beta (command line)", "means nothing to lawa"]),
    (["averages=[[]]"], ["averages (command line)", "expected a list of tables"]),
])
def test_mistakes_are_named(place, words, says):
    result = lawa("train", TINY, "settings.toml", "run.directory=new", *words)
    assert result.code != 0 and len(result.errors) == 1
    assert all(part in result.errors[0] for part in says), result.errors[0]
    assert not (place / "new").exists()


@pytest.mark.parametrize("precision, dtype, bits", [("bf16", np.float32, 16), ("fp16", np.float16, 13)])
def test_narrow_files_are_floats_to_others(place, precision, dtype, bits):
    """Half the bytes, every number a bfloat16 or float16, the nearest to the exact mean; and a model like any other."""
    succeed("average", "run", "averaging.window=3", "averaging.at=60", "destination=wide")
    line = succeed("average", "run", "averaging.window=3", "averaging.at=60", f"averaging.precision={precision}", "destination=narrow",
                   ranks=2).objects[0]
    with h5py.File(line["file"]) as file, h5py.File("wide/step_00000060.weights.h5") as wide:
        found, tensor = file["weights"][()], file["named/h.0.attn.c_attn.weight"][()]
        assert found.dtype == dtype and file["weights"].id.get_storage_size() == 2 * found.size
        exact = wide["weights"][()]
        assert tensor.shape == wide["named/h.0.attn.c_attn.weight"].shape
    found = found.astype(np.float32)
    assert not (found.view(np.uint32) & (1 << bits) - 1)[np.abs(found) >= 2.0**-14].any()
    assert (np.abs(found - exact) <= np.abs(exact) * 2.0**(bits - 24) + 2.0**-25).all() and (found != exact).any()
    assert succeed("average", "--rebuild", line["file"], "source=run", ranks=3).objects[0]["digest"] == line["digest"]
    wide_loss, narrow_loss = (succeed("evaluate", folder).objects[0]["loss"] for folder in ("wide", "narrow"))
    assert narrow_loss == pytest.approx(wide_loss, abs=2e-3) and narrow_loss != wide_loss
    begun = succeed("train", TINY, "settings.toml", f"start.weights={line['file']}", "run.directory=begun", "schedule.steps=6")
    assert "done" in begun.err
