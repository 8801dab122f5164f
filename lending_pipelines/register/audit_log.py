"""The audit log: sign-ins, denials, downloads and changes, by whom and from where. Rows are only added."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.account_models import AuditEntry, AuditOutcome


class AuditLog:
    """The audit log, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        account: str,
        action: str,
        outcome: AuditOutcome,
        *,
        address: str,
        resource: str = "",
        reason: str = "",
        scope: Sequence[Any] | None = None,
        rows: int | None = None,
        sha256: str | None = None,
    ) -> None:
        """Add an entry."""
        self._session.add(
            AuditEntry(
                account=account[:200],
                action=action,
                outcome=outcome,
                address=address,
                resource=resource[:500],
                reason=reason,
                scope=None if scope is None else list(scope),
                rows=rows,
                sha256=sha256,
            )
        )

    def recent(
        self,
        *,
        account: str | None = None,
        action: str | None = None,
        outcome: AuditOutcome | None = None,
        before: int | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """The latest entries first; `before` is the entry_id of the previous page's last entry."""
        query = sa.select(AuditEntry).order_by(AuditEntry.entry_id.desc()).limit(limit)
        if account is not None:
            query = query.where(AuditEntry.account == account)
        if action is not None:
            query = query.where(AuditEntry.action == action)
        if outcome is not None:
            query = query.where(AuditEntry.outcome == outcome)
        if before is not None:
            query = query.where(AuditEntry.entry_id < before)
        if since is not None:
            query = query.where(AuditEntry.at >= since)
        return list(self._session.scalars(query))
