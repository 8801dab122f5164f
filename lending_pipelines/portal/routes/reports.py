"""Reports: the catalogue, requests with a form made from a report's parameters, their status, and the files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, get_args
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.access import Access, Denied, require
from lending_pipelines.portal.queries import reports as queries
from lending_pipelines.portal.views.report_form import FORMATS, Names, checked_values, form_fields, posted_values
from lending_pipelines.portal.views.report_rules import error_shown, offer, visible
from lending_pipelines.portal.web.downloads import download
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.forms import Posted
from lending_pipelines.portal.web.live import live
from lending_pipelines.portal.web.pages import Section, render, rendered, url
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import Report, ReportStatus
from lending_pipelines.register.report_requests import ReportRequests
from lending_pipelines.register.types import utc_now
from lending_pipelines.reports.registry import get, report_types
from lending_pipelines.reports.scheduled import ScheduledReport, scheduled_reports

router = APIRouter(include_in_schema=False)

SECTION = Section("Reports", "/reports", "reports.read")

Reader = Annotated[Access, Depends(require("reports.read"))]
Requester = Annotated[Access, Depends(require("reports.request"))]

_SEARCHED, _SHOWN = 1_000, 100
_STATUSES: tuple[ReportStatus, ...] = get_args(ReportStatus)
_OPEN = ("pending", "generating")
_WAITS_LONG = 60
"""After this many seconds a pending request says that the daemon may not be running."""


@dataclass(frozen=True)
class Listed:
    """A request as the pages list it. `seconds` is how long it took, or has taken so far."""

    report_id: str
    report_type: str
    title: str
    status: str
    output_format: str
    requested_by: str
    requested_at: datetime
    generated_at: datetime | None
    seconds: float
    about: str
    error: str | None
    sha256: str | None
    has_file: bool


@router.get("/reports")
def catalogue(request: Request, access: Reader) -> Response:
    """The report types, those that the person can request first."""
    may = access.may("reports.request")
    rows = [
        {
            "report_type": name,
            "title": get(name).title,
            "description": get(name).description,
            "reason": found.reason if not found.allowed else "",
            "requestable": may and found.allowed,
        }
        for name, found in ((name, offer(name, access)) for name in report_types())
    ]
    rows.sort(key=lambda row: (row["reason"] != "", row["title"]))
    return render(request, "reports.html", tab="catalogue", rows=rows, latest=_listed(access)[:5], may_request=may)


@router.get("/reports/requests")
def history(request: Request, access: Reader, status: str = "", report_type: str = "") -> Response:
    """The requests, the latest first."""
    if status and status not in _STATUSES:
        status = ""
    found = _listed(access, status or None, report_type or None)
    titles = [(name, get(name).title) for name in report_types()]
    context: dict[str, Any] = {"requests": found[:_SHOWN], "count": len(found), "titles": titles}
    return render(
        request,
        "reports_requests.html",
        query=request.query_params,
        statuses=_STATUSES,
        status=status,
        report_type=report_type,
        **context,
    )


@router.get("/reports/schedules")
def schedules(request: Request, access: Reader) -> Response:
    """The scheduled reports and when each is made next."""
    settings, found, problem = access.portal.settings, list[ScheduledReport](), ""
    if settings.report_schedules_file:
        try:
            found = scheduled_reports(settings.report_schedules_file)
        except LendingError as error:
            problem = str(error) if access.lender_wide else "The file of schedules cannot be read."
    now = utc_now().astimezone(ZoneInfo(settings.timezone))
    rows = [
        {
            "name": each.name,
            "report_type": each.report_type,
            "title": get(each.report_type).title if each.report_type in report_types() else each.report_type,
            "cron": each.cron,
            "next": _next(each.cron, now),
            "output_format": each.output_format,
            "requested_by": each.requested_by,
            "parameters": ", ".join(f"{name} {value}" for name, value in each.parameters.items()),
        }
        for each in found
        if visible(each.report_type, each.parameters, access)
    ]
    return render(request, "reports_schedules.html", rows=rows, problem=problem)


@router.get("/reports/new/{report_type}")
def form(request: Request, access: Requester, report_type: str) -> Response:
    """The form of a report, with defaults or the values of an earlier request."""
    _known(report_type)
    return _form(request, access, report_type, dict(request.query_params), {})


@router.post("/reports/new/{report_type}")
def posted(request: Request, access: Requester, sent: Posted, report_type: str) -> Response:
    """Request the report, or show the form with its errors."""
    _known(report_type)
    found = offer(report_type, access)
    if not found.allowed:
        access.audit("denied", resource=f"report {report_type}", reason=found.reason)
        raise Denied(found.reason)
    model = get(report_type).parameters
    values = {**posted_values(model, sent), **found.fixed}
    plain, faults = checked_values(model, values, found, parameter_names(access), personal=access.may("personal.show"))
    output_format: Any = sent.get("output_format", "")
    if output_format not in FORMATS:
        faults["output_format"] = f"choose one of {', '.join(FORMATS)}"
    if faults:
        return _form(request, access, report_type, sent, faults)
    with access.register() as session:
        report_id = ReportRequests(session).create(
            report_type, plain, output_format, access.person.username, report_id=_once(sent.get("once", ""))
        )
    access.audit("allowed", resource=f"report {report_type} {report_id}", reason="requested")
    if plain.get("allow_pii"):
        access.audit("allowed", action="personal.show", resource=f"report {report_type} {report_id}")
    return RedirectResponse(url(request, f"/reports/requests/{report_id}"), 303)


@router.get("/reports/requests/{report_id}")
def status(request: Request, access: Reader, report_id: str) -> Response:
    """The status of a request. The part of the page that changes is updated until the request has ended."""
    report = _report(access, report_id)
    parameters = [(name, value) for name, value in report.parameters.items() if name != "once"]
    return render(
        request,
        "reports_request.html",
        report=_as_listed(report, access),
        parameters=parameters,
        summary=_summary(report),
        run_id=report.run_id,
        waits_long=_WAITS_LONG,
        is_open=report.status in _OPEN,
        may_request=access.may("reports.request") and offer(report.report_type, access).allowed,
    )


@router.get("/reports/requests/{report_id}/events")
def events(request: Request, access: Reader, report_id: str) -> Response:
    """The part of the page that changes, as events."""
    _report(access, report_id)

    def look() -> tuple[str, bool]:
        report = _as_listed(_report(access, report_id), access)
        html = rendered(request, "reports_status.html", report=report, waits_long=_WAITS_LONG)
        return html, report.status not in _OPEN

    return live(look)


@router.post("/reports/requests/{report_id}/again")
def again(request: Request, access: Requester, report_id: str) -> Response:
    """Set a failed request to pending again."""
    _report(access, report_id)
    with access.register() as session:
        ReportRequests(session).retry(report_id)
    access.audit("allowed", resource=f"report {report_id}", reason="requested again")
    return RedirectResponse(url(request, f"/reports/requests/{report_id}"), 303)


@router.get("/reports/requests/{report_id}/file")
def file(request: Request, access: Reader, report_id: str) -> Response:
    """The file of a completed request."""
    report = _report(access, report_id)
    if not report.file_url or not report.sha256:
        raise NotFound("This request has no file.")
    if report.parameters.get("allow_pii") and not access.may("personal.show"):
        raise Denied("the report has personal data, which your role does not allow")
    return download(access, report.file_url, report.sha256, resource=f"report {report.report_type} {report_id}")


def _form(
    request: Request, access: Access, report_type: str, values: dict[str, Any], faults: dict[str, str]
) -> Response:
    generator, found = get(report_type), offer(report_type, access)
    model, names, personal = generator.parameters, parameter_names(access), access.may("personal.show")
    fields = form_fields(model, values, faults, found, names, personal=personal) if found.allowed else []
    return render(
        request,
        "reports_form.html",
        422 if faults else 200,
        report_type=report_type,
        title=generator.title,
        description=generator.description,
        reads=generator.reads,
        fields=fields,
        faults=faults,
        reason="" if found.allowed else found.reason,
        formats=list(FORMATS.items()),
        output_format=values.get("output_format", "xlsx"),
        once=values.get("once") or uuid4().hex,
    )


def _known(report_type: str) -> None:
    """Raise NotFound if there is no such report type."""
    try:
        get(report_type)
    except LendingError as error:
        raise NotFound(str(error)) from None


def _report(access: Access, report_id: str) -> Report:
    """The request, if the person may see it. Raises NotFound."""
    try:
        with access.reading() as session:
            report = ReportRequests(session).get(report_id)
    except RegisterError:
        raise NotFound("There is no such report request.") from None
    if not visible(report.report_type, report.parameters, access):
        raise NotFound("There is no such report request.")
    return report


def _listed(access: Access, status: Any = None, report_type: str | None = None) -> list[Listed]:
    with access.reading() as session:
        found = ReportRequests(session).recent(status, _SEARCHED, report_type)
        return [_as_listed(each, access) for each in found if visible(each.report_type, each.parameters, access)]


def _as_listed(report: Report, access: Access) -> Listed:
    """A request as the pages list it."""
    known = report.report_type in report_types()
    model = get(report.report_type).parameters if known else None
    defaults = {name: field.default for name, field in model.model_fields.items()} if model else {}
    chosen = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in report.parameters.items()
        if value != defaults.get(name) and name != "fields"
    ]
    ended = report.generated_at or utc_now()
    return Listed(
        report.report_id,
        report.report_type,
        get(report.report_type).title if known else report.report_type,
        report.status,
        report.output_format,
        report.requested_by,
        report.requested_at,
        report.generated_at,
        (ended - report.requested_at).total_seconds(),
        "; ".join(chosen),
        error_shown(report, access),
        report.sha256,
        bool(report.file_url),
    )


def parameter_names(access: Access) -> Names:
    """The names that the parameters of reports accept, of the last closed day and all days before."""
    lake = access.lake
    names: dict[str, dict[str, str]] = {}
    if lake.has("portfolio_snapshots"):
        for row in lake.rows(queries.scope_names):
            names.setdefault(row["kind"], {})[row["id"]] = row["name"]
    if lake.has("manager_snapshots"):
        managers = lake.rows(queries.manager_names)
        names["manager"] = {row["id"]: row["name"] for row in managers}
        names["leader"] = {row["id"]: row["name"] for row in managers if row["role"] == "team_leader"}
    if lake.has("trial_balance") and lake.last_day:
        names["account"] = {row["id"]: row["name"] for row in lake.rows(queries.account_names, day=lake.last_day)}
    return names


def _summary(report: Report) -> Sequence[tuple[str, Any]]:
    """The headline numbers of a completed report that are single values."""
    hidden = ("no_data", "data_versions")
    return [
        (name, value)
        for name, value in (report.report_data or {}).items()
        if name not in hidden and not isinstance(value, dict | list)
    ]


def _once(text: str) -> str:
    """The id that the form sends, so that a form that is sent twice adds one request; a new id for other text."""
    try:
        return UUID(hex=text).hex
    except ValueError:
        return uuid4().hex


def _next(cron: str, now: datetime) -> datetime | None:
    try:
        return next(CronSim(cron, now))
    except (CronSimError, StopIteration):
        return None
