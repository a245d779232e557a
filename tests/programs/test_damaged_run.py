"""A run's small files are damaged, and its checkpoints are whole: it goes on, says what it could not read, and keeps a copy."""
from pathlib import Path

import pytest
from runner import TINY, lawa, numbers, succeed

RUN = Path("run")


def go_on(ranks=2):
    """The finished run, as if it had been killed behind step 40."""
    for path in (RUN / "checkpoints").glob("step_*"):
        if int(path.name[5:13]) > 40:
            path.unlink()
    return succeed("train", TINY, "settings.toml", "run.directory=run", ranks=ranks)


@pytest.mark.parametrize("line", ['{"kind":5}', '{"kind":"train","step":null}', '{"kind":"evaluate","step":20,"model":3}', "not JSON"])
def test_lines_of_metrics_that_can_t_be_read(place, line):
    whole = numbers("run")
    metrics = RUN / "metrics.jsonl"
    metrics.write_text(line + "\n" + metrics.read_text())
    result = go_on()
    assert "metrics.jsonl: 1 line could not be read, and went to run/metrics.jsonl.damaged" in result.err
    assert (RUN / "metrics.jsonl.damaged").read_text() == line + "\n"
    assert numbers("run") == whole


@pytest.mark.parametrize("line", ['{"kind":5}', '{"kind":"train","step":null}'])
def test_a_finished_run_doesn_t_mind_them(place, line):
    metrics = RUN / "metrics.jsonl"
    metrics.write_text(line + "\n" + metrics.read_text() + line + "\n")
    assert "run: complete, 60 steps" in succeed("train", TINY, "settings.toml", "run.directory=run", ranks=2).err


@pytest.mark.parametrize("text", [None, "", "[]", '{"trajectory_hash": 5}', '{"trajectory_hash'])
def test_a_provenance_that_can_t_be_read(place, text):
    whole, provenance = numbers("run"), RUN / "provenance.json"
    before = provenance.read_text()
    provenance.unlink() if text is None else provenance.write_text(text)
    other = lawa("train", TINY, "settings.toml", "run.directory=run", "seed=2", ranks=2)
    assert other.code == 1 and "holds another run" in other.errors[0] and not list(RUN.glob("*.damaged"))
    result = go_on()
    assert "provenance.json: is " + ("missing" if text is None else "damaged (a copy is run/provenance.json.damaged)") in result.err
    assert provenance.read_text() == before
    assert numbers("run") == whole
    if text is not None:
        assert (RUN / "provenance.json.damaged").read_text() == text
