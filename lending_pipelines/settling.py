"""Cleans up after killed processes: their runs, and the report requests and deliveries that wait for these runs.

The sensors do the same while the daemon runs. Commands do it before they read or write.
"""

from contextlib import suppress

import dagster as dg

from lending_pipelines.dead_runs import end_dead_runs
from lending_pipelines.register import Register, RegisterError, ReportRequests, TapeDeliveries
from lending_pipelines.sensors.runs_ended import end_of


def settle(instance: dg.DagsterInstance, register: Register) -> None:
    """Mark runs whose process has ended as failed, fail their report requests, and reschedule their deliveries.

    Emails that may have been sent are marked failed, not resent.
    """
    end_dead_runs(instance)
    with register.reading_session() as session:
        generating = [each for each in ReportRequests(session).unfinished() if each.status == "generating"]
        delivering = [each for each in TapeDeliveries(session).unfinished() if each.status == "delivering"]
    for report in generating:
        if report.run_id and (reason := end_of(instance, report.run_id)):
            # The run may have completed the request in the meantime.
            with suppress(RegisterError), register.session() as session:
                ReportRequests(session).fail(report.report_id, reason, report.run_id)
    for delivery in delivering:
        if delivery.run_id and (reason := end_of(instance, delivery.run_id)):
            with register.session() as session:
                TapeDeliveries(session).run_ended([delivery.delivery_id], delivery.run_id, reason)
