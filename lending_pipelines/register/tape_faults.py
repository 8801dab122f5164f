"""Tapes that could not be made: which tape, which day and why. assets/ makes tapes and retries."""

from collections.abc import Collection, Mapping
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.models import LoanTapeConfig, TapeFault
from lending_pipelines.register.notifications import Notifications
from lending_pipelines.register.tape_deliveries import OWNER
from lending_pipelines.register.types import utc_now

SHOWN = 3
"""The number of distinct reasons that a message names; the rest are counted."""


def listed(reasons: Mapping[date, str]) -> str:
    """The distinct reasons of a tape's faults in one line, earliest days first."""
    unique = list(dict.fromkeys(reason for _, reason in sorted(reasons.items())))
    more = f"; and {len(unique) - SHOWN} more" if len(unique) > SHOWN else ""
    return "; ".join(unique[:SHOWN]) + more


class TapeFaults:
    """The faults, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, config: LoanTapeConfig, reasons: Mapping[date, str], waiting: Collection[date] = ()) -> None:
        """Record by business date why a tape could not be made. The `waiting` days are retried at the next close.

        The tape's owner gets one notification that lists the days whose fault or reason is new.
        """
        news = {}
        for day, reason in sorted(reasons.items()):
            fault = self._session.get(TapeFault, (config.config_id, day))
            if fault is None or fault.reason != reason:
                news[day] = reason
            self._session.merge(
                TapeFault(
                    config_id=config.config_id,
                    business_date=day,
                    reason=reason,
                    waits_for_close=day in waiting,
                    failed_at=utc_now(),
                )
            )
        self._session.flush()
        if news:
            self._notify(config, news)

    def clear(self, config_id: str, business_date: date) -> None:
        """Delete the fault of a tape's day, if there is one."""
        here = sa.and_(TapeFault.config_id == config_id, TapeFault.business_date == business_date)
        self._session.execute(sa.delete(TapeFault).where(here))

    def all(self) -> list[TapeFault]:
        """Every fault, earliest day first."""
        query = sa.select(TapeFault).order_by(TapeFault.business_date, TapeFault.config_id)
        return list(self._session.scalars(query))

    def _notify(self, config: LoanTapeConfig, reasons: Mapping[date, str]) -> None:
        first, *more = reasons
        others = f" and {len(more)} more" if more else ""
        Notifications(self._session).create(
            "tape_delayed",
            "high",
            recipient=config.owner_email or OWNER,
            subject=f"Loan tape {config.name} of {first}{others} not made",
            body=f"{listed(reasons)}. The next close retries, unless the day itself must be closed again.",
            action_required=True,
            alert_data={"config_id": config.config_id, "business_dates": [str(day) for day in reasons]},
            business_date=first,
        )
