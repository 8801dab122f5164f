"""Turns pending rows of the register's `reports` into runs, one each, and settles rows whose run has died."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import dagster as dg

from lending_pipelines.errors import LendingError
from lending_pipelines.jobs import PROCESS_TAG, report_job_name, report_jobs, report_run_config
from lending_pipelines.processes import is_gone
from lending_pipelines.register import RegisterError, ReportRequests
from lending_pipelines.register.models import Report
from lending_pipelines.resources import RegisterResource

REPORT_TAG = "lending/report_id"


@dg.sensor(
    jobs=report_jobs(),
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run for every pending row of the register's reports, and says of a run that died why.",
)
def report_requests(context: dg.SensorEvaluationContext, register: RegisterResource) -> Iterator[dg.RunRequest]:
    """One run per pending request (run key: its report_id); failed rows for what cannot be run or has died."""
    with register.register.session() as session:
        requests = ReportRequests(session)
        for report in requests.unfinished():
            run_id = report.run_id if report.status == "generating" else _run_of(context.instance, report)
            try:
                problem = run_id and _end_of(context.instance, run_id)
                request = _run_request(report) if report.status == "pending" and not problem else None
            except LendingError as error:
                problem, request = str(error), None
            if problem:
                # Its run may have settled it since it was read.
                with suppress(RegisterError):
                    requests.fail(report.report_id, problem, run_id)
            elif request:
                yield request


def _run_request(report: Report) -> dg.RunRequest:
    """The run that answers a pending row; LendingError when its report, parameters or format are wrong."""
    config = report_run_config(
        report.report_type,
        report.parameters,
        output_format=report.output_format,
        requested_by=report.requested_by,
        report_id=report.report_id,
    )
    return dg.RunRequest(
        # A request that failed and is asked again names the run that failed: that makes its key a new one.
        run_key=":".join(filter(None, (report.report_id, report.run_id))),
        job_name=report_job_name(report.report_type),
        run_config=config,
        tags={REPORT_TAG: report.report_id},
    )


def _run_of(instance: dg.DagsterInstance, report: Report) -> str | None:
    """The run started for a pending row, when it is another than the one that failed before."""
    runs = instance.get_runs(dg.RunsFilter(tags={REPORT_TAG: report.report_id}), limit=1)
    return next((run.run_id for run in runs if run.run_id != report.run_id), None)


def _end_of(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """Why a run can no longer bring its report; None while it can."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return f"run {run_id} was deleted"
    if not run.is_finished and is_gone(run.tags.get(PROCESS_TAG, "")):
        instance.report_run_failed(run, f"The process {run.tags[PROCESS_TAG]} of the run has ended.")
        return f"run {run_id} died: its process {run.tags[PROCESS_TAG]} has ended"
    if not run.is_finished:
        return None
    return f"run {run_id} ended as {run.status.value.lower()}: {_last_words(instance, run_id)}"


def _last_words(instance: dg.DagsterInstance, run_id: str) -> str:
    """The message of the event that ended a run."""
    ends = {dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED, dg.DagsterEventType.RUN_SUCCESS}
    records: Any = instance.get_records_for_run(run_id, of_type=ends, ascending=False, limit=1).records
    return records[0].event_log_entry.dagster_event.message if records else "it left no message"
