"""The campaign's short form: some of every kind of fault. `python3 tests/fault/campaign.py --full` makes thousands."""
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from campaign import KINDS, SHORT, times

SEED = os.environ.get("LAWA_SEED", str(random.randrange(10**6)))


@pytest.fixture(scope="module")
def short():
    """The rows of the program's table, and what it has said."""
    done = subprocess.run([sys.executable, Path(__file__).with_name("campaign.py"), "--seed", SEED], text=True, capture_output=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("kind", [kind for kind in KINDS if times(kind, SHORT, 2) > 0])
def test_nothing_is_lost_silent_or_hung(short, kind):
    table, said = short
    rows = [row for row in table if row["kind"] == kind]
    if not rows and any(f"  {kind}, " in line and ": skipped in" in line for line in said.splitlines()):
        pytest.skip("this machine can't have it")
    assert rows, said
    for row in rows:
        assert row["trials"] > 0 and row["survived"] + row["detected"] == row["trials"], said


def test_there_were_some_kills(short):
    assert sum(row["trials"] for row in short[0] if row["kind"].startswith("kill -9")) >= 20, short[1]
