"""Averages inside `lawa train` as they are evaluated: blended, without some tensors, with half-lives, at their own steps, on halves."""
import math
import shutil

import h5py
import numpy as np
import pytest
from runner import TINY, digests, lawa, metrics, numbers, succeed, weights, xxhash
from weights_file import read

SETTINGS = """
[[averages]]
scheme = "ema"
beta = 0.9
save = true
blend = [0, 0.6, 1]
[[averages]]
scheme = "ema"
beta = 0.9
exclude = ["wte", "h.1"]
[[averages]]
scheme = "ema"
beta = 0.9
exclude = ["wte", "wpe", "h.0", "h.1", "ln_f"]
blend = [1.5]
[[averages]]
scheme = "ema"
half_life = 0.2
stride = 5
save = true
evaluate_at = [17, 22, 60]
[[averages]]
scheme = "ema"
half_life_steps = 15
stride = 5
save = true
evaluate_steps = 25
blend = [0.5, 1]
[evaluate]
steps = 20
at = [33]
halves = true
[checkpoint]
steps = 5
state_steps = 30
"""
EMA, AVERAGE = "ema(beta=0.9,nu=1)", "mixed/averages/ema_nu000001_beta0.9/step_00000060.weights.h5"
PLAIN = [17, 20, 22, 25, 33, 40, 50, 60]


@pytest.fixture(scope="module")
def made(finished, tmp_path_factory):
    """A run with all of that on one rank, mixed/, beside the finished run's data. Nobody changes it."""
    folder = tmp_path_factory.mktemp("mixed")
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    (folder / "mixed.toml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        succeed("train", TINY, "settings.toml", "mixed.toml", "run.directory=mixed")
    return folder


@pytest.fixture
def mixed(made, tmp_path, monkeypatch):
    """A copy of it, as the current folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    shutil.rmtree(tmp_path)


def evaluations(run="mixed"):
    return [line for line in metrics(run) if line["kind"] == "evaluate"]


def losses(model, run="mixed"):
    """{step: loss} of what metrics.jsonl calls so."""
    return {line["step"]: line["loss"] for line in evaluations(run) if line["model"] == model}


def write(values, path):
    """A weights file of the run's last step with other numbers in it."""
    library = xxhash() or pytest.skip("needs libxxhash")
    shutil.copy(weights(60, "mixed"), path)
    with h5py.File(path, "r+") as file:
        file["weights"][...] = values
        blocks = (values[begin:begin + 4096].tobytes() for begin in range(0, values.size, 4096))
        file["checksums/weights"][...] = [library.XXH3_64bits(block, len(block)) for block in blocks]


def test_the_training_does_not_notice(mixed):
    succeed("train", TINY, "settings.toml", "run.directory=without", "checkpoint.state_steps=30", "evaluate.steps=0")
    assert [line for line in numbers("mixed") if line["kind"] == "train"] == numbers("without")
    assert digests("mixed") == digests("without")


def test_blends_and_excluded_tensors_are_arithmetic_on_files(mixed):
    plain, average = (read(path).astype(np.float64) for path in (weights(60, "mixed"), AVERAGE))
    without = average.copy()
    for tensor in succeed("inspect", weights(60, "mixed")).objects[0]["table"]:
        if tensor["name"].startswith(("wte.", "h.1.")):
            part = slice(tensor["offset"], tensor["offset"] + math.prod(tensor["shape"]))
            without[part] = plain[part]
    write((plain + 0.6 * (average - plain)).astype(np.float32), mixed / "blend.weights.h5")
    write(without.astype(np.float32), mixed / "exclude.weights.h5")
    found = {name: succeed("evaluate", f"{name}.weights.h5").objects[0]["loss"] for name in ("blend", "exclude")}
    assert losses(f"{EMA[:-1]},blend=0.6)")[60] == pytest.approx(found["blend"], rel=1e-7)
    assert losses(f"{EMA[:-1]},exclude=wte+h.1)")[60] == pytest.approx(found["exclude"], rel=1e-7)
    assert len({losses("plain")[60], losses(EMA)[60], *found.values()}) == 4


def test_the_ends_of_a_blend_are_the_weights_and_their_average(mixed):
    plain = losses("plain")
    steps = [20, 33, 40, 60]
    assert losses(f"{EMA[:-1]},blend=0)") == {step: plain[step] for step in steps}
    assert losses(f"{EMA[:-1]},exclude=wte+wpe+h.0+h.1+ln_f,blend=1.5)") == {step: plain[step] for step in steps}, "nothing is left of it"
    succeed("train", TINY, "settings.toml", "run.directory=alone", 'averages=[{scheme="ema", beta=0.9}]', "evaluate.at=[33]",
            "evaluate.halves=true")
    assert losses(EMA) == losses(EMA, "alone") and list(losses(EMA)) == steps


def test_half_lives_are_their_recurrence_in_float64(mixed):
    for folder, keep in (("half_life0.2", lambda step: 2 ** (-5 / (0.2 * step))), ("half_life_steps15", lambda step: 2 ** (-5 / 15))):
        state = read(weights(5, "mixed")).astype(np.float64)
        for step in range(10, 61, 5):
            state = keep(step) * state + (1 - keep(step)) * read(weights(step, "mixed")).astype(np.float64)
        found = read(f"mixed/averages/ema_nu000005_{folder}/step_00000060.weights.h5")
        np.testing.assert_allclose(found, state, rtol=1.2e-7, atol=0)


def test_averages_have_their_own_steps_and_a_plain_line_beside_them(mixed):
    def steps(model):
        return {line["evaluated_at"]: line["step"] for line in evaluations() if line["model"] == model}
    assert list(losses("plain")) == PLAIN and len(evaluations()) == len(PLAIN) + 5 * 4 + 3 + 2 * 3
    assert steps("ema(half_life=0.2,nu=5)") == {17: 15, 22: 20, 60: 60}
    assert steps("ema(half_life_steps=15,nu=5)") == {25: 25, 50: 50, 60: 60}
    assert steps("ema(half_life_steps=15,nu=5,blend=0.5)") == {25: 25, 50: 50, 60: 60}
    assert {line["evaluated_at"] for line in evaluations() if line["model"] != "plain"} <= set(PLAIN)


def test_a_blend_is_of_its_own_step_only(place):
    succeed("train", TINY, "settings.toml", "run.directory=blend", "evaluate.steps=8",
            'averages=[{window=2, stride=6, blend=[0.5, 1]}, {window=3, stride=6, exclude=["wte"]}]')
    at = {model: [(line["evaluated_at"], line["step"]) for line in evaluations("blend") if line["model"] == model]
          for model in ("lawa(k=2,nu=6)", "lawa(k=2,nu=6,blend=0.5)", "lawa(k=3,nu=6,exclude=wte)")}
    assert at["lawa(k=2,nu=6)"] == [(16, 12), (24, 24), (32, 30), (40, 36), (48, 48), (56, 54), (60, 60)]
    assert at["lawa(k=2,nu=6,blend=0.5)"] == at["lawa(k=3,nu=6,exclude=wte)"] == [(24, 24), (48, 48), (60, 60)]


def test_lines_say_what_was_evaluated(mixed):
    lines = {line["model"]: line for line in evaluations() if line["step"] == 60}
    timed = {"kind", "step", "model", "loss", "tune_loss", "report_loss", "seconds"}
    tokens = {name: lines["plain"][name] for name in ("validation_tokens", "validation_digest")} | {"trained_tokens": 60 * 8 * 32}

    def said(model):
        return {key: value for key, value in lines[model].items() if key not in timed}
    ema = {"scheme": "ema", "evaluated_at": 60} | tokens
    assert said("plain") == {"scheme": "plain", "window": 1, "stride": 0} | tokens
    assert said(EMA) == ema | {"window": 60, "stride": 1, "beta": 0.9}
    assert said(f"{EMA[:-1]},blend=0.6)") == ema | {"window": 60, "stride": 1, "beta": 0.9, "blend": 0.6}
    assert said(f"{EMA[:-1]},exclude=wte+h.1)") == ema | {"window": 60, "stride": 1, "beta": 0.9, "exclude": ["wte", "h.1"]}
    assert said("ema(half_life=0.2,nu=5)") == ema | {"window": 12, "stride": 5, "half_life": 0.2}
    assert said("ema(half_life_steps=15,nu=5)") == ema | {"window": 12, "stride": 5, "half_life_steps": 15}


def test_halves_make_up_the_whole(mixed):
    context = succeed("inspect", weights(60, "mixed")).objects[0]["table"][1]["shape"][0]   # wpe's rows
    for line in evaluations():
        sequences = line["validation_tokens"] // context
        first, second = (sequences + 1) // 2, sequences // 2
        assert line["loss"] == pytest.approx((line["tune_loss"] * first + line["report_loss"] * second) / sequences, rel=1e-14)
    last = next(line for line in evaluations() if line["step"] == 60)
    assert succeed("evaluate", weights(60, "mixed")).objects[0]["loss"] == pytest.approx(last["loss"], rel=1e-7)
    of_first, = succeed("evaluate", weights(60, "mixed"), f"data.validation_sequences={first}").objects
    assert of_first["loss"] == pytest.approx(last["tune_loss"], rel=1e-7) and last["tune_loss"] != last["report_loss"]


def test_one_sum_serves_all_entries_of_an_average(mixed):
    with h5py.File("mixed/checkpoints/step_00000060.state.h5") as file:
        assert sorted(file["averages"]) == sorted([EMA, "ema(half_life=0.2,nu=5)", "ema(half_life_steps=15,nu=5)"])


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_resume_goes_on_with_them(mixed, ranks):
    """From step 30, of 60: on as many ranks bit for bit."""
    whole = numbers("mixed")
    for path in (mixed / "mixed/checkpoints").glob("step_000000[3456][0-9]*"):
        if "00000030" not in path.name:
            path.unlink()
    succeed("train", TINY, "settings.toml", "mixed.toml", "run.directory=mixed", ranks=ranks)
    assert next(line for line in metrics("mixed") if line["kind"] == "resume")["step"] == 30
    if ranks == 1:
        assert numbers("mixed") == whole
    else:
        before = [line for line in whole if line["kind"] == "evaluate"]
        assert [(line["model"], line["step"]) for line in evaluations()] == [(line["model"], line["step"]) for line in before]
        assert [line["loss"] for line in evaluations()] == pytest.approx([line["loss"] for line in before], rel=1e-3)


def test_averages_do_not_move_the_end_of_a_run(place):
    words = ("train", TINY, "settings.toml", "evaluate.steps=4", "schedule.peak_lr=0.3", "schedule.final_lr=0.3", "schedule.warmup_steps=0",
             "stop.patience=3")
    succeed(*words, "run.directory=without")
    succeed(*words, "run.directory=with", 'averages=[{scheme="ema", beta=0.5, evaluate_steps=1}]')
    last = [[line["step"] for line in metrics(run) if line["kind"] == "train"][-1] for run in ("without", "with")]
    assert last[0] == last[1] < 60
    assert list(losses("plain", "with")) == list(range(2, last[1] + 1)), "wherever there is an average"


def test_an_average_alone_may_ask_for_evaluations(place):
    succeed("train", TINY, "settings.toml", "run.directory=alone", "evaluate.steps=0", 'averages=[{scheme="swa", evaluate_at=[7, 30]}]')
    found = [(line["model"], line["step"]) for line in evaluations("alone")]
    assert found == [("plain", 7), ("swa(nu=1)", 7), ("plain", 30), ("swa(nu=1)", 30)]


@pytest.mark.parametrize("words, says", [
    (['averages=[{scheme="ema", beta=0.9, half_life=0.1}]'],
     ["averages.0.beta (command line)", "averages.0.half_life (command line)", "only one of beta, half_life_steps and half_life"]),
    (["averages=[{half_life_steps=5}]"], ["averages.0.half_life_steps (command line)", "means nothing to lawa"]),
    (["averages=[{blend=[0.5, 3]}]"], ["averages.0.blend (command line)", "3.0 must be at most 2"]),
    (['averages=[{exclude=["wte", "h.7"]}]'], ["averages.0.exclude (command line)", "no tensor is h.7 or begins with h.7."]),
    (['averages=[{exclude=["wte"], save=true}]'], ["averages.0.save (command line)", "averages.0.exclude (command line)"]),
    (["averages=[{}, {blend=[1]}]"], ["averages.1", "lawa(k=5,nu=1) is there twice"]),
    (["averages=[{evaluate_at=[0]}]"], ["averages.0.evaluate_at (command line)", "0 must be at least 1"]),
    (["evaluate.at=[0]"], ["evaluate.at (command line)", "0 must be at least 1"]),
    (["evaluate.halves=true", "data.validation_sequences=1"], ["evaluate.halves", "only 1 sequence"]),
    (["evaluate.steps=0", "evaluate.at=[5]", "data.validation=[]"], ["data.validation (command line)"]),
])
def test_mistakes_are_named(place, words, says):
    result = lawa("train", TINY, "settings.toml", "run.directory=new", *words)
    assert result.code != 0 and len(result.errors) == 1
    assert all(part in result.errors[0] for part in says), result.errors[0]
