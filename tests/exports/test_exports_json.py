import json
from datetime import date, datetime
from decimal import Decimal

import pandas as pd
import pytest

from lending_pipelines.exports.error import ExportError
from lending_pipelines.exports.export import export
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable

COLUMNS = (
    ReportColumn("loan_id", "Loan", "text", personal=True),
    ReportColumn("amount", "Amount", "money"),
    ReportColumn("rate", "Rate", "rate"),
    ReportColumn("par", "PAR", "rate"),
    ReportColumn("moic", "MOIC", "ratio"),
    ReportColumn("loans", "Loans", "count"),
    ReportColumn("due_on", "Due", "date"),
    ReportColumn("seen_at", "Seen", "instant"),
    ReportColumn("late", "Late", "flag"),
)
ROW = (
    'Ø "1"\n漢',
    Decimal("-1234567.80"),
    Decimal("0.068750"),
    0.1,
    1.5,
    3,
    date(2025, 1, 31),
    datetime(2025, 2, 1, 4, 5, 6),
    True,
)


def table(title, *rows, **more):
    return ReportTable(title, COLUMNS, pd.DataFrame(rows, columns=[c.name for c in COLUMNS], dtype=object), **more)


def written(path, *tables, **more):
    book = ReportBook(
        "test",
        "Tést",
        {"portfolio": "ALL"},
        {"par_operator": ">="},
        date(2025, 1, 31),
        {"loan_positions": 12},
        tables,
        (Chart("Amounts", "Loans", "line", "due_on", ("amount",)),),
        ["Mind this."],
        {"EUR": {"amount": "1.10"}},
        **more,
    )
    file = export(book, "json", str(path))
    return file, (path.parent / f"{path.name}.json").read_text(encoding="utf-8")


def test_the_whole_structure_as_documented(tmp_path):
    totals = ({"currency": "EUR", "amount": Decimal("-1234567.8"), "loans": 3},)
    empty = table("Lost", no_data="no loan is lost")
    file, text = written(
        tmp_path / "x",
        table("Loans", ROW, (None,) * 9, totals=totals, no_data="no loan is there"),
        empty,
        blocks={"period": {"months": 3}},
    )
    found = json.loads(text)
    assert file.rows == 2
    assert found.pop("generated_by").startswith("lending_pipelines ")
    kinds = ["text", "money", "rate", "rate", "ratio", "count", "date", "instant", "flag"]
    columns = [
        {"name": column.name, "label": column.label, "kind": kind, "personal": column.name == "loan_id"}
        for column, kind in zip(COLUMNS, kinds, strict=True)
    ]
    nothing = dict.fromkeys([column.name for column in COLUMNS])
    assert found == {
        "report_type": "test",
        "title": "Tést",
        "as_of": "2025-01-31",
        "parameters": {"portfolio": "ALL"},
        "conventions": {"par_operator": ">="},
        "data_versions": {"loan_positions": 12},
        "summary": {"EUR": {"amount": "1.10"}},
        "notes": ["Mind this."],
        "no_data": None,
        "charts": [
            {
                "title": "Amounts",
                "table": "Loans",
                "kind": "line",
                "x": "due_on",
                "y": ["amount"],
                "deductions": [],
                "currency": "",
            }
        ],
        "period": {"months": 3},
        "tables": [
            {
                "title": "Loans",
                "columns": columns,
                "no_data": None,
                "totals": [{**nothing, "amount": "-1234567.80", "loans": 3}],
                "rows": [
                    {
                        "loan_id": 'Ø "1"\n漢',
                        "amount": "-1234567.80",
                        "rate": 0.06875,
                        "par": 0.1,
                        "moic": 1.5,
                        "loans": 3,
                        "due_on": "2025-01-31",
                        "seen_at": "2025-02-01T04:05:06.000000Z",
                        "late": True,
                    },
                    nothing,
                ],
            },
            {"title": "Lost", "columns": columns, "no_data": "no loan is lost", "totals": [], "rows": []},
        ],
    }


def test_names_are_whole_however_long(tmp_path):
    """A worksheet's name has 31 characters, a file's 80; JSON has all of them, in titles, keys and blocks."""
    title = f"Principal outstanding by product and branch, {'with all its adjectives ' * 10}in EUR"
    name, value = f"column_{'n' * 300}", "Ünïted 漢 " * 1000
    long = ReportTable(title, (ReportColumn(name, title, "text"),), pd.DataFrame({name: [value]}))
    found = json.loads(written(tmp_path / "x", table("Loans", ROW), long, blocks={name: [{name: value}]})[1])
    assert [each["title"] for each in found["tables"]] == ["Loans", title]
    assert found["tables"][1]["columns"] == [{"name": name, "label": title, "kind": "text", "personal": False}]
    assert found["tables"][1]["rows"] == found[name] == [{name: value}]


def test_a_report_without_any_row_says_why(tmp_path):
    lost = table("Lost", no_data="no loan is lost")
    empty, full = table("Loans", no_data="none"), table("Loans", ROW, no_data="none")
    assert json.loads(written(tmp_path / "x", lost, full)[1])["no_data"] is None
    assert json.loads(written(tmp_path / "y", lost, empty)[1])["no_data"] == "no loan is lost"


def test_a_row_is_a_line(tmp_path):
    lines = written(tmp_path / "x", table("Loans", ROW, ROW))[1].splitlines()
    assert json.loads(lines[3].removesuffix(",")) == json.loads(lines[4].removesuffix("]}"))
    assert json.loads(lines[3].removesuffix(","))["loans"] == 3


def test_a_block_has_a_name_of_its_own(tmp_path):
    with pytest.raises(ExportError, match="report test cannot be written as JSON: blocks may not be named summary"):
        written(tmp_path / "x", table("Loans", ROW), blocks={"summary": {}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [Decimal("1.10"), float("nan"), date(2025, 1, 31)])
def test_a_block_that_is_not_ready_for_json_is_refused(tmp_path, value):
    with pytest.raises(ExportError, match="report test cannot be written as JSON"):
        written(tmp_path / "x", table("Loans", ROW), blocks={"period": value})


def test_the_same_book_is_the_same_bytes(tmp_path):
    one, two = (written(tmp_path / name, table("Loans", ROW))[0] for name in ("one", "two"))
    assert one.sha256 == two.sha256
