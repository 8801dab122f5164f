"""The gallery in headless Chromium: accessibility, content policy, phone width, keyboard, themes, parts by htmx."""

from collections.abc import Iterator

import pytest
from browsing import DESKTOP, PHONE, WCAG, Visit, chromium, served, visiting
from playwright.sync_api import Browser, expect

from lending_pipelines.portal.gallery.app import PAGES, create_gallery
from lending_pipelines.portal.gallery.data import HOSTILE


@pytest.fixture(scope="module")
def gallery() -> Iterator[str]:
    with served(create_gallery()) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, gallery: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A new visitor; the test may name the theme and the size by its parameter."""
    with visiting(browser, gallery, *getattr(request, "param", ())) as visit:
        yield visit


@pytest.fixture(scope="module", params=[("light", DESKTOP), ("dark", PHONE)], ids=["light", "dark-phone"])
def reader(browser: Browser, gallery: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A visitor who opens one page after another."""
    with visiting(browser, gallery, *request.param) as visit:
        yield visit


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_accessible_and_keeps_the_content_policy(reader: Visit, path: str) -> None:
    reader.complaints.clear()
    page = reader.open(f"/{path}")
    reader.wait_until_drawn()
    assert reader.violations(WCAG) == {}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert reader.complaints == []


def test_markup_in_names_is_text(visit: Visit) -> None:
    page = visit.open("/components")
    assert page.get_by_text(HOSTILE, exact=True).count() >= 3
    page.keyboard.press("Control+k")
    page.keyboard.type("alert('owned')")
    expect(page.locator("#palette-list")).to_contain_text(HOSTILE)
    assert page.locator("main script, #palette-list script, main img").count() == 0
    assert visit.complaints == []


def test_the_palette_is_used_by_keyboard_alone(visit: Visit) -> None:
    page = visit.open("/today")
    page.keyboard.press("Control+k")
    assert page.evaluate("document.activeElement.id") == "palette-input"
    # Without a question it lists the sections.
    assert page.locator("#palette-list [role=option]").first.inner_text() == "Today"
    page.keyboard.type("elena")
    expect(page.locator("#palette-list .palette-sub").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#palette-list [aria-selected=true]")
    assert page.locator("#palette-list [role=option]").nth(1).get_attribute("aria-selected") == "true"
    assert page.locator("#palette-input").get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    # Up twice goes round to the last, down to the first.
    for key in ("ArrowUp", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/loan?id=L-100200")
    page.keyboard.press("/")
    page.keyboard.type("zzz")
    expect(page.locator(".palette-none")).to_contain_text("zzz")
    page.keyboard.press("Escape")
    assert page.locator("#palette").is_hidden()


def test_shortcuts_go_to_sections_and_can_be_switched_off(visit: Visit) -> None:
    page = visit.open("/today")
    page.keyboard.press("?")
    assert page.locator("#shortcuts").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**/loans")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 2
    page.keyboard.press("?")
    page.locator("#single-keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.locator("#palette").is_hidden()
    # A letter in a field is a letter.
    page.get_by_label("Loan or borrower").press_sequentially("g?")
    assert page.get_by_label("Loan or borrower").input_value() == "g?"
    assert page.locator("#shortcuts").is_hidden()


def test_sorting_filtering_and_pages_replace_only_the_table(visit: Visit) -> None:
    page = visit.open("/loans?vintage=2025Q1")
    page.evaluate("window.sameDocument = true")
    page.get_by_label("Loan or borrower").press_sequentially("petrova")
    page.wait_for_url("**/loans?*q=petrova*")
    expect(page.locator("tbody tr")).to_have_count(15)
    page.get_by_role("link", name="Borrower").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Borrower")
    assert "q=petrova" in page.url
    # A filter that no field shows stays until it is removed.
    page.get_by_role("link", name="Vintage: 2025Q1 remove").click()
    expect(page.locator(".chip-on")).to_have_count(0)
    assert "vintage" not in page.url
    assert "q=petrova" in page.url
    # Another filter keeps the order.
    page.get_by_label("Loan or borrower").fill("")
    expect(page.locator(".pager")).to_contain_text("1–25 of 240")
    page.get_by_role("link", name="Next", exact=True).click()
    expect(page.locator(".pager")).to_contain_text("26–50 of 240")
    assert page.locator("th[aria-sort=ascending]").count() == 1
    assert page.evaluate("window.sameDocument")
    page.locator("tbody tr").first.locator("td.num").first.click()
    page.wait_for_url("**/loan?id=*")
    assert visit.complaints == []


def test_the_theme_is_kept_and_charts_follow_it(visit: Visit) -> None:
    page = visit.open("/charts")
    expect(page.locator("[data-plot] svg").first).to_be_visible()
    axis = "getComputedStyle(document.querySelector('[data-plot] svg text')).fill"
    light = page.evaluate(axis)
    page.emulate_media(media="print")
    assert page.locator(".side").is_hidden()
    page.emulate_media(media="screen")
    switch = page.locator("[data-theme-switch]")
    for name in ("light", "dark"):
        switch.click()
        assert switch.get_attribute("aria-label") == f"Colours: {name}"
    page.wait_for_function(f"() => {axis} !== '{light}'")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"


@pytest.mark.parametrize("visit", [("light", PHONE)], indirect=True)
def test_the_navigation_folds_on_a_phone(visit: Visit) -> None:
    page = visit.open("/today")
    link = page.get_by_role("link", name="Managers")
    assert link.count() == 0
    page.get_by_role("button", name="Navigation", exact=True).click()
    expect(link).to_be_visible()
    expect(page.get_by_role("link", name="Harbour & Sons Lending")).to_be_focused()
    page.keyboard.press("Escape")
    expect(link).to_have_count(0)
    expect(page.get_by_role("button", name="Navigation", exact=True)).to_be_focused()


def test_progress_arrives_as_events(visit: Visit) -> None:
    page = visit.open("/components")
    expect(page.locator("progress").last).to_have_js_property("value", 100)
    assert visit.complaints == []


def test_the_first_page_is_small_and_the_next_loads_nothing_but_itself(visit: Visit) -> None:
    page = visit.open("/today")
    expect(page.locator("[data-plot] svg")).to_have_count(2)
    sizes = visit.loaded("decodedBodySize")
    library = next(path for path in sizes if path.endswith("/charts.js"))
    # Without compression, which makes it a third.
    assert 50_000 < sum(sizes.values()) - sizes[library] < 200_000
    visit.open("/charts")
    expect(page.locator("[data-plot] svg")).to_have_count(5)
    # Beside the page, only whether there are new alerts.
    assert [path for path, size in visit.loaded("transferSize").items() if size] == ["/charts", "/alerts/events"]


def test_a_page_without_scripts_has_its_content(browser: Browser, gallery: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{gallery}/loans?q=petrova&sort=borrower")
        assert page.locator("tbody tr").count() == 15
        page.goto(f"{gallery}/charts")
        page.get_by_text("Show as table").first.click()
        assert page.get_by_role("table").first.get_by_text("14,000,000.00").is_visible()
