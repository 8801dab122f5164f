"""Alerts: listed, read with their steps, acknowledged, snoozed and reopened. The same functions as `lending alerts`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.routes.api.documented import answers, example_of, json_answer, row_of, rows_answer
from lending_pipelines.portal.routes.api.idempotency import Key, id_of
from lending_pipelines.portal.routes.api.parameters import IsoDate, PageParameters, Text
from lending_pipelines.portal.routes.api.rows import list_answer, register_values
from lending_pipelines.portal.scoped_register import covered_alerts
from lending_pipelines.portal.views.alert_views import PersonsStep, covered_alert, take_step
from lending_pipelines.portal.web.encoded import json_bytes, json_value
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
        found = covered_alert(access, session, alert_id)
        steps = [register_values(each, _STEPS) for each in Alerts(session).events(found.alert_id)]
        content = _json(_row(found)) | {"steps": [_json(each) for each in steps], "details": found.details or {}}
    return Response(json_bytes(content), media_type="application/json")


_STEP_ANSWERS = answers(json_answer("The alert after the step.", _ALERT, _EXAMPLE), 400, 401, 403, 404, 409, 422)


def _add(step: PersonsStep, summary: str, description: str, model: type[Step]) -> None:
    """Add the endpoint of a step."""

    def take(access: Actor, alert_id: AlertId, sent: Any, key: Key = None) -> Response:
        try:
            changed = take_step(access, alert_id, step, sent.reason, getattr(sent, "until", None), id_of(access, key))
        except RegisterError as error:
            raise Problem(409, str(error)) from None
        return Response(json_bytes(_json(_row(changed))), media_type="application/json")

    take.__annotations__["sent"] = model
    router.add_api_route(
        f"/{{alert_id}}/{step}",
        take,
        methods=["POST"],
        operation_id=f"{step}_alert",
        summary=summary,
        description=description,
        response_class=Response,
        responses=_STEP_ANSWERS,
    )


_add(
    "acknowledge",
    "Acknowledge an alert",
    "Records that somebody works on an alert. It stays open until its rule no longer holds.",
    Step,
)
_add(
    "snooze",
    "Snooze an alert",
    "Nobody is notified of the alert up to a business date, unless it becomes critical.",
    Snooze,
)
_add(
    "reopen",
    "Reopen an alert",
    "Undoes the acknowledgement or the snooze of an alert. The steps before stay in its record.",
    Step,
)


def _row(found: Alert) -> dict[str, Any]:
    return register_values(found, _COLUMNS)


def _json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json_value(value) for name, value in row.items()}
