"""Evaluates the alert rules that a close cannot evaluate: closes that are late or failed, and tapes that are late."""

from collections.abc import Iterator
from datetime import date, datetime

import dagster as dg
import pyarrow as pa

from lending_pipelines.alerts.close import watch
from lending_pipelines.alerts.detectors import close_late, tape_late
from lending_pipelines.alerts.watched import Watched
from lending_pipelines.assets.close_summary import closed_days, last_run
from lending_pipelines.close_summary.summary import expected_days
from lending_pipelines.metrics.instants import ends_at
from lending_pipelines.partitions import last_ended_day
from lending_pipelines.register import Register, TapeConfigs, TapeDeliveries
from lending_pipelines.register.types import utc_now
from lending_pipelines.resources import RegisterResource
from lending_pipelines.settings import Settings

RECENT = 500
"""The number of latest failed deliveries that are examined."""

_CLOSES = pa.schema(
    {
        "business_date": pa.date32(),
        "first_open": pa.date32(),
        "days_open": pa.int64(),
        "hours": pa.float64(),
        "failure": pa.string(),
    }
)
"""The columns of close_late.TABLE."""
_TAPES = pa.schema(
    {
        "business_date": pa.date32(),
        "tape": pa.string(),
        "tape_date": pa.date32(),
        "hours": pa.float64(),
        "late_after_hours": pa.int64(),
        "failed": pa.bool_(),
        "reason": pa.string(),
    }
)
"""The columns of tape_late.TABLE."""


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Raises alerts on closes that are late or failed and on tapes that are late, and resolves them.",
)
def alert_watch(context: dg.SensorEvaluationContext, register: RegisterResource) -> dg.SkipReason:
    """Evaluate the rules on what is late, as of the last day that has ended."""
    return dg.SkipReason(watch_now(context.instance, register.register, Settings.from_environment()))


def watch_now(instance: dg.DagsterInstance, register: Register, settings: Settings) -> str:
    """Evaluate the rules on what is late, save and notify. Returns what was judged."""
    day, now = last_ended_day(), utc_now()
    closes = [*late_closes(instance, day, now, settings.timezone)]
    tapes = [*late_tapes(register, day, now, settings.timezone)]
    tables = {
        close_late.TABLE: pa.Table.from_pylist(closes, schema=_CLOSES),
        tape_late.TABLE: pa.Table.from_pylist(tapes, schema=_TAPES),
    }
    watch(Watched(tables), register, day, settings)
    return f"{len(closes)} late closes and {len(tapes)} tapes not delivered are judged as of {day}"


def late_closes(instance: dg.DagsterInstance, day: date, now: datetime, timezone: str) -> Iterator[dict]:
    """The row of close_late.TABLE.

    There is no row before the first close, or if no day is missing after the last closed day and the last close did not
    fail.
    """
    closed = closed_days(instance)
    if not closed:
        return
    missing = [each for each in expected_days(closed, day) if each > max(closed)]
    run = last_run(instance)
    failure = run.message if run and run.status == "failed" else None
    if missing or failure:
        first = missing[0] if missing else max(closed)
        yield {
            "business_date": day,
            "first_open": first,
            "days_open": len(missing),
            "hours": _hours(first, now, timezone) if missing else 0.0,
            "failure": failure,
        }


def late_tapes(register: Register, day: date, now: datetime, timezone: str) -> Iterator[dict]:
    """The rows of tape_late.TABLE: deliveries of active tapes that are not finished, or failed."""
    with register.session() as session:
        configs = {config.config_id: config for config in TapeConfigs(session).active()}
        deliveries = TapeDeliveries(session)
        for delivery in [*deliveries.unfinished(), *deliveries.recent("failed", RECENT)]:
            config = configs.get(delivery.config_id)
            if config is not None:
                yield {
                    "business_date": day,
                    "tape": config.name,
                    "tape_date": delivery.business_date,
                    "hours": _hours(delivery.business_date, now, timezone),
                    "late_after_hours": config.late_after_hours,
                    "failed": delivery.status == "failed",
                    "reason": delivery.error_message,
                }


def _hours(day: date, now: datetime, timezone: str) -> float:
    """The hours since the end of a day."""
    return (now.replace(tzinfo=None) - ends_at(day, timezone)).total_seconds() / 3600
