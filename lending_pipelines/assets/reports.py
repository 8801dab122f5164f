"""Reports as assets: one per report type. The launchpad form has the report's parameters.

Every request has a row in the register's `reports`: pending, generating, then completed with the file or failed with
the reason. A report is exported only if the blocking checks pass on all dates that it covers.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import dagster as dg
import ibis
import pyarrow as pa
from pydantic import Field, create_model

from lending_pipelines.assets.describe import NO_RESOURCES
from lending_pipelines.checks import Days, restatements_due, verify
from lending_pipelines.errors import LendingError
from lending_pipelines.exports.export import WITH_FIRST_PAGE, export
from lending_pipelines.exports.mail import mail_content, mail_text
from lending_pipelines.lake.limits import amounts_in_range
from lending_pipelines.markdown import escaped
from lending_pipelines.places import PlacedFile
from lending_pipelines.register import (
    Register,
    ReportMail,
    ReportRequests,
    Sales,
    alert_log,
    locks_in_force,
    published,
)
from lending_pipelines.register.models import OutputFormat
from lending_pipelines.reports import headlines, scopes, sold
from lending_pipelines.reports.book import ReportBook, ReportTable
from lending_pipelines.reports.parameters import (
    AS_CLOSED,
    AS_KNOWN,
    AS_REPORTED,
    DEFAULT,
    KnownAt,
    ReportParameters,
    UnderConventions,
    parse_parameters,
)
from lending_pipelines.reports.protocol import ReportGeneratorProtocol, ReportSource
from lending_pipelines.reports.registry import get, report_types
from lending_pipelines.resources import (
    ConventionsResource,
    ExportsResource,
    LakeReportSource,
    LakeResource,
    RegisterResource,
    ReportedSource,
    message_first,
    passed_checks,
    recomputed,
)
from lending_pipelines.tables import RECORDS

PREVIEW_ROWS = 10

_FROM_REGISTER: Mapping[str, Callable[[Register], pa.Table]] = {
    "alert_log": alert_log,
    "published": published,
    "period_locks": locks_in_force,
}
"""Tables that are copied from the register for each report that reads them, because the register can change at any
time.
"""

NEW = "new"
"""The report_id of a request that has no row in the register yet."""


class ChecksFailed(LendingError):
    """A blocking check fails on a requested date; nothing was exported."""


class ReportRequest(dg.Config):
    """The fields of every report's form in addition to the report's own parameters."""

    output_format: OutputFormat = Field(
        "xlsx",
        description="xlsx: a formatted workbook; pdf: for a board or an auditor; json, csv, parquet: for programs.",
    )
    requested_by: str = Field("launchpad", description="Who requested the report, for the register.")
    notify: list[str] = Field(
        [],
        description="Email addresses that get the finished report as a mail with the file, or the reason why it"
        " failed. Nobody gets a report of the same parameters and business date twice.",
    )
    report_id: str = Field(NEW, description="`new`, or the report_id of a pending request for this run.")


def report_assets() -> list[dg.AssetsDefinition]:
    """One asset for every report type in the registry."""
    return [_report_asset(get(report_type)) for report_type in report_types()]


def asset_key(report_type: str) -> dg.AssetKey:
    """The key of a report type's asset."""
    return dg.AssetKey(["reports", report_type])


def launchpad_config(report_type: str) -> dict[str, Any]:
    """The run config that the launchpad shows for a report: its form with defaults."""
    form = {name: field.default for name, field in _form(get(report_type)).model_fields.items()}
    return {"ops": {asset_key(report_type).to_python_identifier(): {"config": form}}, **NO_RESOURCES}


def _report_asset(generator: ReportGeneratorProtocol[Any]) -> dg.AssetsDefinition:
    form = _form(generator)

    @dg.asset(
        key=asset_key(generator.report_type),
        description=generator.description,
        deps=[dg.AssetKey(name) for name in generator.reads if name not in RECORDS],
        group_name="reports",
        owners=["team:finance"],
        kinds={"csv", "excel", "pdf"},
    )
    @message_first
    def report(
        context: dg.AssetExecutionContext,
        config: form,  # type: ignore[valid-type]
        lake: LakeResource,
        register: RegisterResource,
        exports: ExportsResource,
        conventions: ConventionsResource,
    ) -> dg.MaterializeResult:
        values = config.model_dump()  # type: ignore[attr-defined]
        request = {name: values.pop(name) for name in ReportRequest.model_fields}
        source = LakeReportSource(lake.lake, conventions.get())
        with _generating(register.register, generator.report_type, values, request, context.run.run_id) as report_id:
            for name in _FROM_REGISTER.keys() & set(generator.reads):
                lake.lake.replace(name, ibis.memtable(_FROM_REGISTER[name](register.register)))
            parameters = parse_parameters(generator.report_type, generator.parameters, values)
            covered = generator.covers(parameters, source)
            if not covered and parameters.book != AS_CLOSED:
                raise LendingError(f"report {generator.report_type} prints no closed day: leave book at {AS_CLOSED}")
            if covered:
                require_checks(source, generator.reads, covered, f"report {generator.report_type}")
            before = _previous(generator, parameters, source) if request["output_format"] in WITH_FIRST_PAGE else None
            needed = sorted({*covered, *(before.covered if before else ())})
            with (
                amounts_in_range(f"report {generator.report_type}"),
                _source_for(parameters, needed, source) as report_source,
            ):
                book = generator.generate(parameters, report_source)
                if before is not None:
                    book = headlines.compared(book, generator, before, report_source)
            if covered and report_source is source:
                condition = scopes.positions_about(generator, parameters, source, book.as_of)
                due = restatements_due(source.table, generator.reads, covered, source.conventions, condition)
                book = replace(book, notes=[*book.notes, *due], alerts=[*book.alerts, *due])
            with register.register.session() as session:
                book = sold.marked(book, [sold.SoldPortfolio(*sale) for sale in Sales(session).in_force()])
            path = f"reports/{book.report_type}/{book.as_of}/{book.report_type}_{book.as_of}_{report_id[:8]}"
            file = export(book, request["output_format"], exports.place(path), exports.lender())
            mail = _mail(register.register, report_id, book, file)
        with register.register.session() as session:
            notified = ReportRequests(session).complete(
                report_id,
                file.url,
                file.sha256,
                # Housekeeping keeps these versions as long as it keeps the file.
                {**book.summary, "no_data": book.no_data, "data_versions": dict(book.data_versions)},
                mail,
            )
        metadata = _metadata(book, file, report_id, exports.link(file.url))
        if mail is not None:
            metadata["notified"] = ", ".join(notified) or "nobody: the recipients have this report"
        return dg.MaterializeResult(metadata=metadata)

    return report


@contextmanager
def _generating(
    register: Register, report_type: str, values: dict[str, Any], request: dict[str, Any], run_id: str
) -> Iterator[str]:
    """The id of the request's row. Its status is generating in the block, and failed if the block raises."""
    report_id = request.pop("report_id")
    if report_id == NEW:
        with register.session() as session:
            report_id = ReportRequests(session).create(report_type, values, **request)
    with register.session() as session:
        ReportRequests(session).start(report_id, run_id, values)
    try:
        yield report_id
    except BaseException as error:
        with register.session() as session:
            ReportRequests(session).fail(report_id, str(error) or type(error).__name__)
        raise


def _mail(register: Register, report_id: str, book: ReportBook, file: PlacedFile) -> ReportMail | None:
    """The email to the recipients of the request; None without recipients."""
    with register.session() as session:
        if not ReportRequests(session).get(report_id).notify:
            return None
    shown = mail_content(book, file)
    return ReportMail(book.as_of, book.title, mail_text(shown), shown)


def _form(generator: ReportGeneratorProtocol[Any]) -> type[dg.Config]:
    """The report's parameters as a Dagster form, each with its default and description."""
    fields: dict[str, Any] = {
        name: (field.annotation, Field(field.default, description=field.description))
        for name, field in generator.parameters.model_fields.items()
    }
    return create_model(f"{generator.report_type}_form", __base__=ReportRequest, **fields)


@contextmanager
def _source_for(parameters: ReportParameters, covered: list[date], source: LakeReportSource) -> Iterator[ReportSource]:
    """The source that the report reads.

    It is the lake as closed, the lake as first reported, or the lake with recomputed daily tables, as the parameters
    require.
    """
    known_by = parameters.known_by if isinstance(parameters, KnownAt) else None
    settings = parameters.conventions if isinstance(parameters, UnderConventions) else DEFAULT
    conventions = source.conventions if settings == DEFAULT else source.conventions.overridden(settings)
    if parameters.book == AS_REPORTED:
        yield ReportedSource(source, covered)
        return
    if not covered or (known_by is None and conventions == source.conventions and parameters.book != AS_KNOWN):
        yield source
        return
    with recomputed(source, covered, conventions, known_by) as anew:
        yield anew


def _previous(
    generator: ReportGeneratorProtocol[Any], parameters: ReportParameters, source: LakeReportSource
) -> headlines.Previous | None:
    """The period to compare with; None if there is none or a blocking check fails on it."""
    before = headlines.previous(generator, parameters, source)
    if before is None or not before.covered:
        return before
    try:
        require_checks(source, generator.reads, list(before.covered), "the previous period")
    except ChecksFailed:
        return None
    return before


def require_checks(source: LakeReportSource, tables: tuple[str, ...], covered: list[date], what: str) -> None:
    """Raise ChecksFailed if a blocking check fails on a covered day. The message has the checks, days and first
    offending rows.
    """
    with passed_checks(source) as memory:
        outcomes = verify(source.table, tables, Days(tuple(covered)), source.conventions, memory)
    broken = [outcome.message for outcome in outcomes if not outcome.passed]
    if broken:
        raise ChecksFailed(f"{what} is blocked by {len(broken)} failed check(s): {'; '.join(broken)}")


def _metadata(book: ReportBook, file: PlacedFile, report_id: str, link: str) -> dict[str, Any]:
    tables = {f"preview: {table.title}": dg.MetadataValue.md(_preview(table)) for table in book.tables[:2]}
    return {
        "download": dg.MetadataValue.url(link),
        "report_id": report_id,
        "file": dg.MetadataValue.path(file.url),
        "sha256": file.sha256,
        "dagster/row_count": file.rows,
        "rows": dg.MetadataValue.json({table.title: len(table.frame) for table in book.tables}),
        "bytes": file.bytes,
        "as_of": str(book.as_of),
        "data_versions": dg.MetadataValue.json(book.data_versions),
        **tables,
    }


def _preview(table: ReportTable) -> str:
    """The first rows as Markdown, or why there are none."""
    if table.no_data:
        return escaped(table.no_data)
    shown = table.frame.head(PREVIEW_ROWS)[table.names]
    texts = shown.map(lambda value: escaped(value) if isinstance(value, str) else value)
    rows = texts.rename(columns=escaped).to_markdown(index=False, disable_numparse=True)
    cut = f"\n\nFirst {PREVIEW_ROWS} of {len(table.frame):,} rows." if len(table.frame) > PREVIEW_ROWS else ""
    return f"{rows}{cut}"
