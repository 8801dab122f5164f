"""What the events of a run say of it: why it failed, and which checks failed."""

from collections.abc import Sequence

import dagster as dg

NO_REASON = "see the run's log"


def failure_reason(events: Sequence[dg.DagsterEvent]) -> str:
    """Why the first step that failed did: the blocking check that stopped it, or the error's own message."""
    failed = [event for event in events if event.is_step_failure]
    return _reason(failed[0], events) if failed else NO_REASON


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
    error = failure.step_failure_data.error
    message = " ".join((error.cause or error).message.split()) if error else NO_REASON
    return message.partition(": ")[2] if message.startswith("lending_pipelines.") else message
