"""The register's alerts as the lake table alert_log, which reports read."""

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.register.alert_models import Alert, AlertEvent, AlertRuleRow
from lending_pipelines.register.database import Register
from lending_pipelines.register.intervals import as_table
from lending_pipelines.tables import RECORDS


def alert_log(register: Register) -> pa.Table:
    """The alert_log table: every alert, with when it was first acknowledged."""
    acknowledged = (
        sa.select(AlertEvent.alert_id, sa.func.min(AlertEvent.at, type_=AlertEvent.at.type).label("acknowledged_at"))
        .where(AlertEvent.step == "acknowledged")
        .group_by(AlertEvent.alert_id)
        .subquery()
    )
    query = (
        sa.select(
            Alert.alert_id,
            AlertRuleRow.name.label("rule"),
            Alert.subject_kind,
            Alert.subject_id,
            Alert.currency,
            Alert.severity,
            Alert.opened_on,
            Alert.last_on,
            Alert.resolved_on,
            Alert.state,
            acknowledged.c.acknowledged_at,
            Alert.acknowledged_by,
            Alert.reason,
            Alert.value,
            Alert.threshold,
            Alert.text.label("finding"),
        )
        .join(AlertRuleRow, AlertRuleRow.rule_id == Alert.rule_id)
        .outerjoin(acknowledged, acknowledged.c.alert_id == Alert.alert_id)
        .order_by(Alert.alert_id)
    )
    return as_table(register, query, RECORDS["alert_log"].arrow_schema)
