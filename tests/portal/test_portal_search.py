"""The search of the command palette: what it finds, in which order, and that nobody finds rows outside their scope."""

import re
from html import unescape

import pytest
from people import NAMES, People


def found(browser, text: str) -> list[tuple[str, str]]:
    """The title and path of each result."""
    answer = browser.get("/search", params={"q": text})
    assert answer.status_code == 200, answer.text
    options = re.findall(r'role="option".*?href="([^"]*)".*?palette-title"><bdi>(.*?)</bdi>', answer.text, re.DOTALL)
    return [(unescape(title), unescape(path)) for path, title in options]


@pytest.mark.parametrize("name", NAMES)
def test_a_loan_is_found_by_its_id_in_any_case_and_opens(people: People, book, name):
    browser = people.sign_in(name)
    loan_id = min(row["loan_id"] for row in book.last if book.owns(name, row))
    assert found(browser, loan_id.lower())[0] == (loan_id, f"/loans/{loan_id}")
    assert browser.get(f"/loans/{loan_id}").status_code == 200


def test_managers_portfolios_reports_and_pages_are_found_and_open(people: People, book):
    browser = people.sign_in("admin")
    leader = next(row for row in book.home.rows("staff") if row["staff_id"] == book.leader)
    membership = book.home.rows("portfolio_membership")[0]
    expected = {
        leader["full_name"]: ("/managers/", leader["full_name"]),
        book.leader: (f"/managers/{book.leader}", leader["full_name"]),
        membership["portfolio_name"].upper(): ("/portfolios/portfolio/", membership["portfolio_name"]),
        "trial bal": ("/reports/new/trial_balance", "Trial balance"),
        "data h": ("/data-health", "Data health"),
        "sessions": ("/me", "Password and sessions"),
    }
    for text, (path, title) in expected.items():
        results = found(browser, text)
        assert any(each[0] == title and each[1].startswith(path) for each in results), (text, results)
        for _, each in results:
            assert browser.get(each, follow_redirects=True).status_code == 200, each


def test_a_portfolio_is_found_by_its_whole_id_and_not_by_a_part_of_it(people: People, book):
    browser = people.sign_in("admin")
    portfolio_id = book.home.rows("portfolio_membership")[0]["portfolio_id"]
    path = f"/portfolios/portfolio/{portfolio_id}"
    assert path in [each for _, each in found(browser, portfolio_id)]
    assert path not in [each for _, each in found(browser, portfolio_id[:-1])]


def test_what_begins_with_the_text_comes_before_what_has_it_inside(people: People, book):
    staff = {row["staff_id"]: row["full_name"] for row in book.home.rows("staff")}
    managers = {row["manager_id"] for row in book.home.rows("manager_snapshots")} & set(staff)
    name = staff[min(managers)]
    word = name.split()[-1]
    titles = [title for title, path in found(people.sign_in("admin"), word) if path.startswith("/managers/")]
    begins = [any(each.lower().startswith(word.lower()) for each in title.split()) for title in titles]
    assert begins
    assert begins == sorted(begins, reverse=True)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_finds_what_is_anothers(people: People, book, name):
    browser = people.sign_in(name)
    marks = book.marks_of_others(name)
    # Each of the first marks in full, and single letters and digits, which match nearly everything.
    for text in [*sorted(marks)[::97], *"aeiou0123456789l-"]:
        results = found(browser, text)
        shown = " ".join(f"{title} {path}" for title, path in results)
        assert {mark for mark in marks if mark in shown} == set(), text


@pytest.mark.parametrize("name", ["investor", "customer"])
def test_a_role_finds_only_pages_that_it_may_open(people: People, name):
    browser = people.sign_in(name)
    assert found(browser, "people") == found(browser, "trial balance") == found(browser, "manager") == []
    for _, path in found(browser, "a"):
        assert browser.get(path, follow_redirects=True).status_code == 200, path


@pytest.mark.parametrize("text", ["", " ", "%", "_", "'", "\\", "%00", "\x00", '<script>"', "لـ", "💶", "x" * 200])
def test_every_text_gets_an_answer_as_text(people: People, text):
    answer = people.sign_in("auditor").get("/search", params={"q": text})
    assert answer.status_code == 200
    assert "<script>" not in answer.text


def test_a_text_that_nothing_has_says_what_to_try(people: People):
    assert "Nothing found for “zzzz”" in people.sign_in("admin").get("/search", params={"q": "zzzz"}).text
    assert people.sign_in("admin").get("/search", params={"q": "z" * 201}).status_code == 422
