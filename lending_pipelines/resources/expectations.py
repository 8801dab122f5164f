"""Great Expectations as a resource: its process starts with the run, and its Data Docs are published at the end."""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg
from pydantic import PrivateAttr

from lending_pipelines.expectations.client import Expectations, expectations
from lending_pipelines.expectations.messages import Suite, Verdict
from lending_pipelines.places import replace_folder
from lending_pipelines.resources.exports import ExportsResource

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
                replace_folder(self._opened.site(), self.exports.place(DATA_DOCS))

    def verdict(self, suite: Suite) -> Verdict:
        """The result of validating a suite's rows; see Expectations.validate."""
        self._validated = True
        return self._opened.validate(suite)

    def page(self, path: str) -> str:
        """A link to a page of the Data Docs after the run."""
        return self.exports.link(self.exports.place(f"{DATA_DOCS}/{path}"))
