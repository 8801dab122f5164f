"""The verdict and findings of each close, as the close made them, for pages that do not read them from Dagster."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from lending_pipelines.register.models import Base, one_of
from lending_pipelines.register.types import utc_now

CloseVerdict = Literal["good", "warnings", "failed"]


class CloseSummaryRow(Base):
    """The summary of the close of a day. `findings` are objects with severity, subject and text, errors first."""

    __tablename__ = "close_summaries"

    business_date: Mapped[date] = mapped_column(primary_key=True)
    made_at: Mapped[datetime] = mapped_column(default=utc_now)
    verdict: Mapped[CloseVerdict] = mapped_column(one_of("verdict", CloseVerdict))
    findings: Mapped[list[Any]]
    run_id: Mapped[str]


class CloseSummaries:
    """The summaries, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def save(self, day: date, verdict: CloseVerdict, findings: Sequence[dict[str, str]], run_id: str) -> None:
        """Save the summary of a day. It replaces an earlier summary of that day."""
        row = CloseSummaryRow(
            business_date=day, made_at=utc_now(), verdict=verdict, findings=list(findings), run_id=run_id
        )
        self._session.merge(row)
        self._session.flush()

    def latest(self) -> CloseSummaryRow | None:
        """The summary of the last closed day."""
        query = sa.select(CloseSummaryRow).order_by(CloseSummaryRow.business_date.desc()).limit(1)
        return self._session.scalars(query).one_or_none()
