"""The table resources of the API: numbers, filters, sorting, pages, formats, ETags and errors."""

import io
import json
import re
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from homes import LAST
from people import People
from pyarrow import csv

from lending_pipelines.portal.lake.table_rules import RULES
from lending_pipelines.portal.queries.resources import RESOURCES

API = "/api/v1"


@pytest.fixture
def auditor(people: People):
    return people.sign_in("auditor")


def everything(browser, path, **parameters):
    """All rows of a resource, page by page."""
    rows, cursor = [], None
    while True:
        asked = parameters | ({"cursor": cursor} if cursor else {})
        answer = browser.get(f"{API}/{path}", params=asked)
        assert answer.status_code == 200, answer.text
        rows += answer.json()["data"]
        cursor = answer.json()["next"]
        if cursor is None:
            return rows


def plain(row, shown):
    """A row of the lake as JSON has it."""
    texts = {Decimal: lambda value: format(value, "f"), date: date.isoformat}
    return {name: texts.get(type(value), lambda same: same)(value) for name, value in row.items() if name in shown}


def test_every_resource_shows_a_table_with_a_rule():
    assert {resource.table for resource in RESOURCES} <= RULES.keys()


@pytest.mark.parametrize("resource", ["snapshots", "aging", "transitions", "managers", "trial-balance"])
def test_the_rows_of_the_last_day_are_those_of_the_lake(auditor, book, resource):
    (declared,) = [each for each in RESOURCES if each.path == resource]
    shown = {column.name for column in declared.shown} - set(declared.json)
    expected = [plain(row, shown) for row in book.home.rows(declared.table) if row["business_date"] == LAST]
    found = everything(auditor, resource, limit=100)
    assert [{name: row[name] for name in expected[0]} for row in found] == expected
    assert expected


def test_positions_are_filtered_and_sorted(auditor, book):
    asked = {
        "status": ["active", "charged_off"],
        "principal_outstanding_min": "100.00",
        "sort": "-principal_outstanding",
    }
    rows = everything(auditor, "positions", limit=30, **asked)
    expected = [
        row
        for row in book.last
        if row["status"] in ("active", "charged_off") and row["principal_outstanding"] >= Decimal("100.00")
    ]
    assert {row["loan_id"] for row in rows} == {row["loan_id"] for row in expected}
    amounts = [Decimal(row["principal_outstanding"]) for row in rows]
    assert amounts == sorted(amounts, reverse=True)
    assert sum(amounts) == sum(row["principal_outstanding"] for row in expected)


def test_a_range_of_days_has_every_day(auditor, book):
    first = LAST.replace(day=10)
    rows = everything(auditor, "trial-balance", limit=200, **{"from": first.isoformat()})
    assert len(rows) == len([row for row in book.home.rows("trial_balance") if row["business_date"] >= first])


def test_returns_add_profit_to_the_snapshot(auditor, book):
    row = auditor.get(f"{API}/returns", params={"scope": "all"}).json()["data"][0]
    (snapshot,) = [
        each
        for each in book.home.rows("portfolio_snapshots")
        if (each["scope"], each["business_date"], each["currency"]) == ("all", LAST, row["currency"])
    ]
    # Residual: what is owed; profit: what was collected and is owed, less what was lent.
    residual = snapshot["total_balance"] + snapshot["interest_receivable"]
    assert Decimal(row["residual"]) == residual
    assert Decimal(row["profit"]) == snapshot["total_collected"] + residual - snapshot["total_disbursed"]


def test_formats_have_the_same_rows(auditor, book):
    asked = {"date": LAST.isoformat(), "sort": "loan_id"}
    json = everything(auditor, "positions", limit=1000, **asked)
    as_csv = auditor.get(f"{API}/positions", params=asked, headers={"accept": "text/csv"})
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
    table = csv.read_csv(io.BytesIO(as_csv.content), convert_options=csv.ConvertOptions(column_types=_texts(json[0])))
    assert table["principal_outstanding"].to_pylist() == [row["principal_outstanding"] for row in json]
    assert table["annual_rate"].to_pylist() == [row["annual_rate"] for row in json]
    arrow = auditor.get(f"{API}/positions", params=asked | {"format": "arrow"})
    rows = pa.ipc.open_stream(arrow.content).read_all()
    assert rows["principal_outstanding"].to_pylist() == [row["principal_outstanding"] for row in book.last]
    # A page of a table format.
    page = auditor.get(f"{API}/positions", params=asked | {"format": "csv", "limit": 2})
    assert len(page.text.splitlines()) == 3
    assert 'rel="next"' in page.headers["link"]


def _texts(row):
    return dict.fromkeys(row, pa.string())


def test_a_download_is_recorded_with_its_rows_and_hash(auditor, portal_home):
    import hashlib

    from lending_pipelines.register import AuditLog

    answer = auditor.get(f"{API}/snapshots", params={"format": "csv"})
    with portal_home.register() as session:
        entry = AuditLog(session).recent(account="auditor", action="export.download", limit=1)[0]
    assert entry.sha256 == hashlib.sha256(answer.content).hexdigest()
    assert entry.rows == len(answer.text.splitlines()) - 1


def test_an_unchanged_page_is_not_sent_again(auditor):
    first = auditor.get(f"{API}/snapshots")
    again = auditor.get(f"{API}/snapshots", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = auditor.get(f"{API}/snapshots?limit=1", headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


def test_personal_data_is_null_until_it_is_asked_for_and_then_recorded(auditor, people: People, book, portal_home):
    from lending_pipelines.register import AuditLog

    assert {row["borrower_id"] for row in auditor.get(f"{API}/positions").json()["data"]} == {None}
    shown = auditor.get(f"{API}/positions?personal=true").json()["data"]
    assert {row["borrower_id"] for row in shown} <= {row["borrower_id"] for row in book.last}
    with portal_home.register() as session:
        assert AuditLog(session).recent(account="auditor", action="personal.show", limit=1)[0].outcome == "allowed"
    assert people.sign_in("investor").get(f"{API}/positions?personal=true").status_code == 403


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("stauts=active", "stauts", "did you mean 'status'?"),
        ("status=activ", "status", "did you mean 'active'?"),
        ("sort=principal", "sort", "did you mean"),
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=x", "limit", "valid integer"),
        ("date=2025-02-30", "date", "date"),
        ("from=1741910400", "from", "write a date like 2025-01-31"),
        ("principal_outstanding_min=1.234", "principal_outstanding_min", "2 decimal places"),
        ("format=xml", "format", "use one of 'arrow', 'csv', 'json'"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_to_write(auditor, query, field, message):
    answer = auditor.get(f"{API}/positions?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    faults = answer.json()["errors"]
    assert {fault["field"] for fault in faults} == {field}
    assert any(message in fault["message"] for fault in faults), faults
    assert faults[0]["found"] == query.partition("=")[2]


def test_a_damaged_cursor_and_an_unknown_format_are_refused(auditor):
    assert auditor.get(f"{API}/positions?cursor=x").status_code == 400
    assert auditor.get(f"{API}/positions", headers={"accept": "image/png"}).status_code == 406
    assert auditor.get(f"{API}/positions", headers={"accept": "image/png, */*;q=0.1"}).status_code == 200


def test_the_openapi_document_has_every_resource_with_its_errors(people: People):
    paths = people.nobody().get(f"{API}/openapi.json").json()["paths"]
    for resource in RESOURCES:
        operation = paths[f"{API}/{resource.path}"]["get"]
        assert operation["summary"] == resource.summary
        assert {"200", "304", "400", "401", "403", "404", "406", "422", "429"} <= operation["responses"].keys()
        assert "sort" in {parameter["name"] for parameter in operation["parameters"]}


def test_every_schema_that_the_document_names_is_in_it(people: People):
    document = people.nobody().get(f"{API}/openapi.json").json()
    named = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
    assert named <= {f"components/schemas/{name}" for name in document["components"]["schemas"]}
    overview = document["paths"][f"{API}/platform/overview"]["get"]["responses"]["200"]["content"]["application/json"]
    assert "cancelled" in overview["schema"]["properties"]["tickets"]["properties"]
