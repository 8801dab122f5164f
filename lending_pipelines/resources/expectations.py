"""Great Expectations as a resource: its process starts with the run, and its Data Docs are published at the end."""

from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from html import escape
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from lending_pipelines.expectations.client import Expectations, expectations
from lending_pipelines.expectations.messages import Suite, Verdict
from lending_pipelines.places import replace_folder
from lending_pipelines.resources.exports import ExportsResource
from lending_pipelines.settings import Settings

DATA_DOCS = "data_docs"
"""The folder in the exports with the Data Docs of the latest run."""


class ExpectationsResource(dg.ConfigurableResource):
    """Validates tables. The Data Docs of the latest run are in the exports, under data_docs/."""

    exports: dg.ResourceDependency[ExportsResource]

    _opened: Expectations = PrivateAttr()
    _validated: bool = PrivateAttr(default=False)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["ExpectationsResource", None, None]:
        """The resource; it publishes the Data Docs when the run ends."""
        with expectations() as self._opened:
            yield self
            if self._validated:
                site = self._opened.site()
                name_lender(site, Settings.from_environment().lender_name)
                replace_folder(site, self.exports.place(DATA_DOCS))

    def verdict(self, suite: Suite) -> Future[Verdict]:
        """Start the validation of a suite's rows; see Expectations.validate."""
        self._validated = True
        return self._opened.validate(suite)

    def page(self, path: str) -> str:
        """A link to a page of the Data Docs after the run."""
        return self.exports.link(self.exports.place(f"{DATA_DOCS}/{path}"))


def name_lender(site: str, name: str) -> None:
    """Put the lender's name at the top of every page of the Data Docs. Without a name, nothing changes."""
    if not name:
        return
    bar = (
        f'<body><div style="padding: 4px 16px; font-weight: 600; color: #fff; background: #1b3a57">{escape(name)}</div>'
    )
    for page in Path(site).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("<body>", bar, 1), encoding="utf-8")
