"""data.csv: what is written is read back, and what is wrong is named."""
import pytest
import table as tables
from test_verdicts import falling, table


def test_reads_back_exactly_what_it_wrote(tmp_path):
    made = table([], lambda *at: falling(*at) / 3)
    (tmp_path / "data.csv").write_text(made.to_csv())
    again = tables.read(tmp_path, made.spec)
    assert again.data.equals(made.data) and again.to_csv() == made.to_csv()


def test_selections():
    made = table([], falling)
    curves = made.curves(average="plain", rate="usual")
    assert list(curves.index) == [25, 50, 75, 100] and list(curves.columns) == [1, 2, 3] and curves.at[50, 2] == pytest.approx(2.7)
    assert made.gains(model="a", rate="high").at[50, 1] == pytest.approx(-0.06)
    assert list(made.models(average="grid")["model"]) == ["a", "b"] and made.last_step == 100
    with pytest.raises(ValueError, match="several rows a step and seed; models a, b"):
        made.curves(average="grid", rate="high")
    with pytest.raises(ValueError, match="no rows with"):
        made.curves(average="lawa")


@pytest.mark.parametrize("loss, message", [(float("nan"), "the loss is nan: seed 1, rate usual"), (float("inf"), "the loss is inf")])
def test_a_loss_that_is_not_finite_is_named(loss, message):
    with pytest.raises(ValueError, match=message):
        table([], lambda rate, seed, model, step: loss)


def test_a_row_twice_no_rows_and_no_column_are_refused(tmp_path):
    made = table([], falling)
    import pandas
    with pytest.raises(ValueError, match="stands twice: seed 1, rate usual, average plain, model plain, step 25"):
        tables.Table(pandas.concat([made.data, made.data[:1]]), made.spec)
    with pytest.raises(ValueError, match="has no rows"):
        tables.Table(made.data[:0], made.spec)
    (tmp_path / "data.csv").write_text(made.to_csv().replace("report_loss", "loss_report"))
    with pytest.raises(ValueError, match=r"data\.csv:1: has no column report_loss"):
        tables.read(tmp_path, made.spec)
