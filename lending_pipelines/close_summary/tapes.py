"""The register's part of a close summary: tapes that wait, are late, failed, or did not arrive."""

from collections.abc import Iterator
from datetime import date

from sqlalchemy.orm import Session

from lending_pipelines.close_summary.summary import Finding
from lending_pipelines.register import Register, TapeConfigs, TapeDeliveries, TapeFaults
from lending_pipelines.register.models import TapeDelivery

RECENT = 200
"""The number of latest failed deliveries that are listed."""


def tape_summary(register: Register, day: date | None) -> tuple[list[Finding], int]:
    """The problems of tapes, and the number of completed deliveries of a day.

    Returns:
        A warning for each tape and day that is not made, waits after a failed attempt, is late, or did not arrive; and
        the number of completed deliveries of `day`.
    """
    with register.reading_session() as session:
        return list(_findings(session)), TapeDeliveries(session).delivered_on(day) if day else 0


def _findings(session: Session) -> Iterator[Finding]:
    configs = TapeConfigs(session)
    for fault in TapeFaults(session).all():
        name = configs.get(fault.config_id).name
        yield Finding(
            "warning",
            f"tape {name!r}",
            f"the tape of {fault.business_date} is not made: {fault.reason}",
            "tapes_not_made",
        )
    deliveries = TapeDeliveries(session)
    for delivery in deliveries.unfinished():
        if delivery.delayed_at or delivery.error_message:
            late = ("is late", "tapes_late") if delivery.delayed_at else ("waits", "tapes_waiting")
            yield _finding(configs, delivery, *late)
    for delivery in deliveries.recent("failed", RECENT):
        yield _finding(configs, delivery, "did not arrive", "tapes_failed")


def _finding(configs: TapeConfigs, delivery: TapeDelivery, what: str, number: str) -> Finding:
    name = configs.get(delivery.config_id).name
    reason = f": {delivery.error_message}" if delivery.error_message else ""
    text = f"the tape of {delivery.business_date} to {delivery.destination} {what}{reason}"
    return Finding("warning", f"tape {name!r}", text, number)
