"""Tapes that could not be made: which, of which day, and why. Making them, and trying again, is in assets/."""

from collections.abc import Collection, Mapping
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.models import LoanTapeConfig, TapeFault
from lending_pipelines.register.notifications import Notifications
from lending_pipelines.register.tape_deliveries import OWNER
from lending_pipelines.register.types import utc_now

SHOWN = 3
"""So many reasons are shown where a tape has faults on more days."""


def listed(reasons: Mapping[date, str]) -> str:
    """The reasons of a tape's faults in a line, the earliest days first."""
    unique = list(dict.fromkeys(reason for _, reason in sorted(reasons.items())))
    more = f"; and {len(unique) - SHOWN} more" if len(unique) > SHOWN else ""
    return "; ".join(unique[:SHOWN]) + more


class TapeFaults:
    """The faults as one session sees them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, config: LoanTapeConfig, reasons: Mapping[date, str], waiting: Collection[date] = ()) -> None:
        """Record why a tape could not be made, by business date; those of `waiting` days wait for the next close.

        The tape's owner gets one notification of the days whose fault is new or has another reason.
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
        """Forget the fault of a tape's day, if there is one."""
        here = sa.and_(TapeFault.config_id == config_id, TapeFault.business_date == business_date)
        self._session.execute(sa.delete(TapeFault).where(here))

    def all(self) -> list[TapeFault]:
        """Every fault, the earliest day first."""
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
            body=f"{listed(reasons)}. The next close tries again, unless the day itself must be closed again.",
            action_required=True,
            alert_data={"config_id": config.config_id, "business_dates": [str(day) for day in reasons]},
            business_date=first,
        )
