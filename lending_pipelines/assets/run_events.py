"""Reads from the events of a run why it failed and which checks failed."""

from collections.abc import Sequence

import dagster as dg
from dagster._utils.error import SerializableErrorInfo

NO_REASON = "see the run's log"


def failure_reason(events: Sequence[dg.DagsterEvent]) -> str:
    """Why a run failed.

    If a step failed, the reason is that of the first failed step: the blocking check that stopped it, or the message of
    its error. If no step failed, for example because a resource has a wrong setting, it is the message of the run's
    error.
    """
    failed = [event for event in events if event.is_step_failure]
    if failed:
        return _reason(failed[0], events)
    ended = [event.job_failure_data.error for event in events if event.is_job_failure]
    return _message(ended[0]) if ended and ended[0] else NO_REASON


def failed_checks(events: Sequence[dg.DagsterEvent], only_blocking: bool = False) -> list[str]:
    """A line for each check that failed."""
    evaluations = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    return [
        f"check {found.asset_key.path[-1]}.{found.check_name} failed: {found.description}"
        for found in evaluations
        if not found.passed and (found.blocking or not only_blocking)
    ]


def _reason(failure: dg.DagsterEvent, events: Sequence[dg.DagsterEvent]) -> str:
    stopped_by = [event for event in events if event.step_key == failure.step_key]
    if checks := failed_checks(stopped_by, only_blocking=True):
        return checks[0]
    if told := failure.step_failure_data.user_failure_data:
        return " ".join((told.description or NO_REASON).split())
    error = failure.step_failure_data.error
    return _message(error) if error else NO_REASON


def _message(error: SerializableErrorInfo) -> str:
    """The message of the error's first cause, without the class name of an error of this package."""
    while error.cause:
        error = error.cause
    message = " ".join(error.message.split())
    return message.partition(": ")[2] if message.startswith("lending_pipelines.") else message
