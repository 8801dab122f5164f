"""Loan tapes: the configurations, and the deliveries with their receipts. Investors see their own."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field
from sqlalchemy.orm import Session

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.policy import Resource
from lending_pipelines.portal.routes.api.documented import answers, rows_answer
from lending_pipelines.portal.routes.api.parameters import IsoDate, PageParameters, Text
from lending_pipelines.portal.routes.api.rows import list_answer, register_values
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import DeliveryStatus, LoanTapeConfig
from lending_pipelines.register.tape_configs import TapeConfigs
from lending_pipelines.register.tape_deliveries import TapeDeliveries
from lending_pipelines.tables.schema import Column, count, day, instant, text
from lending_pipelines.url_secrets import hide_secrets

router = APIRouter(prefix="/tapes", tags=["tapes"])

Reader = Annotated[Access, Depends(require("tapes.read"))]
ConfigId = Annotated[str, Path(min_length=1, max_length=200, description="The id of a tape's configuration.")]

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
    instant("delayed_at", "when the owner of the tape was told that it is late", nullable=True),
    instant("delivered_at", nullable=True),
    text("error_message", nullable=True),
    text("supersedes_id", "the delivery that a correction replaces", nullable=True),
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
            if _is_covered(config, access)
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
        config = _found(session, access, config_id)
        rows = [
            register_values(each, _DELIVERIES) | {"destination": hide_secrets(each.destination)}
            for each in TapeDeliveries(session).all()
            if each.config_id == config.config_id
            and parameters.status in (None, each.status)
            and parameters.business_date in (None, each.business_date)
        ]
    return list_answer(request, access, rows, _DELIVERIES, parameters, "delivery_id")


def _found(session: Session, access: Access, config_id: str) -> LoanTapeConfig:
    try:
        config = TapeConfigs(session).get(config_id)
    except RegisterError:
        config = None
    if config is None or not _is_covered(config, access):
        raise NotFound(f"there is no tape {config_id!r}, or it is not yours to see")
    return config


def _is_covered(config: LoanTapeConfig, access: Access) -> bool:
    """Whether the tape is of the portfolio, or for the investor, of a scope."""
    tape = Resource("tape", config.config_id, portfolios=config.portfolio_id, investors=config.investor_id)
    return any(tape.within(grant) for grant in access.grants)
