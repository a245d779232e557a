"""The quickstart's own run.sh at smoke scale, from a text to verdicts; what is done is not done again."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from runner import ROOT, snapshot

STEPS, STRIDE, WINDOW = 40, 4, 5


def quickstart(folder):
    """Runs it with a text of our own; returns (stdout, stderr)."""
    result = subprocess.run(["bash", ROOT / "experiments" / "quickstart" / "run.sh", "--smoke"], text=True, capture_output=True,
                            timeout=300, env=os.environ | {"LAWA_TEXT": str(folder / "text.txt"), "LAWA_OUT": str(folder / "out")})
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def chain(finished, tmp_path_factory):
    """(the folder, what was printed)"""
    folder = tmp_path_factory.mktemp("quickstart")
    (folder / "text.txt").write_text((finished / "text.txt").read_text() * 20)
    return folder, quickstart(folder)


def test_chain_ends_in_a_figure_and_verdicts(chain):
    folder, (printed, _) = chain
    out = folder / "out"
    plain, averages = STEPS // STRIDE, STEPS // STRIDE - WINDOW + 1
    assert len((out / "data.csv").read_text().splitlines()) == 1 + 2 * (plain + averages)
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG") and (out / "figure.pdf").read_bytes().startswith(b"%PDF")
    verdicts = json.loads((out / "verdicts.json").read_text())
    assert f"{out}/figure.png" in printed and all(verdict["text"] in printed for verdict in verdicts)
    line = json.loads((out / "evaluate" / "high_seed1_lawa.jsonl").read_text().splitlines()[-1])
    assert (line["scheme"], line["window"], line["stride"], line["step"]) == ("lawa", WINDOW, STRIDE, STEPS)
    assert not list(Path(out).rglob("*.part"))


def test_second_time_nothing_is_done_again(chain):
    folder, _ = chain
    seconds = folder / "out" / "seconds.tsv"
    drawn = {folder / "out" / name for name in ("figure.png", "figure.pdf", "verdicts.json")}
    logged = {path for path in snapshot(folder / "out") if path.name == "seconds.tsv"}
    before = snapshot(folder / "out")
    quickstart(folder)
    after = snapshot(folder / "out")
    assert {path for path in before | after if before.get(path) != after.get(path)} <= drawn | logged
    assert all(after[path][1] == before[path][1] for path in drawn)
    phases = [line.split("\t")[0] for line in seconds.read_text().splitlines()]
    assert not [phase for phase in phases[phases.index("collect") + 1:] if phase.startswith(("text", "average", "evaluate", "collect"))]
