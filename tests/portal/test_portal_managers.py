"""The pages Managers: numbers against the lake's rows, downloads against the report, scope, and wrong parameters."""

import csv
import re
from collections import Counter
from html import unescape
from io import BytesIO, StringIO
from pathlib import Path

import openpyxl
import pytest
import sqlalchemy as sa
from homes import FIRST, LAST
from page_rows import column, money, tables
from people import People

from lending_pipelines.conventions import Conventions
from lending_pipelines.exports.export import export
from lending_pipelines.portal.routes import managers as routes
from lending_pipelines.reports.types.manager_performance import generator


@pytest.fixture(scope="module")
def snapshots(book):
    return [row for row in book.home.rows("manager_snapshots") if row["business_date"] == LAST]


@pytest.fixture(scope="module")
def names(book):
    return {row["staff_id"]: row["full_name"] for row in book.home.rows("staff")}


class HomeSource:
    """A lake as reports read it."""

    conventions = Conventions()

    def __init__(self, lake):
        self.table, self.days = lake.table, lake.days

    def thinned(self, name):
        return []

    def versions(self):
        return {}


def managers_on(page: str) -> list[str]:
    """The names in the list of managers, whose cells have the role and the branch too."""
    return [unescape(name) for name in re.findall(r'<a class="row-link" [^>]*>(?:<bdi>)?([^<]*)', page)]


def score(row) -> str:
    return "–" if row["health_score"] is None else f"{row['health_score']:.1f}"


def test_the_overview_has_every_manager_the_healthiest_first(people: People, snapshots, names):
    page = people.sign_in("controller").get("/managers").text
    shown = sorted(zip(managers_on(page), column(page, "Managers by health", "Score"), strict=True))
    assert shown == sorted((names.get(row["manager_id"], row["manager_id"]), score(row)) for row in snapshots)
    scores = [float(each) for each in column(page, "Managers by health", "Score") if each != "–"]
    assert scores == sorted(scores, reverse=True)


def test_pages_have_every_manager_once_and_count_all_of_them(people: People, snapshots, names, monkeypatch):
    monkeypatch.setattr(routes, "PAGE_ROWS", 4)
    browser = people.sign_in("controller")
    expected = sorted(names.get(row["manager_id"], row["manager_id"]) for row in snapshots)
    seen, link = [], "/managers?sort=name"
    while link:
        page = browser.get(link).text
        # The numbers are those of all managers, on every page.
        assert f"{len(snapshots)} managers" in page
        seen += managers_on(page)
        following = re.search(r'<a class="button" href="([^"]+)" rel="next"', page)
        link = f"/managers{unescape(following[1])}" if following else None
    assert seen == expected


def test_a_search_finds_parts_of_names_and_ids_in_any_case(people: People, snapshots, names):
    browser = people.sign_in("controller")
    for text in ("S00000", "s00000", names[snapshots[0]["manager_id"]][1:4].upper()):
        page = browser.get("/managers", params={"q": text}).text
        found = [
            names.get(row["manager_id"], row["manager_id"])
            for row in snapshots
            if text.lower() in f"{names.get(row['manager_id'], '')} {row['manager_id']}".lower()
        ]
        assert found
        assert sorted(managers_on(page)) == sorted(found)


@pytest.mark.parametrize("category", ["Excellent", "Good", "Warning", "Critical"])
def test_a_category_has_its_managers(people: People, snapshots, category):
    page = people.sign_in("controller").get("/managers", params={"category": category, "currency": "USD"}).text
    expected = Counter(row["health_category"] for row in snapshots if row["currency"] == "USD")[category]
    shown = tables(page).get("Managers by health", [[]])
    assert len(shown) - 1 == expected


def test_a_manager_shows_the_parts_of_the_score_and_the_branch(people: People, book, snapshots):
    row = max((row for row in snapshots if row["branch_id"] and row["health_score"]), key=lambda r: r["active_loans"])
    page = people.sign_in("controller").get(f"/managers/{row['manager_id']}", params={"currency": row["currency"]}).text
    _, *parts = tables(page)["Parts of the score"]
    assert [part[:2] for part in parts] == [
        ["Collection", "40.00%"],
        ["Default", "30.00%"],
        ["Growth", "20.00%"],
        ["Yield", "10.00%"],
    ]
    own = [row[f"{name}_score"] for name in ("collection", "default", "growth", "yield")]
    assert [part[3] for part in parts] == [f"{value:.1f}" for value in own]
    # The rates are in percent already.
    assert parts[0][2] == f"{row['collection_rate']:.2f}%"
    # 40 % collection, 30 % default, 20 % growth, 10 % yield.
    weighted = sum(weight * value for weight, value in zip((0.4, 0.3, 0.2, 0.1), own, strict=True))
    assert score(row) == f"{weighted:.1f}"
    branch = next(
        each
        for each in book.home.rows("portfolio_snapshots")
        if (each["business_date"], each["scope"], each["scope_id"], each["currency"])
        == (LAST, "branch", row["branch_id"], row["currency"])
    )
    assert parts[0][4] == f"{branch['collection_score']:.1f}"
    days = [
        each
        for each in book.home.rows("manager_snapshots")
        if (each["manager_id"], each["currency"]) == (row["manager_id"], row["currency"])
    ]
    assert column(page, "History", "Balance") == [
        money(each["total_outstanding"])
        for each in sorted(days, key=lambda each: each["business_date"], reverse=True)[:30]
    ]


def test_a_leader_sees_the_own_team_and_nobody_else(people: People, book, snapshots, names):
    browser = people.sign_in("manager")
    shown = set(managers_on(browser.get("/managers").text))
    assert shown == {names[row["manager_id"]] for row in snapshots if row["manager_id"] in book.team}
    page = browser.get(f"/managers/{book.leader}").text
    led = {names[row["manager_id"]] for row in snapshots if row["manager_id"] in book.team - {book.leader}}
    assert set(column(page, "Team", "Officer")) <= led
    assert browser.get(f"/managers/{book.officer}").status_code == 404
    assert people.sign_in("investor").get("/managers").status_code == 403
    assert people.sign_in("customer").get("/managers/export").status_code == 403


def test_the_download_is_what_the_report_prints(people: People, book, tmp_path):
    answer = people.sign_in("controller").get("/managers/export", params={"first": FIRST, "last": LAST})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert {row.pop("export_scope") for row in rows} == {"all loans"}
    parameters = generator.parameters(
        as_of=LAST.isoformat(),
        period="custom",
        from_date=FIRST.isoformat(),
        to_date=LAST.isoformat(),
        contents="days",
        allow_pii=True,
    )
    with book.home.lake() as lake:
        printed = export(generator.generate(parameters, HomeSource(lake)), "csv", str(tmp_path / "report"))
    assert rows == list(csv.DictReader(StringIO(Path(printed.url).read_text(encoding="utf-8"))))
    assert len(rows) == sum(FIRST <= row["business_date"] <= LAST for row in book.home.rows("manager_snapshots"))


def test_a_download_names_its_scope_and_is_recorded(people: People, book):
    answer = people.sign_in("officer").get("/managers/export", params={"first": LAST, "format": "xlsx"})
    cover = [str(cell.value) for row in openpyxl.load_workbook(BytesIO(answer.content)).worksheets[0] for cell in row]
    assert f"officers {book.officer}" in cover
    rows = list(csv.DictReader(StringIO(people.sign_in("officer").get("/managers/export").text)))
    assert {row["manager_id"] for row in rows} == {book.officer}
    assert {row["export_scope"] for row in rows} == {f"officers {book.officer}"}
    with book.home.register() as session:
        entries = session.execute(
            sa.text("SELECT account, rows, sha256 FROM audit_log WHERE action = 'export.download' ORDER BY entry_id")
        ).all()
    assert entries[-1][:2] == ("officer", len(rows))
    assert entries[-2][2] == answer.headers["x-content-sha256"]


BAD = [
    "nothing",
    "0001-01-01",
    "9999-12-31",
    "'",
    "<script>alert(1)</script>",
    "\0",
    "١",
    "-1",
    "9" * 30,
    "x" * 500,
    "%",
    "../..",
    "NaN",
]


@pytest.mark.parametrize("value", BAD)
def test_no_parameter_breaks_a_page(people: People, book, value):
    browser = people.sign_in("admin")
    browser.get("/managers")
    answers = [
        *(browser.get("/managers", params={name: value}) for name in ("q", "category", "role", "branch", "sort")),
        *(browser.get(f"/managers/{book.leader}", params={name: value}) for name in ("currency", "days")),
        *(browser.get("/managers/export", params={name: value}) for name in ("first", "last", "format", "manager")),
    ]
    assert {answer.status_code for answer in answers} <= {200, 400, 404, 422}
    assert not [answer for answer in answers if "<script>alert(1)" in answer.text]


def test_a_range_that_ends_before_it_begins_is_refused(people: People):
    answer = people.sign_in("admin").get("/managers/export", params={"first": LAST, "last": FIRST})
    assert answer.status_code == 400
    assert "write an earlier day" in answer.text
