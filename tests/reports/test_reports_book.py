from datetime import date
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.columns import label, lake_columns

DAY = ReportColumn("on", "On", "date")
AMOUNT = ReportColumn("amount", "Amount", "money")


def book(tables, charts=()):
    return ReportBook("r", "R", {}, {}, date(2025, 1, 31), {}, tables, charts)


def test_money_is_decimal_and_never_float():
    table = ReportTable("T", (AMOUNT,), pd.DataFrame({"amount": [1.5]}))
    with pytest.raises(ValueError, match="amount is money and must hold Decimal"):
        table.arrow()
    table = ReportTable("T", (AMOUNT,), pd.DataFrame({"amount": [Decimal("1.5"), None]}))
    assert table.arrow()["amount"].to_pylist() == [Decimal("1.50"), None]


def test_money_finer_than_a_cent_is_refused():
    table = ReportTable("T", (AMOUNT,), pd.DataFrame({"amount": [Decimal("1.005")]}))
    with pytest.raises(ValueError, match="amount does not hold money"):
        table.arrow()


def test_a_column_of_nulls_has_the_type_of_its_kind():
    table = ReportTable("T", (DAY, AMOUNT), pd.DataFrame({"on": [None], "amount": [None]}))
    assert table.arrow().schema.types == [pa.date32(), pa.decimal128(38, 2)]


def test_named_columns_alone_are_converted():
    """A chart of two columns does not need the others, here one that is not money."""
    rows = pd.DataFrame({"on": [date(2025, 1, 31)], "amount": [1.5]})
    assert ReportTable("T", (DAY, AMOUNT), rows).arrow("on").to_pydict() == {"on": [date(2025, 1, 31)]}


def test_an_empty_table_must_say_why():
    empty = pd.DataFrame({"amount": []})
    with pytest.raises(ValueError, match="say why"):
        ReportTable("T", (AMOUNT,), empty)
    cover = book([ReportTable("T", (AMOUNT,), empty, no_data="nothing fell due")]).cover
    assert cover.sections["Tables"] == {"T": "no data: nothing fell due"}


def test_a_table_without_a_column_is_refused():
    with pytest.raises(ValueError, match="the frame lacks on"):
        ReportTable("T", (DAY, AMOUNT), pd.DataFrame({"amount": [Decimal("1.00")]}))


def test_tables_have_titles_of_their_own_and_charts_name_what_is_there():
    table = ReportTable("T", (AMOUNT,), pd.DataFrame({"amount": [Decimal("1.00")]}))
    with pytest.raises(ValueError, match="same title"):
        book([table, table])
    with pytest.raises(ValueError, match="chart 'C' names what no table has"):
        book([table], [Chart("C", "T", "line", "on", ("amount",))])


def test_columns_of_the_lake_know_their_kind():
    columns = lake_columns("portfolio_snapshots", "business_date", "total_balance", "par_30", "moic", "loan_count")
    assert [c.kind for c in columns] == ["date", "money", "rate", "ratio", "count"]
    assert lake_columns("loan_positions", "non_accrual", "annual_rate", "loan_id")[0].kind == "flag"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("principal_outstanding", "Principal outstanding"),
        ("par_30", "PAR 30"),
        ("irr_with_residual", "IRR with residual"),
        ("loan_id", "Loan ID"),
    ],
)
def test_labels_are_for_people(name, expected):
    assert label(name) == expected
