"""Creates deliveries for tapes that are due, and starts one run per tape and day that is ready.

All state is in the register and in Dagster, so a restarted daemon continues.
"""

import logging
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import dagster as dg

from lending_pipelines.bounds import MOST_HOURS
from lending_pipelines.jobs import daily_close, deliver_run_config, deliver_tape
from lending_pipelines.register import Register, TapeConfigs, TapeDeliveries, destinations
from lending_pipelines.register.models import LoanTapeConfig, TapeDelivery
from lending_pipelines.register.types import utc_now
from lending_pipelines.resources import RegisterResource
from lending_pipelines.sensors.runs_ended import end_of
from lending_pipelines.settings import Settings
from lending_pipelines.tapes.parts import POSITIONS
from lending_pipelines.tapes.schedule import due_days

MAX_CONCURRENT_DELIVERIES = 4
"""The maximum number of tapes delivered at the same time. A backlog is processed from the oldest day."""

DELIVERY_TAG = "lending/tape_delivery"


@dg.sensor(
    job=deliver_tape,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Delivers due tapes once their day is closed and its checks pass, retries failed deliveries, and"
    " notifies a tape's owner when it is late.",
)
def tape_deliveries(context: dg.SensorEvaluationContext, register: RegisterResource) -> Iterator[dg.RunRequest]:
    """One run per tape and day that is ready. Others wait; the reason is recorded in the register."""
    now = utc_now()
    free = MAX_CONCURRENT_DELIVERIES
    for config, deliveries in _to_deliver(register.register, now, context.log):
        if free == 0:
            break
        try:
            if _is_under_way(context.instance, register.register, deliveries):
                free -= 1
            elif _is_ready(context.instance, register.register, config, deliveries, now):
                free -= 1
                yield _run_request(config, deliveries)
        except Exception:
            # A fault of one tape does not stop the others.
            context.log.exception(f"tape {config.name!r} of {deliveries[0].business_date}")


def _to_deliver(
    register: Register, now: datetime, log: logging.Logger
) -> list[tuple[LoanTapeConfig, list[TapeDelivery]]]:
    """The unfinished deliveries of each tape and day, oldest day first. Deliveries that became due are
    created first.
    """
    today = now.astimezone(_timezone()).date()
    start = Settings.from_environment().start_date
    with register.session() as session:
        configs = {config.config_id: config for config in TapeConfigs(session).active() if destinations(config)}
        deliveries = TapeDeliveries(session)
        for config in configs.values():
            try:
                # A day before LENDING_START_DATE is never closed.
                due = due_days(config, max(config.deliver_from, start), today - timedelta(days=1))
            except Exception as error:
                # Other tapes are not affected.
                log.error(f"tape {config.name!r}: {error}")
                continue
            opened = deliveries.days(config.config_id)
            for day in due:
                if day not in opened:
                    deliveries.open(config, day)
        tapes = groupby(deliveries.unfinished(), key=lambda each: (each.business_date, each.config_id))
        return [(configs[config_id], list(group)) for (_, config_id), group in tapes if config_id in configs]


def _is_ready(
    instance: dg.DagsterInstance,
    register: Register,
    config: LoanTapeConfig,
    deliveries: list[TapeDelivery],
    now: datetime,
) -> bool:
    """Whether the tape can be delivered and an attempt is due. Records what it waits for, and that it is late."""
    day = deliveries[0].business_date
    waits_for, fails = _unready(instance, day)
    _notify_waiting(register, deliveries, waits_for, at_once=fails or _is_late(config, day, now))
    due = any(each.next_attempt_at is None or each.next_attempt_at <= now for each in deliveries)
    return due and not waits_for


def _is_under_way(instance: dg.DagsterInstance, register: Register, deliveries: list[TapeDelivery]) -> bool:
    """Whether the deliveries must not be started now, because a run is working on them.

    Deliveries that an ended run left unfinished are rescheduled. They count as under way until the next evaluation.
    """
    run_ids = {each.run_id for each in deliveries if each.status == "delivering"}
    requested = instance.get_runs(dg.RunsFilter(tags={DELIVERY_TAG: _name(deliveries)}), limit=1)
    run_ids |= {run.run_id for run in requested if not run.is_success}
    for run_id in filter(None, run_ids):
        if (ended := end_of(instance, run_id)) is None:
            return True
        with register.session() as session:
            if TapeDeliveries(session).run_ended([each.delivery_id for each in deliveries], run_id, ended):
                return True
    return False


def _unready(instance: dg.DagsterInstance, day: date) -> tuple[str | None, bool]:
    """The reason why tapes of the day must wait, and whether it is a failure; None if the day is ready.

    Checks that the run of the positions did not evaluate do not matter here: all checks are evaluated before the
    delivery.
    """
    positions = dg.AssetKey(POSITIONS)
    wanted = dg.AssetRecordsFilter(asset_key=positions, asset_partitions=[day.isoformat()])
    made = instance.fetch_materializations(wanted, limit=1).records
    if not made:
        failed = _failed_close(instance, day)
        return (f"{day} is not closed: {failed}", True) if failed else (f"{day} is not closed", False)
    run_id = made[0].run_id
    if end_of(instance, run_id) is None:
        return f"{day} is being closed by run {run_id}", False
    if broken := _failed_checks(instance, run_id, positions):
        return f"checks of {day} failed in run {run_id}: {', '.join(broken)}", True
    return None, False


def _failed_checks(instance: dg.DagsterInstance, run_id: str, asset: dg.AssetKey) -> list[str]:
    """The asset's blocking checks that failed in a run."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    checks = [record.event_log_entry.get_dagster_event().asset_check_evaluation_data for record in records]
    return [check.check_name for check in checks if check.asset_key == asset and check.blocking and not check.passed]


def _failed_close(instance: dg.DagsterInstance, day: date) -> str | None:
    """How the latest close of the day ended; None if there was none or it is still active.

    This is a run of the day alone, or else a run of a range that ends on the day.
    """
    for tag in ("dagster/partition", "dagster/asset_partition_range_end"):
        closes = dg.RunsFilter(job_name=daily_close.name, tags={tag: day.isoformat()})
        for run in instance.get_runs(closes, limit=1):
            return end_of(instance, run.run_id)
    return None


def _notify_waiting(
    register: Register, deliveries: list[TapeDelivery], waits_for: str | None, *, at_once: bool
) -> None:
    """Store what the deliveries wait for. Notify the tape's owner once if the tape is late or the day failed."""
    reason = waits_for or next((each.error_message for each in deliveries if each.attempts), None)
    to_notify = at_once and reason and not any(each.delayed_at or each.correction for each in deliveries)
    news = waits_for and any(each.error_message != waits_for for each in deliveries)
    if not (news or to_notify):
        return
    ids = [each.delivery_id for each in deliveries]
    with register.session() as session:
        if waits_for:
            TapeDeliveries(session).wait(ids, waits_for)
        if to_notify:
            TapeDeliveries(session).delay(ids, str(reason))


def _is_late(config: LoanTapeConfig, day: date, now: datetime) -> bool:
    ended = datetime.combine(day + timedelta(days=1), time.min, _timezone())
    return now > ended + timedelta(hours=min(config.late_after_hours, MOST_HOURS))


def _run_request(config: LoanTapeConfig, deliveries: list[TapeDelivery]) -> dg.RunRequest:
    # The key changes only with the number of attempts, so two requests for the same attempt start one run.
    attempts = ",".join(f"{each.delivery_id}.{each.attempts}" for each in deliveries)
    return dg.RunRequest(
        run_key=f"{_name(deliveries)}:{attempts}",
        run_config=deliver_run_config(config.name, deliveries[0].business_date, failed=False),
        tags={DELIVERY_TAG: _name(deliveries)},
    )


def _name(deliveries: list[TapeDelivery]) -> str:
    return f"{deliveries[0].config_id}:{deliveries[0].business_date}"


def _timezone() -> ZoneInfo:
    return ZoneInfo(Settings.from_environment().timezone)
