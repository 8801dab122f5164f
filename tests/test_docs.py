"""The pages say what is true: tables, settings, links, and the code of the two tutorials."""

import importlib
import re
import runpy
import sqlite3
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from lending_pipelines import sources
from lending_pipelines.conventions import Conventions
from lending_pipelines.reports import registry, types
from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.tables import SERVICING, TABLES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def code(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_tables_is_what_its_command_writes():
    written = runpy.run_path(str(ROOT / "docs" / "write_tables.py"))["page"]()
    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == written, "run docs/write_tables.py"


def test_the_readme_lists_every_environment_variable():
    variable = r"LENDING_[A-Z_]+"
    read = set(re.findall(variable, (ROOT / "lending_pipelines" / "settings.py").read_text(encoding="utf-8")))
    listed = re.findall(rf"^\| `({variable})`", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(read)


def test_the_definitions_list_every_convention():
    text = (ROOT / "docs" / "definitions.md").read_text(encoding="utf-8").partition("## Conventions")[2]
    listed = re.findall(r"^\| ([a-z_]+) \| `(.*?)` \|", text, re.MULTILINE)
    defaults = {name: str(list(value) if isinstance(value, tuple) else value) for name, value in Conventions()}
    defaults = {
        name: default.lower() if default in ("True", "False") else default for name, default in defaults.items()
    }
    assert {name: default.strip('"') for name, default in listed} == defaults


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


class Positions:
    """A ReportSource of one day's positions."""

    conventions = Conventions()
    day = date(2025, 3, 31)

    def __init__(self, rows):
        self.rows = [dict.fromkeys(TABLES["loan_positions"].names) | {"business_date": self.day} | row for row in rows]

    def table(self, name):
        return ibis.memtable(pa.Table.from_pylist(self.rows, schema=TABLES[name].arrow_schema))

    def thinned(self, name):
        return []

    def days(self, name):
        return [self.day]

    def versions(self):
        return {"loan_positions": 0}


def test_the_report_of_the_tutorial_works(tmp_path, monkeypatch):
    (tmp_path / "top_borrowers.py").write_text(code("adding-a-report.md")[0], encoding="utf-8")
    monkeypatch.setattr(types, "__path__", [*types.__path__, str(tmp_path)])
    registry._generators.cache_clear()
    try:
        generator = registry.get("top_borrowers")
    finally:
        registry._generators.cache_clear()
        sys.modules.pop("lending_pipelines.reports.types.top_borrowers", None)

    def loan(borrower, currency, owed, status="active"):
        return {
            "borrower_id": borrower,
            "currency": currency,
            "status": status,
            "principal_outstanding": Decimal(owed),
        }

    source = Positions(
        [
            loan("B1", "USD", "60.00"),
            loan("B1", "USD", "50.00"),
            loan("B2", "USD", "100.00"),
            loan("B3", "USD", "900.00", status="charged_off"),
            loan("B2", "EUR", "5.00"),
        ]
    )
    book = generator.generate(generator.parameters(top=1, allow_pii=True), source)
    assert [tuple(row.values()) for row in book.tables[0].arrow().to_pylist()] == [
        ("B2", "EUR", 1, Decimal("5.00")),
        ("B1", "USD", 2, Decimal("110.00")),
    ]


def test_the_source_of_the_tutorial_works(tmp_path, monkeypatch):
    package, adapter = code("adding-a-source.md")
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "__init__.py").write_text(package, encoding="utf-8")
    (folder / "adapter.py").write_text(adapter, encoding="utf-8")
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    database = tmp_path / "acme.db"
    with sqlite3.connect(database) as acme:
        acme.executescript(
            """
            CREATE TABLE offices (code, title, area);
            CREATE TABLE contracts (number, customer, office, amount, rate, months, signed_on, paid_out_on, created_at,
                                    changed_at);
            INSERT INTO contracts VALUES ('L1', 'C1', 'B1', 1000, 0.12, 12, '2025-01-01', '2025-01-05',
                                          '2025-01-01 10:00:00', '2025-01-05 10:00:00');
            """
        )
    acme.close()

    source = open_source("acme", str(database))
    with source.snapshot() as reader:
        [batch] = reader.read(SERVICING["loans"])
        assert len(list(reader.read(SERVICING["loans"], datetime(2025, 1, 5, 10)))) == 1
        assert list(reader.read(SERVICING["loans"], datetime(2025, 1, 5, 10, 0, 1))) == []
        assert list(reader.read(SERVICING["transactions"])) == []
        assert reader.month_totals(SERVICING["loans"]) is None
    [row] = batch.to_pylist()
    assert batch.schema == SERVICING["loans"].arrow_schema
    assert (row["loan_id"], row["principal"], row["disbursed_on"]) == ("L1", Decimal("1000.00"), date(2025, 1, 5))
    missing = open_source("acme", str(tmp_path / "none.db"))
    with pytest.raises(SourceError, match=r"acme: .* cannot be read: unable to open database file"), missing.snapshot():
        pass
