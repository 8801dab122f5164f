"""Reports: the types with their parameters, requests, their status, and the files. The rules are those of the pages."""

from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.access import Access, Denied, require
from lending_pipelines.portal.routes.api.documented import (
    FILE_ANSWER,
    answers,
    example_of,
    json_answer,
    row_of,
    rows_answer,
)
from lending_pipelines.portal.routes.api.idempotency import Key, id_of
from lending_pipelines.portal.routes.api.parameters import PageParameters, Text
from lending_pipelines.portal.routes.api.rows import list_answer, register_values
from lending_pipelines.portal.routes.reports import parameter_names
from lending_pipelines.portal.views.report_form import checked_values
from lending_pipelines.portal.views.report_rules import error_shown, offer, visible
from lending_pipelines.portal.web.downloads import download
from lending_pipelines.portal.web.encoded import json_bytes, json_value
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.pages import url
from lending_pipelines.portal.web.problems import Problem, fault
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import OutputFormat, Report, ReportStatus
from lending_pipelines.register.report_requests import ReportRequests
from lending_pipelines.reports.registry import get, report_types
from lending_pipelines.tables.schema import instant, text

router = APIRouter(tags=["reports"])

Reader = Annotated[Access, Depends(require("reports.read"))]
Requester = Annotated[Access, Depends(require("reports.request"))]
ReportId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]

_MOST = 10_000
_POLL_SECONDS = 5
_FORMATS = get_args(OutputFormat)
_COLUMNS = (
    text("report_id"),
    text("report_type"),
    text("status", "pending, generating, completed or failed"),
    text("output_format"),
    text("requested_by"),
    instant("requested_at", "UTC"),
    instant("generated_at", nullable=True),
    text("sha256", "of the file", nullable=True),
    text("error_message", "why there is no file", nullable=True),
)
_REPORT = row_of(_COLUMNS)
_REPORT["properties"] |= {
    "parameters": {"type": "object", "description": "All parameters, once the report is being made."},
    "file": {"type": ["string", "null"], "description": "The path of the file; null while there is none."},
}
_EXAMPLE = example_of(_COLUMNS) | {"parameters": {"as_of": "latest"}, "file": None}
_TYPE: dict[str, Any] = {
    "type": "object",
    "required": ["report_type", "title", "description", "allowed", "reason", "parameters"],
    "properties": {
        "report_type": {"type": "string"},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "allowed": {"type": "boolean", "description": "Whether you can request it."},
        "reason": {"type": "string", "description": "Why not; empty if you can."},
        "parameters": {"type": "object", "description": "A JSON schema of the parameters."},
    },
}


class ReportsParameters(PageParameters):
    """Which requests, in which order."""

    status: ReportStatus | None = None
    report_type: Text | None = None
    sort: Literal["-requested_at", "requested_at", "-generated_at", "generated_at"] = "-requested_at"


class NewReport(BaseModel):
    """A report to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "report_type": "portfolio_summary",
                "parameters": {"as_of": "latest"},
                "output_format": "xlsx",
            }
        },
    )

    report_type: str = Field(min_length=1, max_length=100, description="One of /report-types.")
    parameters: dict[str, Any] = Field({}, description="By name; those that are left out have their defaults.")
    output_format: OutputFormat = "xlsx"


@router.get(
    "/report-types",
    summary="List the report types with their parameters",
    operation_id="list_report_types",
    response_class=Response,
    responses=answers(
        json_answer(
            "The types.",
            {"type": "object", "required": ["data"], "properties": {"data": {"type": "array", "items": _TYPE}}},
            {"data": []},
        ),
        *(401, 403),
    ),
)
def types(access: Reader) -> Response:
    """Every type, also those that your scope does not allow, with the reason."""
    may = access.may("reports.request")
    data = []
    for name in report_types():
        generator, found = get(name), offer(name, access)
        reason = found.reason if may else "your role does not request reports"
        data.append(
            {
                "report_type": name,
                "title": generator.title,
                "description": generator.description,
                "allowed": may and found.allowed,
                "reason": "" if may and found.allowed else reason,
                "parameters": generator.parameters.model_json_schema(),
            }
        )
    return Response(json_bytes({"data": data}), media_type="application/json")


@router.get(
    "/reports",
    summary="List report requests",
    operation_id="list_reports",
    response_class=Response,
    responses=answers(rows_answer(_COLUMNS), 400, 401, 403, 406, 422, 429, unchanged=True),
)
def reports(request: Request, access: Reader, parameters: Annotated[ReportsParameters, Query()]) -> Response:
    """The requests whose reports are within your scope."""
    with access.reading() as session:
        found = ReportRequests(session).recent(parameters.status, _MOST, parameters.report_type)
        rows = [_values(report, access) for report in found if visible(report.report_type, report.parameters, access)]
    return list_answer(request, access, rows, _COLUMNS, parameters, "report_id")


@router.post(
    "/reports",
    summary="Request a report",
    operation_id="request_report",
    status_code=202,
    response_class=Response,
    responses=answers(
        json_answer("The request: ask for its status at the address in Location.", _REPORT, _EXAMPLE),
        *(400, 401, 403, 409, 422),
        status=202,
    ),
)
def request_report(request: Request, access: Requester, sent: NewReport, key: Key = None) -> Response:
    """Adds a request; the sensor of the Dagster daemon makes the report. Parameters are checked now."""
    try:
        model = get(sent.report_type).parameters
    except LendingError as error:
        raise Problem(422, str(error), [fault("report_type", sent.report_type, str(error))]) from None
    found = offer(sent.report_type, access)
    if not found.allowed:
        access.audit("denied", resource=f"report {sent.report_type}", reason=found.reason)
        raise Denied(found.reason)
    values = {**sent.parameters, **found.fixed}
    personal = access.may("personal.show")
    plain, faults = checked_values(model, values, found, parameter_names(access), personal=personal)
    if faults:
        errors = [fault(f"parameters.{name}", values.get(name), message) for name, message in faults.items()]
        raise Problem(422, "; ".join(faults.values()), errors)
    with access.register() as session:
        requests = ReportRequests(session)
        report_id = requests.create(
            sent.report_type, plain, sent.output_format, access.person.username, report_id=id_of(access, key)
        )
        report = requests.get(report_id)
        # A request that has started has all parameters: compare only those that were sent.
        same = {name: report.parameters.get(name) for name in plain} == plain
        if (report.report_type, report.output_format, same) != (sent.report_type, sent.output_format, True):
            raise Problem(409, "the Idempotency-Key was used for another report: write a new one")
        resource = f"report {sent.report_type} {report_id}"
        access.audit("allowed", resource=resource, reason="requested", session=session)
        if plain.get("allow_pii"):
            access.audit("allowed", action="personal.show", resource=resource, session=session)
        content = _shown(request, access, report)
    headers = {"Location": url(request, f"/api/v1/reports/{report_id}"), "Retry-After": str(_POLL_SECONDS)}
    return Response(json_bytes(content), 202, headers, "application/json")


@router.get(
    "/reports/{report_id}",
    summary="Ask for the status of a report",
    operation_id="read_report",
    response_class=Response,
    responses=answers(json_answer("The request.", _REPORT, _EXAMPLE), 401, 403, 404, 422),
)
def status(request: Request, access: Reader, report_id: ReportId) -> Response:
    """The request, and the path of its file when it is completed. Until then, Retry-After says when to ask again."""
    report = _report(access, report_id)
    waits = {"Retry-After": str(_POLL_SECONDS)} if report.status in ("pending", "generating") else {}
    return Response(json_bytes(_shown(request, access, report)), 200, waits, "application/json")


@router.post(
    "/reports/{report_id}/retry",
    summary="Request a failed report again",
    operation_id="retry_report",
    status_code=202,
    response_class=Response,
    responses=answers(json_answer("The request.", _REPORT, _EXAMPLE), 401, 403, 404, 409, 422, status=202),
)
def retry(request: Request, access: Requester, report_id: ReportId) -> Response:
    """Sets a failed request to pending."""
    _report(access, report_id)
    with access.register() as session:
        try:
            ReportRequests(session).retry(report_id)
        except RegisterError as error:
            raise Problem(409, str(error)) from None
        access.audit("allowed", resource=f"report {report_id}", reason="requested again", session=session)
    return Response(json_bytes(_shown(request, access, _report(access, report_id))), 202, media_type="application/json")


@router.get(
    "/reports/{report_id}/file",
    summary="Download a report",
    operation_id="download_report",
    response_class=Response,
    responses=answers(FILE_ANSWER, 401, 403, 404, 409, 410, 422, 429),
)
def file(access: Reader, report_id: ReportId) -> Response:
    """The file of a completed request, checked against its SHA-256. It is recorded."""
    report = _report(access, report_id)
    access.require("export.download")
    if report.parameters.get("allow_pii"):
        access.require("personal.show")
    if report.status != "completed" or not report.sha256:
        raise Problem(409, f"the report is {report.status}: it has no file")
    if not report.file_url:
        raise Problem(410, report.error_message or "the file was removed")
    resource = f"report {report.report_type} {report_id}"
    return download(access, report.file_url, report.sha256, resource=resource)


def _report(access: Access, report_id: str) -> Report:
    """The request, if the person may see it. Raises NotFound."""
    with access.reading() as session:
        try:
            report = ReportRequests(session).get(report_id)
        except RegisterError:
            report = None
    if report is None or not visible(report.report_type, report.parameters, access):
        raise NotFound(f"there is no report request {report_id}, or it is outside your scope")
    return report


def _values(report: Report, access: Access) -> dict[str, Any]:
    return register_values(report, _COLUMNS) | {"error_message": error_shown(report, access)}


def _shown(request: Request, access: Access, report: Report) -> dict[str, Any]:
    values = {name: json_value(value) for name, value in _values(report, access).items()}
    path = url(request, f"/api/v1/reports/{report.report_id}/file") if report.file_url else None
    return values | {"parameters": report.parameters, "file": path}
