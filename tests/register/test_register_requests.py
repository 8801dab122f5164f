"""States of report requests and their order; tape configurations and notifications."""

import itertools
from datetime import UTC, date, datetime

import pytest

from lending_pipelines.register import Notifications, Portfolios, RegisterError, ReportRequests, TapeConfigs

MOVES = {
    "start": lambda requests, report_id: requests.start(report_id, "run", {}),
    "complete": lambda requests, report_id: requests.complete(report_id, "file", "hash", {}),
    "fail": lambda requests, report_id: requests.fail(report_id, "broken"),
    "retry": lambda requests, report_id: requests.retry(report_id),
}
LEGAL = {
    "pending": {"start": "generating", "fail": "failed"},
    "generating": {"complete": "completed", "fail": "failed"},
    "failed": {"retry": "pending"},
    "completed": {},
}
WAYS = {"pending": [], "generating": ["start"], "failed": ["start", "fail"], "completed": ["start", "complete"]}


def test_only_legal_moves_change_the_status(register):
    for status, move in itertools.product(WAYS, MOVES):
        with register.session() as session:
            requests = ReportRequests(session)
            report_id = requests.create("trial_balance", {"as_of": "2025-01-31"}, "csv", "me")
            for step in WAYS[status]:
                MOVES[step](requests, report_id)
            assert requests.get(report_id).status == status
            if after := LEGAL[status].get(move):
                MOVES[move](requests, report_id)
                assert requests.get(report_id).status == after
            else:
                with pytest.raises(RegisterError, match=f"report request {report_id} is {status}: only "):
                    MOVES[move](requests, report_id)
                assert requests.get(report_id).status == status


def test_a_completed_request_says_what_was_made(register):
    before = datetime.now(UTC)
    with register.session() as session:
        report_id = ReportRequests(session).create("trial_balance", {"as_of": "2025-01-31"}, "xlsx", "me")
        ReportRequests(session).start(report_id, "run-1", {"as_of": "2025-01-31", "known_at": "now"})
    with register.session() as session:
        ReportRequests(session).complete(report_id, "reports/tb.xlsx", "abc", {"debit": "10.00"})
    with register.session() as session:
        report = ReportRequests(session).get(report_id)
    assert (report.report_type, report.output_format, report.requested_by) == ("trial_balance", "xlsx", "me")
    assert report.parameters == {"as_of": "2025-01-31", "known_at": "now"}
    assert (report.run_id, report.file_url, report.sha256) == ("run-1", "reports/tb.xlsx", "abc")
    assert report.report_data == {"debit": "10.00"}
    assert before <= report.requested_at <= report.generated_at <= datetime.now(UTC)


def test_a_failed_request_that_is_asked_again_forgets_its_failure_but_not_its_run(register):
    with register.session() as session:
        requests = ReportRequests(session)
        report_id = requests.create("trial_balance", {}, "csv", "me")
        requests.start(report_id, "run-1", {})
        requests.fail(report_id, "no such day")
        assert (requests.get(report_id).error_message, requests.get(report_id).run_id) == ("no such day", "run-1")
        requests.retry(report_id)
        assert (requests.get(report_id).error_message, requests.get(report_id).run_id) == (None, "run-1")


def test_requests_are_listed_latest_first(register):
    with register.session() as session:
        requests = ReportRequests(session)
        first, second, third = (requests.create("trial_balance", {"n": n}, "csv", "me") for n in range(3))
        requests.start(second, "run", {})
        assert [report.report_id for report in requests.recent()] == [third, second, first]
        assert [report.report_id for report in requests.recent(limit=1)] == [third]
        assert [report.report_id for report in requests.recent("pending")] == [third, first]
        requests.complete(second, "file", "hash", {})
        assert [report.report_id for report in requests.unfinished()] == [first, third]
        with pytest.raises(RegisterError, match="no report request 'x'"):
            requests.get("x")
        with pytest.raises(RegisterError, match="no report request 'x'"):
            requests.start("x", "run", {})


def test_active_tape_configurations_are_listed_by_name(register):
    with register.session() as session:
        Portfolios(session).create("Auto", date(2025, 1, 1), portfolio_id="a")
        configs = TapeConfigs(session)
        fields = ["loan_id", {"field": "principal_outstanding", "as": "UPB"}]
        configs.create("Weekly", "a", required_fields=fields, tape_format="xlsx", tape_schedule="weekly")
        configs.create("Daily", "a", required_fields=["loan_id"])
        configs.create("Old", "a", required_fields=["loan_id"]).active = False
    with register.session() as session:
        daily, weekly = TapeConfigs(session).active()
        assert (daily.name, daily.tape_format, daily.tape_schedule) == ("Daily", "csv", "daily")
        assert (weekly.name, weekly.tape_format, weekly.required_fields) == ("Weekly", "xlsx", fields)
        assert TapeConfigs(session).by_name("Old").active is False
        with pytest.raises(RegisterError, match=r"no tape 'Dail': did you mean 'Daily'\?"):
            TapeConfigs(session).by_name("Dail")
        with pytest.raises(RegisterError, match=r"tape 'Daily' .* already exists"):
            TapeConfigs(session).create("Daily", "a", required_fields=["loan_id"])


def test_notifications_are_listed_latest_first(register):
    with register.session() as session:
        notifications = Notifications(session)
        for recipient, subject in (("ann", "one"), ("bob", "two"), ("ann", "three")):
            notifications.create(
                "high_par",
                "critical",
                recipient=recipient,
                subject=subject,
                body="PAR 30 is 16 %",
                action_required=True,
                alert_data={"par_30": 0.16},
                business_date=date(2025, 1, 31),
            )
    with register.session() as session:
        assert [note.subject for note in Notifications(session).recent()] == ["three", "two", "one"]
        (bobs,) = Notifications(session).recent("bob")
    assert (bobs.subject, bobs.priority, bobs.action_required) == ("two", "critical", True)
    assert (bobs.alert_data, bobs.business_date, bobs.read_at) == ({"par_30": 0.16}, date(2025, 1, 31), None)
