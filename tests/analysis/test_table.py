"""data.csv: what is written is read back, and what is wrong is named."""
import dataclasses

import pytest
import table as tables
from made_up import rows


def written(tmp_path, text):
    path = tmp_path / "data.csv"
    path.write_text(text)
    return path


def test_reads_back_exactly_what_it_wrote(tmp_path):
    table = tables.Table(dataclasses.replace(row, loss=row.loss / 3) for row in rows())
    tables.write_whole(tmp_path / "data.csv", table.to_csv())
    assert tables.read(tmp_path / "data.csv").rows == table.rows
    assert list(tmp_path.iterdir()) == [tmp_path / "data.csv"]   # no .part left


def test_wrong_columns_are_refused(tmp_path):
    path = written(tmp_path, "arm,loss\nhigh,2\n")
    with pytest.raises(ValueError, match=r"data\.csv:1: the columns are"):
        tables.read(path)


@pytest.mark.parametrize("old, new, message", [
    (",2.91,", ",low,", r":2: loss = 'low' is not float"),
    (",2.91,", ",nan,", r"step 10: the loss is nan"),
    (",10,20480,", ",ten,20480,", r":2: step = 'ten' is not int"),
    (",hash-usual-1", "", r":2: expected 10 columns"),
    (",1,0,10,", ",0,0,10,", "negative step, window or stride"),
])
def test_a_bad_cell_is_named(tmp_path, old, new, message):
    text = tables.Table(rows()).to_csv()
    assert old in text
    with pytest.raises(ValueError, match=message):
        tables.read(written(tmp_path, text.replace(old, new, 1)))


def test_a_row_twice_and_no_rows_are_refused():
    with pytest.raises(ValueError, match="arm usual, seed 1, plain, step 10 stands twice"):
        tables.Table([*rows(), next(iter(rows()))])
    with pytest.raises(ValueError, match="has no rows"):
        tables.Table([])


def test_selections():
    table = tables.Table(rows(seeds=(1, 2)))
    assert table.last_step("high") == 100
    assert table.values("seed", arm="usual") == [1, 2]
    assert table.only("stride", model="lawa") == 10
    assert list(table.curve("high", 2, "lawa")) == [50, 60, 70, 80, 90, 100]
    steps, losses = table.losses("usual", "plain")
    assert losses.shape == (2, 10) and steps[0] == 10 and losses[1, 0] == pytest.approx(2.92)
    with pytest.raises(ValueError, match="expected one peak_lr"):
        table.only("peak_lr", model="plain")
