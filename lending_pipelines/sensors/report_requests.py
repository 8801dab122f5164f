"""Starts a run for each pending report request, and marks a request failed if its run ended without a report."""

from collections.abc import Iterator
from contextlib import suppress

import dagster as dg

from lending_pipelines.errors import LendingError
from lending_pipelines.jobs import report_job_name, report_jobs, report_run_config
from lending_pipelines.register import RegisterError, ReportRequests
from lending_pipelines.register.models import Report
from lending_pipelines.resources import RegisterResource
from lending_pipelines.sensors.runs_ended import end_of

REPORT_TAG = "lending/report_id"


@dg.sensor(
    jobs=report_jobs(),
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run for every pending report request, and marks requests of ended runs as failed.",
)
def report_requests(context: dg.SensorEvaluationContext, register: RegisterResource) -> Iterator[dg.RunRequest]:
    """Request one run per pending request; the run key is its report_id.

    Requests that are not valid are marked failed, and so are requests whose run ended without a report.
    """
    with register.register.session() as session:
        unfinished = ReportRequests(session).unfinished()
    # Close the session before Dagster is called, because an open session can block other writers.
    for report in unfinished:
        run_id = report.run_id if report.status == "generating" else _run_of(context.instance, report)
        try:
            problem = run_id and end_of(context.instance, run_id)
            request = _run_request(report) if report.status == "pending" and not problem else None
        except LendingError as error:
            problem, request = str(error), None
        if problem:
            # The run may have completed the request in the meantime.
            with suppress(RegisterError), register.register.session() as session:
                ReportRequests(session).fail(report.report_id, problem, run_id)
        elif request:
            yield request


def _run_request(report: Report) -> dg.RunRequest:
    """The run for a pending request. Raises LendingError when something in its row is not valid."""
    if not (isinstance(report.notify, list) and all(isinstance(each, str) for each in report.notify)):
        raise LendingError(
            f"report {report.report_type}: notify is {report.notify!r}: write a JSON list of email addresses"
        )
    config = report_run_config(
        report.report_type,
        report.parameters,
        output_format=report.output_format,
        requested_by=report.requested_by,
        report_id=report.report_id,
    )
    return dg.RunRequest(
        # A retried request includes the failed run's id, which makes its run key new.
        run_key=":".join(filter(None, (report.report_id, report.run_id))),
        job_name=report_job_name(report.report_type),
        run_config=config,
        tags={REPORT_TAG: report.report_id},
    )


def _run_of(instance: dg.DagsterInstance, report: Report) -> str | None:
    """The run started for a pending request, if it is not the earlier failed run."""
    runs = instance.get_runs(dg.RunsFilter(tags={REPORT_TAG: report.report_id}), limit=1)
    return next((run.run_id for run in runs if run.run_id != report.run_id), None)
