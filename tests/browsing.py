"""Pages of a server in headless Chromium: opening them, what they load later, axe, and their console errors."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from servers import free_port

WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
CONTRAST = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""The rules of axe: all of them, and those that depend on the theme."""

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 780}

_DRAWN = """() => !document.querySelector('[hx-trigger="load"], .htmx-request')
    && [...document.querySelectorAll('[data-plot]')].every(plot => plot.querySelector('svg'))"""


@dataclass
class Visit:
    """A page of a browser, and what it complained about."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path, wait_until="load")
        return self.page

    def wait_until_drawn(self) -> None:
        """Wait for the parts that the page loads later, and draw all its charts, also those below the window."""
        self.page.wait_for_function("""() => !document.querySelector('[hx-trigger="load"], .htmx-request')""")
        for plot in self.page.query_selector_all("[data-plot]"):
            plot.scroll_into_view_if_needed()
        self.page.wait_for_function(_DRAWN)

    def violations(self, rules: dict[str, Any]) -> dict[str, list[str]]:
        """The elements that violate each rule of axe."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(Axe().axe_script)
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        found = self.page.evaluate("async options => (await axe.run(options)).violations", options)
        return {each["id"]: [node["html"] for node in each["nodes"]] for each in found}

    def loaded(self, size: str) -> dict[str, int]:
        """The document and the files of the page, with their bytes: `decodedBodySize`, `transferSize`."""
        entries = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        return dict(self.page.evaluate(f"{entries}.map(each => [new URL(each.name).pathname, each.{size}])"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped without one."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs chromium, which .ci/run installs")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def visiting(browser: Browser, url: str, theme: Any = "light", size: Any = DESKTOP) -> Iterator[Visit]:
    """A new visitor."""
    with browser.new_context(color_scheme=theme, viewport=size, reduced_motion="reduce") as context:
        page = context.new_page()
        visit = Visit(page, url)
        page.on(
            "console", lambda message: message.type in ("error", "warning") and visit.complaints.append(message.text)
        )
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("dialog", lambda dialog: visit.complaints.append(f"a script of the data ran: {dialog.message}"))
        yield visit


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of a server of the app, which stays usable afterwards."""
    port = free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)
