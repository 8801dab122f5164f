"""Alerts: listed, read with their steps, acknowledged, snoozed and reopened. The same functions as `lending alerts`."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.routes.api.documented import answers, example_of, json_answer, row_of, rows_answer
from lending_pipelines.portal.routes.api.once import Key, id_of
from lending_pipelines.portal.routes.api.parameters import IsoDate, PageParameters, Text
from lending_pipelines.portal.routes.api.rows import list_answer, register_values
from lending_pipelines.portal.scoped_register import alert_is_covered, covered_alerts
from lending_pipelines.portal.web.encoded import json_bytes, json_value
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.problems import Problem
from lending_pipelines.register.alert_models import Alert, AlertSeverity, AlertState
from lending_pipelines.register.alerts import Alerts
from lending_pipelines.register.database import RegisterError
from lending_pipelines.tables.schema import day, instant, ratio, text

router = APIRouter(prefix="/alerts", tags=["alerts"])

Reader = Annotated[Access, Depends(require("alerts.read"))]
Actor = Annotated[Access, Depends(require("alerts.act"))]
AlertId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[0-9a-f-]+$")]

_COLUMNS = (
    text("alert_id"),
    text("topic", "what is watched"),
    text("subject_kind", "a scope, manager, officer, table or tape"),
    text("subject_id"),
    text("currency", "empty where the number has none"),
    text("severity", "warning or critical, of the latest finding"),
    text("state", "open, acknowledged, snoozed or resolved"),
    day("opened_on", "the first day with a finding"),
    day("last_on", "the latest day with a finding"),
    day("resolved_on", "the first judged day without a finding", nullable=True),
    ratio("value", "of the latest finding"),
    ratio("threshold", "of the latest finding"),
    text("text", "the latest finding in a sentence"),
    text("acknowledged_by", nullable=True),
    text("reason", "given with the latest step by a person", nullable=True),
    day("snoozed_until", nullable=True),
    instant("changed_at", "UTC"),
)
_STEPS = (
    day("business_date"),
    text("step"),
    text("severity"),
    ratio("value"),
    text("by", "the person who took the step; null for steps that follow from findings", nullable=True),
    text("reason", nullable=True),
    day("until", nullable=True),
    instant("at", nullable=True),
)
_ALERT = row_of(_COLUMNS)
_EXAMPLE = example_of(_COLUMNS)


AlertOrder = Literal[
    "-opened_on",
    "opened_on",
    "-last_on",
    "last_on",
    "-changed_at",
    "changed_at",
    "severity",
    "-severity",
    "subject_id",
    "-subject_id",
]


class AlertParameters(PageParameters):
    """Which alerts, in which order."""

    state: list[AlertState] = Field([], max_length=4, description="Repeat it for several states.")
    severity: AlertSeverity | None = None
    subject_kind: Text | None = None
    subject_id: Text | None = None
    sort: AlertOrder = Field("-opened_on", description="The order of the rows; with a minus, descending.")


class Step(BaseModel):
    """A step that a person takes."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=2000, pattern=r"\S", description="Why.")


class Snooze(Step):
    """Nobody is notified up to a day, unless the alert becomes critical."""

    until: IsoDate = Field(description="The last business date of the snooze.")


@router.get(
    "",
    summary="List alerts",
    operation_id="list_alerts",
    response_class=Response,
    responses=answers(rows_answer(_COLUMNS), 400, 401, 403, 406, 422, 429, unchanged=True),
)
def alerts(request: Request, access: Reader, parameters: Annotated[AlertParameters, Query()]) -> Response:
    """The alerts on subjects within your scope."""
    with access.reading() as session:
        found = covered_alerts(session, access.grants, parameters.state, parameters.severity)
        wanted = {name: getattr(parameters, name) for name in ("subject_kind", "subject_id")}
        rows = [
            _row(alert)
            for alert in found
            if all(value is None or getattr(alert, name) == value for name, value in wanted.items())
        ]
    return list_answer(request, access, rows, _COLUMNS, parameters, "alert_id")


@router.get(
    "/{alert_id}",
    summary="Read an alert",
    operation_id="read_alert",
    response_class=Response,
    responses=answers(
        json_answer(
            "The alert, its steps, and what a notification shows: history, loans and advice.",
            {**_ALERT, "properties": _ALERT["properties"] | {"steps": {"type": "array", "items": row_of(_STEPS)}}},
            _EXAMPLE | {"steps": [example_of(_STEPS)], "details": {}},
        ),
        *(401, 403, 404, 422),
    ),
)
def alert(access: Reader, alert_id: AlertId) -> Response:
    """An alert by its id, or by how the id begins."""
    with access.reading() as session:
        found = _found(session, access, alert_id)
        steps = [register_values(each, _STEPS) for each in Alerts(session).events(found.alert_id)]
        content = _json(_row(found)) | {"steps": [_json(each) for each in steps], "details": found.details or {}}
    return Response(json_bytes(content), media_type="application/json")


_STEP_ANSWERS = answers(json_answer("The alert after the step.", _ALERT, _EXAMPLE), 400, 401, 403, 404, 409, 422)


@router.post(
    "/{alert_id}/acknowledge",
    summary="Acknowledge an alert",
    operation_id="acknowledge_alert",
    response_class=Response,
    responses=_STEP_ANSWERS,
)
def acknowledge(access: Actor, alert_id: AlertId, sent: Step, key: Key = None) -> Response:
    """Records that somebody works on an alert. It stays open until its rule no longer holds."""
    who = access.person.username
    return _step(
        access,
        alert_id,
        "acknowledged",
        lambda register, found: register.acknowledge(found, who, sent.reason, id_of(access, key)),
    )


@router.post(
    "/{alert_id}/snooze",
    summary="Snooze an alert",
    operation_id="snooze_alert",
    response_class=Response,
    responses=_STEP_ANSWERS,
)
def snooze(access: Actor, alert_id: AlertId, sent: Snooze, key: Key = None) -> Response:
    """Nobody is notified of the alert up to a business date, unless it becomes critical."""
    who = access.person.username
    return _step(
        access,
        alert_id,
        "snoozed",
        lambda register, found: register.snooze(found, who, sent.reason, sent.until, id_of(access, key)),
    )


@router.post(
    "/{alert_id}/reopen",
    summary="Reopen an alert",
    operation_id="reopen_alert",
    response_class=Response,
    responses=_STEP_ANSWERS,
)
def reopen(access: Actor, alert_id: AlertId, sent: Step, key: Key = None) -> Response:
    """Undoes the acknowledgement or the snooze of an alert. The steps before stay in its record."""
    who = access.person.username
    return _step(
        access,
        alert_id,
        "reopened",
        lambda register, found: register.reopen(found, who, sent.reason, id_of(access, key)),
    )


def _step(access: Access, alert_id: str, what: str, take: Callable[[Alerts, str], Alert]) -> Response:
    """Take a step and record it, both in one transaction."""
    with access.register() as session:
        found = _found(session, access, alert_id)
        try:
            changed = take(Alerts(session), found.alert_id)
        except RegisterError as error:
            raise Problem(409, str(error)) from None
        access.audit_in(session, "allowed", resource=f"alert {found.alert_id}", reason=what)
        content = _json(_row(changed))
    return Response(json_bytes(content), media_type="application/json")


def _found(session: Session, access: Access, alert_id: str) -> Alert:
    """The alert, if it is within the scope. Raises NotFound."""
    try:
        found = Alerts(session).get(alert_id)
    except RegisterError:
        raise NotFound(f"there is no alert {alert_id!r}, or it is not yours to see") from None
    if not alert_is_covered(found, access.grants):
        raise NotFound(f"there is no alert {alert_id!r}, or it is not yours to see")
    return found


def _row(found: Alert) -> dict[str, Any]:
    return register_values(found, _COLUMNS)


def _json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json_value(value) for name, value in row.items()}
