"""The portal in headless Chromium, end to end: every role signs in by the page and opens all of its sections."""

from collections.abc import Iterator

import pytest
from browsing import CONTRAST, WCAG, Visit, chromium, served, visiting
from fastapi import FastAPI
from people import NAMES, PASSWORD, Book
from playwright.sync_api import Browser, expect

from lending_pipelines.portal.policy import allows
from lending_pipelines.portal.routes import NAVIGATION
from lending_pipelines.portal.scope import Grant, Person, Scope

ROLE = {"officer": "loan_officer", "customer": "user"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(app: FastAPI) -> Iterator[str]:
    with served(app) as url:
        yield url


@pytest.fixture
def visit(browser: Browser, address: str, app: FastAPI) -> Iterator[Visit]:
    app.state.portal.limits.reset()
    with visiting(browser, address) as visit:
        yield visit


def sign_in(visit: Visit, name: str) -> None:
    page = visit.open("/")
    page.wait_for_url("**/sign-in")
    page.get_by_label("Name or email").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("nav[aria-label=Main]")


@pytest.mark.parametrize("name", NAMES)
def test_a_person_signs_in_and_opens_every_section_in_both_themes(visit: Visit, name: str) -> None:
    sign_in(visit, name)
    page = visit.page
    person = Person("1", name, name, (Grant(ROLE.get(name, name), Scope()),))
    titles = page.locator("nav[aria-label=Main] a span:first-of-type").all_inner_texts()
    assert titles == [each.title for each in NAVIGATION if allows(person, each.action)]
    refused: list[str] = []
    page.on("response", lambda answer: answer.status >= 400 and refused.append(f"{answer.status} {answer.url}"))
    faults = {}
    for title in titles:
        with page.expect_navigation():
            page.get_by_role("navigation", name="Main").get_by_role("link", name=title, exact=True).click()
        expect(page.locator("nav[aria-label=Main] a[aria-current=page]")).to_have_text(title)
        visit.wait_until_drawn()
        assert page.locator("main h1").count() == 1, title
        # What cannot be read is said in a part with the role alert.
        assert page.locator("main [role=alert]").count() == 0, title
        faults[title, "light"] = visit.violations(WCAG)
        page.emulate_media(color_scheme="dark")
        visit.wait_until_drawn()
        faults[title, "dark"] = visit.violations(CONTRAST)
        page.emulate_media(color_scheme="light")
    assert {key: found for key, found in faults.items() if found} == {}
    assert visit.complaints == []
    assert refused == []


def test_a_loan_is_opened_from_the_palette_by_keyboard(visit: Visit, book: Book) -> None:
    sign_in(visit, "investor")
    page = visit.page
    loan_id = min(row["loan_id"] for row in book.last if book.owns("investor", row))
    page.keyboard.press("Control+k")
    page.keyboard.type(loan_id.lower())
    expect(page.locator("#palette-list .palette-title").first).to_have_text(loan_id)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/loans/{loan_id}")
    expect(page.locator("h1")).to_contain_text(loan_id)
    # The loan of another is not found.
    other = min(row["loan_id"] for row in book.last if not book.owns("investor", row))
    page.keyboard.press("Control+k")
    page.keyboard.type(other)
    expect(page.locator(".palette-none")).to_contain_text(other)
    assert visit.complaints == []


def test_a_wrong_password_is_said_and_the_page_stays_accessible(visit: Visit) -> None:
    page = visit.open("/sign-in")
    page.get_by_label("Name or email").fill("auditor")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("body")).to_contain_text("The name or the password is wrong")
    assert visit.violations(WCAG) == {}
