"""Loan tapes: the configurations, the calendar, the deliveries and their files. Investors see their own."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.routes.api.documented import FILE_ANSWER, answers, rows_answer
from lending_pipelines.portal.routes.api.parameters import IsoDate, PageParameters, Text
from lending_pipelines.portal.routes.api.rows import list_answer, register_values
from lending_pipelines.portal.views import own_tapes
from lending_pipelines.portal.views.tape_views import is_covered, month_from
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.problems import Problem
from lending_pipelines.register.models import DeliveryStatus, TapeDelivery
from lending_pipelines.register.tape_configs import TapeConfigs
from lending_pipelines.register.tape_deliveries import TapeDeliveries
from lending_pipelines.tables.schema import Column, count, day, instant, text
from lending_pipelines.tapes import TapeError
from lending_pipelines.url_secrets import hide_secrets

router = APIRouter(prefix="/tapes", tags=["tapes"])

Reader = Annotated[Access, Depends(require("tapes.read"))]
ConfigId = Annotated[str, Path(min_length=1, max_length=200, description="The id of a tape's configuration.")]
DeliveryId = Annotated[str, Path(min_length=1, max_length=64, description="The id of a delivery.")]
Month = Annotated[date, BeforeValidator(month_from), WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}$"})]

_TAPES = (
    text("config_id"),
    text("name"),
    text("portfolio_id"),
    text("investor_id", nullable=True),
    text("tape_format"),
    text("tape_schedule", "daily, weekly, monthly, quarterly or a cron expression"),
    text("template", nullable=True),
    day("deliver_from", "the first day whose tape is sent"),
    count("late_after_hours", "hours after the end of the day from which a tape is late"),
    Column("active", "boolean", "false: paused or retired"),
    day("retired_on", nullable=True),
)
_DELIVERIES = (
    text("delivery_id"),
    text("config_id"),
    day("business_date"),
    count("correction", "0 for the day's tape, n for its nth correction"),
    text("channel", "place or email"),
    text("destination", "without a password"),
    text("status", "pending, delivering, delivered or failed"),
    text("sha256", "of the file that was sent", nullable=True),
    count("rows", nullable=True),
    count("attempts"),
    instant("next_attempt_at", nullable=True),
    instant("delayed_at", "when the owner of the tape was notified that it is late", nullable=True),
    instant("delivered_at", nullable=True),
    text("error_message", nullable=True),
    text("supersedes_id", "the delivery that a correction replaces", nullable=True),
)
_CALENDAR = (
    day("business_date"),
    text("state", "due, waits for the close, made, not made, pending, delivering, late, failed or delivered"),
    count("corrections", "the number of corrections of the day"),
)


class TapeParameters(PageParameters):
    """Which tapes, in which order."""

    active: bool | None = Field(None, description="Only tapes that are active, or that are not.")
    portfolio_id: Text | None = None
    sort: Literal["name", "-name", "deliver_from", "-deliver_from"] = "name"


class DeliveryParameters(PageParameters):
    """Which deliveries, in which order."""

    status: DeliveryStatus | None = None
    business_date: IsoDate | None = None
    sort: Literal["-business_date", "business_date", "-delivered_at", "delivered_at"] = "-business_date"


class CalendarParameters(PageParameters):
    """Which month, in which order."""

    month: Month | None = Field(None, description="A month like 2025-03; by default the current one.")
    sort: Literal["business_date", "-business_date"] = "business_date"


class FileParameters(BaseModel):
    """Which file of a delivery."""

    model_config = ConfigDict(extra="forbid")

    content: Literal["tape", "changes"] = Field("tape", description="The tape, or what a correction changed in it.")


@router.get(
    "",
    summary="List loan tapes",
    operation_id="list_tapes",
    response_class=Response,
    responses=answers(rows_answer(_TAPES), 400, 401, 403, 406, 422, 429, unchanged=True),
)
def tapes(request: Request, access: Reader, parameters: Annotated[TapeParameters, Query()]) -> Response:
    """The configurations of the tapes of your portfolios, or of yourself as an investor."""
    with access.reading() as session:
        rows = [
            register_values(config, _TAPES)
            for config in TapeConfigs(session).all()
            if is_covered(config, access.grants)
            and parameters.active in (None, config.active)
            and parameters.portfolio_id in (None, config.portfolio_id)
        ]
    return list_answer(request, access, rows, _TAPES, parameters, "config_id")


@router.get(
    "/{config_id}/deliveries",
    summary="List the deliveries of a tape",
    operation_id="list_tape_deliveries",
    response_class=Response,
    responses=answers(rows_answer(_DELIVERIES), 400, 401, 403, 404, 406, 422, 429, unchanged=True),
)
def deliveries(
    request: Request, access: Reader, config_id: ConfigId, parameters: Annotated[DeliveryParameters, Query()]
) -> Response:
    """Every delivery of a tape, with corrections: when it arrived, and the SHA-256 of what was sent."""
    with access.reading() as session:
        config = own_tapes.covered_tape(session, access, config_id)
        rows = [
            _delivery(each)
            for each in TapeDeliveries(session).of_tape(
                config.config_id, parameters.business_date, parameters.business_date
            )
            if parameters.status in (None, each.status)
        ]
    return list_answer(request, access, rows, _DELIVERIES, parameters, "delivery_id")


@router.get(
    "/{config_id}/calendar",
    summary="Show the due and delivered days of a tape",
    operation_id="list_tape_days",
    response_class=Response,
    responses=answers(rows_answer(_CALENDAR), 400, 401, 403, 404, 406, 422, 429, unchanged=True),
)
def calendar(
    request: Request, access: Reader, config_id: ConfigId, parameters: Annotated[CalendarParameters, Query()]
) -> Response:
    """The days of a month on which the tape is due or was delivered. Other days are left out."""
    month = parameters.month or own_tapes.today(access).replace(day=1)
    with access.reading() as session:
        config = own_tapes.covered_tape(session, access, config_id)
        weeks = own_tapes.calendar_of(session, access, config, month)
    rows = [
        {"business_date": each.day, "state": each.state, "corrections": each.corrections}
        for week in weeks
        for each in week
        if each.in_month and each.state
    ]
    return list_answer(request, access, rows, _CALENDAR, parameters, "business_date")


@router.get(
    "/{config_id}/deliveries/{delivery_id}/file",
    summary="Download a delivered tape",
    operation_id="download_tape",
    response_class=Response,
    responses=answers(FILE_ANSWER, 400, 401, 403, 404, 409, 410, 422, 429),
)
def file(
    access: Reader, config_id: ConfigId, delivery_id: DeliveryId, parameters: Annotated[FileParameters, Query()]
) -> Response:
    """The file that a delivery sent, checked against its SHA-256. It is recorded.

    Files with personal data of borrowers are for the lender's staff.
    """
    with access.reading() as session:
        config = own_tapes.covered_tape(session, access, config_id)
        delivery = session.get(TapeDelivery, delivery_id)
        if delivery is None or delivery.config_id != config.config_id:
            raise NotFound("There is no such delivery, or you may not see it.")
        if delivery.status != "delivered":
            raise Problem(409, f"the delivery is {delivery.status}: a file can be downloaded once it is delivered")
        try:
            found = own_tapes.versions(session, access, config, delivery.business_date)
        except TapeError as error:
            raise Problem(409, own_tapes.why_unreadable(access, error)) from None
    manifest = next((each for each in found if each.sha256 == delivery.sha256), None)
    if manifest is None:
        raise Problem(410, "the file that was delivered is no longer kept")
    return own_tapes.tape_file(access, config, manifest, changes=parameters.content == "changes")


def _delivery(each: TapeDelivery) -> dict[str, Any]:
    """The values of a delivery, without passwords."""
    values = register_values(each, _DELIVERIES)
    return values | {
        "destination": hide_secrets(each.destination),
        "error_message": None if each.error_message is None else hide_secrets(each.error_message),
    }
