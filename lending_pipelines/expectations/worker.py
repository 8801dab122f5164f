"""The validating process: imports Great Expectations, then answers requests from standard input until it closes.

Only client.py runs it, as `python -m lending_pipelines.expectations.worker`. A request is a pickled (number, method,
argument). Its answer is a pickled (number, True, value) or (number, False, message).
"""

import logging
import os
import pickle
import sys
from datetime import UTC, datetime
from pathlib import Path
from traceback import format_exc
from types import ModuleType
from typing import Any, BinaryIO

from lending_pipelines.expectations import fast_gx
from lending_pipelines.expectations.messages import Failure, Suite, Verdict
from lending_pipelines.processes import collect_rarely, temporary_folder

OBSERVED = 5
"""The number of failed values that an answer contains."""

_SITE = "data_docs"


class Validator:
    """A Great Expectations context with Data Docs in a temporary folder, for one run at a time."""

    def __init__(self) -> None:
        import great_expectations as gx

        fast_gx.install()
        self._gx = gx
        self._folder = temporary_folder("data-docs")
        self._runs = 0
        self.start()

    def start(self, argument: None = None) -> None:
        """Begin a run with a new context and empty Data Docs."""
        from great_expectations.data_context.types.base import ProgressBarsConfig

        self._runs += 1
        context = self._gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        for name in context.get_site_names():
            context.delete_data_docs_site(name)
        context.add_data_docs_site(_SITE, _site(self._site_folder))
        self._context = context
        self._tables = context.data_sources.add_pandas("lake")
        self._unpublished: list[Any] = []

    def validate(self, suite: Suite) -> Verdict:
        """Validate the suite's rows. Raises RuntimeError if an expectation could not be evaluated."""
        result = self._batch(suite).validate(self._expectations(suite), result_format=_shown(suite))
        for item in result.results:
            if raised := _raised(item.exception_info):
                raise RuntimeError(f"{suite.table}: {item.expectation_config.kwargs}: {raised}")
        failures = tuple(
            Failure(item.expectation_config.meta["position"], tuple(item.result.get("partial_unexpected_list", ())))
            for item in result.results
            if not item.success
        )
        return Verdict(len(result.results), failures, self._keep(result))

    def site(self, argument: None = None) -> str:
        """Write the missing pages and the index. Returns the folder.

        All pages are written together, because each call of Great Expectations compiles 33 templates first.
        """
        if self._unpublished:
            self._context.build_data_docs(site_names=[_SITE], resource_identifiers=self._unpublished)
            self._unpublished = []
        return self._site_folder

    @property
    def _site_folder(self) -> str:
        return str(Path(self._folder.name) / str(self._runs))

    def _batch(self, suite: Suite) -> Any:
        """The rows as a batch of the table's asset. It replaces the asset of an earlier validation of the table."""
        if suite.table in self._tables.get_asset_names():
            self._tables.delete_asset(suite.table)
        return self._tables.read_dataframe(suite.rows.to_pandas(), asset_name=suite.table)

    def _expectations(self, suite: Suite) -> Any:
        expectations = [
            getattr(self._gx.expectations, expected.kind)(
                **expected.arguments, severity=expected.severity, meta={"position": position}
            )
            for position, expected in enumerate(suite.expectations)
        ]
        return self._gx.ExpectationSuite(name=suite.table, expectations=expectations)

    def _keep(self, result: Any) -> str:
        """Store a result for the Data Docs. Returns its page.

        A checkpoint would store it too, but it first writes and compares its configuration, the suite and the data
        source several times, which takes as long as the validation.
        """
        from great_expectations.core.run_identifier import RunIdentifier
        from great_expectations.data_context.types.resource_identifiers import (
            ExpectationSuiteIdentifier,
            ValidationResultIdentifier,
        )

        run = RunIdentifier(run_time=datetime.now(UTC))
        result.meta |= {"run_id": run, "validation_time": run.run_time}
        identifier = ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(name=result.suite_name),
            run_id=run,
            batch_identifier=result.batch_id,
        )
        self._context.validation_results_store.set(identifier, result)
        self._unpublished.append(identifier)
        (place,) = self._context.get_docs_sites_urls(
            resource_identifier=identifier, site_name=_SITE, only_if_exists=False
        )
        return os.path.relpath(str(place["site_url"]).removeprefix("file://"), self._site_folder)


def _shown(suite: Suite) -> dict[str, Any]:
    """The result format: how many failed values a result contains, and by which columns a row is identified."""
    return {
        "result_format": "BASIC",
        "partial_unexpected_count": OBSERVED,
        "unexpected_index_column_names": list(suite.key),
    }


def _raised(exception_info: dict[str, Any]) -> str | None:
    """The exception of an expectation, or None. Great Expectations returns one exception, or a dictionary by metric."""
    for info in (exception_info, *(value for value in exception_info.values() if isinstance(value, dict))):
        if info.get("raised_exception"):
            return str(info["exception_message"])
    return None


def _site(folder: str) -> Any:
    return {
        "class_name": "SiteBuilder",
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "show_how_to_buttons": False,
    }


def _answer(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the input closes, which happens when the parent process ends."""
    validator = Validator()
    while True:
        try:
            number, method, argument = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = (number, True, getattr(validator, method)(argument))
        except Exception:
            answer = (number, False, format_exc())
        try:
            pickle.dump(answer, answers)
            answers.flush()
        except BrokenPipeError:
            return


def main() -> None:
    """Answer the parent process's requests. Output printed by libraries goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    collect_rarely()
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    _leave_out_unused()
    _answer(sys.stdin.buffer, answers)


def _leave_out_unused() -> None:
    """Prevent the import of packages that this process does not use, which takes a third of its start."""
    # Great Expectations imports these if they are installed.
    for name in ("pyspark", "boto3"):
        sys.modules[name] = None  # type: ignore[assignment]
    # It always imports these, for its expectations about distributions. No rule uses such expectations: see
    # checks/suites.py.
    for name in ("altair", "scipy", "scipy.stats"):
        sys.modules[name] = ModuleType(name)
    sys.modules["scipy"].stats = sys.modules["scipy.stats"]  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
