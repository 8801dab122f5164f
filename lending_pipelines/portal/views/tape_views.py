"""What the pages of tapes show of the register and of the tapes' manifests."""

from calendar import Calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from lending_pipelines.bounds import MOST_HOURS, day_from
from lending_pipelines.portal.policy import Resource
from lending_pipelines.portal.scope import Grant
from lending_pipelines.register.models import LoanTapeConfig, TapeDelivery, TapeFault
from lending_pipelines.register.portfolios import Portfolios
from lending_pipelines.register.tape_configs import TapeConfigs
from lending_pipelines.register.tape_deliveries import TapeDeliveries, destinations
from lending_pipelines.register.tape_faults import TapeFaults
from lending_pipelines.tapes.schedule import ScheduleError, due_days
from lending_pipelines.url_secrets import hide_secrets

_AHEAD = timedelta(days=400)
"""The time in which the next due date of a tape is searched."""


@dataclass(frozen=True)
class TapeRow:
    """A configuration as the list shows it. `problems` counts days that are not made, late or not delivered."""

    config_id: str
    name: str
    state: str
    schedule: str
    format: str
    portfolio: str
    to: str
    next_due: date | None
    last_delivered: date | None
    problems: int


@dataclass(frozen=True)
class CalendarDay:
    """A day of the calendar: `state` is empty on days on which the tape is not due."""

    day: date
    in_month: bool
    state: str
    corrections: int


@dataclass(frozen=True)
class Receipt:
    """A delivery as the pages show it."""

    day: date
    status: str
    destination: str
    correction: int
    rows: int | None
    sha256: str | None
    delivered_at: datetime | None
    attempts: int
    note: str


def tape_resource(config: LoanTapeConfig) -> Resource:
    """The tape as a resource of the policy: its portfolio and its investor."""
    return Resource("tape", config.name, portfolios=config.portfolio_id, investors=config.investor_id)


def is_covered(config: LoanTapeConfig, grants: Sequence[Grant]) -> bool:
    """Whether a grant covers the tape."""
    return any(tape_resource(config).within(grant) for grant in grants)


def state_of(config: LoanTapeConfig) -> str:
    """active, paused or retired."""
    return "retired" if config.retired_on else "active" if config.active else "paused"


def tape_rows(session: Session, grants: Sequence[Grant], today: date) -> list[TapeRow]:
    """The covered tapes, active ones first."""
    faults = TapeFaults(session).all()
    rows = []
    for config in TapeConfigs(session).all():
        if is_covered(config, grants):
            rows.append(_row(session, config, [each for each in faults if each.config_id == config.config_id], today))
    order = {"active": 0, "paused": 1, "retired": 2}
    return sorted(rows, key=lambda row: (order[row.state], row.name.casefold()))


def month_from(text: str) -> date:
    """The first day of a month written like 2025-03. Raises ValueError."""
    try:
        return day_from(f"{text}-01")
    except ValueError:
        raise ValueError("write a month like 2025-03") from None


def calendar(
    config: LoanTapeConfig,
    month: date,
    deliveries: Sequence[TapeDelivery],
    faults: Sequence[TapeFault],
    closed: Sequence[date],
    today: date,
) -> list[list[CalendarDay]]:
    """The weeks of the month, Monday first, with what is due and what was delivered."""
    weeks = Calendar().monthdatescalendar(month.year, month.month)
    try:
        due = set(due_days(config, weeks[0][0], weeks[-1][-1]))
    except ScheduleError:
        due = set()
    failed = {each.business_date for each in faults}
    made = set(closed)

    def cell(day: date) -> CalendarDay:
        of_day = [each for each in deliveries if each.business_date == day]
        corrections = max((each.correction for each in of_day), default=0)
        if day not in due and not of_day:
            state = ""
        elif day in failed:
            state = "not made"
        elif of_day:
            state = _together(of_day)
        else:
            state = "due" if day >= today else "made" if day in made else "waits for the close" if made else ""
            # Days before the first closed one are never made.
            state = "" if made and day < min(made) else state
        return CalendarDay(day, day.month == month.month, state, corrections)

    return [[cell(day) for day in week] for week in weeks]


def receipts(deliveries: Sequence[TapeDelivery]) -> list[Receipt]:
    """The deliveries as the pages show them, without passwords."""
    return [
        Receipt(
            each.business_date,
            "late" if each.delayed_at and each.status != "delivered" else each.status,
            hide_secrets(each.destination),
            each.correction,
            each.rows,
            each.sha256,
            each.delivered_at,
            each.attempts,
            hide_secrets(each.error_message or ""),
        )
        for each in deliveries
    ]


def settings_of(session: Session, config: LoanTapeConfig) -> dict[str, Any]:
    """The configuration's settings as the fields of its form."""
    return {
        "portfolio": config.portfolio_id,
        "investor": config.investor_id or "",
        "tape_format": config.tape_format,
        "tape_schedule": config.tape_schedule,
        "template": config.template or "",
        "required_fields": "\n".join(_field_line(each) for each in config.required_fields or ()),
        "template_values": "\n".join(f"{code} = {value}" for code, value in (config.template_values or {}).items()),
        "business_day_convention": config.business_day_convention,
        "holiday_calendar": config.holiday_calendar or "",
        "deliver_from": config.deliver_from.isoformat(),
        "delivery_url": config.delivery_url or "",
        "recipient_email": config.recipient_email or "",
        "late_after_hours": str(config.late_after_hours),
        "owner_email": config.owner_email or "",
        "allow_pii": config.allow_pii,
        "allow_empty": config.allow_empty,
        "approve_corrections": config.approve_corrections,
    }


def settings_from(sent: dict[str, str]) -> tuple[str, dict[str, Any], dict[str, str]]:
    """The portfolio_id and the settings of a posted form, and its faults by field. What is empty is left out."""
    faults: dict[str, str] = {}
    settings: dict[str, Any] = {
        name: sent[name].strip()
        for name in (
            "tape_format",
            "tape_schedule",
            "template",
            "business_day_convention",
            "holiday_calendar",
            "delivery_url",
            "recipient_email",
            "owner_email",
        )
        if sent.get(name, "").strip()
    }
    if sent.get("investor", "").strip():
        settings["investor_id"] = sent["investor"].strip()
    if fields := [_field_of(line) for line in sent.get("required_fields", "").splitlines() if line.strip()]:
        settings["required_fields"] = fields
    values = {}
    for line in sent.get("template_values", "").splitlines():
        code, equals, value = line.partition("=")
        if line.strip() and not equals:
            faults["template_values"] = f"{line.strip()!r}: write a line like CODE = value"
        elif line.strip():
            values[code.strip()] = value.strip()
    if values:
        settings["template_values"] = values
    try:
        settings["deliver_from"] = day_from(sent.get("deliver_from", ""))
    except ValueError as error:
        faults["deliver_from"] = str(error)
    hours = sent.get("late_after_hours", "").strip()
    if hours.isascii() and hours.isdecimal() and len(hours) < 6 and int(hours) <= MOST_HOURS:
        settings["late_after_hours"] = int(hours)
    else:
        faults["late_after_hours"] = f"write a whole number of hours from 0 to {MOST_HOURS:,}"
    settings["allow_pii"] = sent.get("allow_pii") == "true"
    settings["allow_empty"] = sent.get("allow_empty") == "true"
    settings["approve_corrections"] = sent.get("approve_corrections") == "true"
    return sent.get("portfolio", ""), settings, faults


def faults_by_field(error: Exception) -> dict[str, str]:
    """The faults of a refused configuration by field. Faults that name no field have the empty name."""
    faults: dict[str, str] = {}
    for text in str(error).split("; "):
        name = next((each for each in _NAMED if each in text), "")
        faults[name] = f"{faults[name]}; {text}" if name in faults else text
    return faults


_NAMED = (
    "tape_schedule",
    "holiday_calendar",
    "business_day_convention",
    "late_after_hours",
    "deliver_from",
    "tape_format",
    "template_values",
    "template",
)


def _field_line(field: Any) -> str:
    return str(field) if isinstance(field, str) else f"{field['field']} as {field['as']}"


def _field_of(line: str) -> Any:
    name, as_, column = line.strip().partition(" as ")
    return {"field": name.strip(), "as": column.strip()} if as_ else name


def _row(session: Session, config: LoanTapeConfig, faults: Sequence[TapeFault], today: date) -> TapeRow:
    """A configuration with its next due date, last delivery and problems."""
    deliveries = TapeDeliveries(session).of_tape(config.config_id)
    delivered = [each.business_date for each in deliveries if each.status == "delivered"]
    wrong = {each.business_date for each in deliveries if each.status == "failed" or _is_late(each)}
    to = ", ".join(hide_secrets(place) for _, place in destinations(config))
    return TapeRow(
        config.config_id,
        config.name,
        state_of(config),
        config.tape_schedule,
        config.template or config.tape_format,
        Portfolios(session).get(config.portfolio_id).name,
        to or "nobody: made only",
        _next_due(config, today) if config.active else None,
        max(delivered, default=None),
        len(wrong | {each.business_date for each in faults}),
    )


def _is_late(delivery: TapeDelivery) -> bool:
    return delivery.delayed_at is not None and delivery.status != "delivered"


def _next_due(config: LoanTapeConfig, today: date) -> date | None:
    try:
        return next(iter(due_days(config, today, today + _AHEAD)), None)
    except ScheduleError:
        return None


def _together(deliveries: Sequence[TapeDelivery]) -> str:
    """The state of a day's deliveries: that of the worst."""
    states = {"late" if _is_late(each) else each.status for each in deliveries}
    return next(state for state in ("failed", "late", "pending", "delivering", "delivered") if state in states)
