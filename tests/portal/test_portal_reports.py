"""The pages of reports: forms from the parameters, requests within the scope, and files that are what was made."""

import hashlib
import re
from html import unescape
from uuid import uuid4

import pytest
from homes import PORTFOLIO, Home
from people import People

from lending_pipelines.portal.views import report_rules
from lending_pipelines.register import Accounts, ReportRequests, RoleGiven
from lending_pipelines.reports.parameters import form_order
from lending_pipelines.reports.registry import get, report_types

HOSTILE = "<script>alert('report')</script>"


def ask(browser, report_type: str, **values: str):
    """Post the form of a report."""
    data = {"output_format": "csv", "once": uuid4().hex, **values}
    return browser.post(f"/reports/new/{report_type}", data=data)


def request_of(home: Home, answer):
    """The register's row of the request that an answer leads to."""
    assert answer.status_code == 303, unescape(answer.text)
    with home.register() as session:
        return ReportRequests(session).get(answer.headers["location"].rpartition("/")[2])


@pytest.fixture(scope="module")
def branch(own_home: Home) -> str:
    """A branch, and an auditor `north` and a controller `south` who are limited to it."""
    branch = min(row["branch_id"] for row in own_home.rows("branches"))
    with own_home.register() as session:
        admin = Accounts(session).get("admin")
        for name, role in (("north", "auditor"), ("south", "controller")):
            given = [RoleGiven.checked(role, {"branches": [branch]})]
            Accounts(session).create(name, name, given, password_hash=admin.password_hash)
    return branch


@pytest.mark.parametrize("report_type", report_types())
def test_the_form_has_every_parameter_in_the_launchpads_order(own_people: People, report_type):
    page = own_people.sign_in("admin").get(f"/reports/new/{report_type}").text
    fields = re.findall(
        r'<(?:input|select|textarea) class="input" id="(\w+)"|<input type="checkbox" id="(\w+)-true"', page
    )
    names = [first or second for first, second in fields]
    model = get(report_type).parameters
    own = [name for name in form_order(model) if name in model.model_fields]
    # The two that are rarely needed come last, as in the launchpad, after the format and behind "More".
    last = [name for name in own if name in ("known_at", "conventions")]
    assert names == [*(name for name in own if name not in last), "output_format", *last]
    for name in own:
        assert (model.model_fields[name].description or "") in unescape(page)


def test_a_request_is_pending_with_all_parameters_and_one_that_is_sent_twice_is_made_once(own_people: People, own_home):
    browser, once = own_people.sign_in("controller"), uuid4().hex
    answers = [ask(browser, "loan_tape", once=once, portfolio=PORTFOLIO.lower(), status="active") for _ in range(2)]
    assert len({answer.headers["location"] for answer in answers}) == 1
    report = request_of(own_home, answers[0])
    (portfolio,) = {row["portfolio_id"] for row in own_home.rows("portfolio_membership")}
    assert (report.status, report.requested_by, report.output_format) == ("pending", "controller", "csv")
    # The name became the id, so that the scope of a report can be decided by it.
    assert (report.parameters["portfolio"], report.parameters["status"]) == (portfolio, "active")
    assert set(report.parameters) == set(get("loan_tape").parameters.model_fields)
    from lending_pipelines.jobs import report_run_config

    assert report_run_config(report.report_type, report.parameters, output_format="csv")
    page = browser.get(answers[0].headers["location"])
    assert "Waiting to be started" in page.text
    assert f'sse-connect="/reports/requests/{report.report_id}/events"' in page.text


def test_a_request_is_followed_until_it_has_ended(own_people: People, own_home, monkeypatch):
    monkeypatch.setattr("lending_pipelines.portal.web.live.OPEN_SECONDS", 0.1)
    browser = own_people.sign_in("controller")
    report = request_of(own_home, ask(browser, "loan_tape"))
    events = f"/reports/requests/{report.report_id}/events"
    open_answer = browser.get(events)
    assert open_answer.headers["content-type"].startswith("text/event-stream")
    assert open_answer.text.startswith("retry: 500\n\nevent: status\ndata: ")
    assert ("Waiting to be started" in open_answer.text, "event: done" in open_answer.text) == (True, False)
    with own_home.register() as session:
        requests = ReportRequests(session)
        requests.start(report.report_id, "run", report.parameters)
        requests.fail(report.report_id, HOSTILE)
    ended = browser.get(events).text
    assert ("The report could not be made" in ended, ended.endswith("event: done\ndata: \n\n")) == (True, True)
    assert HOSTILE not in ended
    assert "sse-connect" not in browser.get(f"/reports/requests/{report.report_id}").text
    assert own_people.sign_in("manager").get(events).status_code == 404


def test_errors_are_at_the_field_with_near_names_and_nothing_is_requested(own_people: People, own_home):
    browser = own_people.sign_in("controller")
    with own_home.register() as session:
        before = len(ReportRequests(session).all())
    answer = ask(
        browser, "loan_tape", portfolio="Consumr 2024", as_of="31.01.2025", history_months="-1", fields="loan_di"
    )
    assert answer.status_code == 422
    page = unescape(answer.text)
    errors = dict(re.findall(r'<p class="field-error" id="(\w+)-error">.*?</svg>(.*?)</p>', page, re.S))
    assert set(errors) == {"portfolio", "as_of", "history_months", "fields"}
    assert "did you mean 'Consumer 2024'?" in errors["portfolio"]
    assert "write a date like 2025-01-31" in errors["as_of"]
    assert "loan_id" in errors["fields"]
    # What was typed stays.
    assert 'value="Consumr 2024"' in page
    with own_home.register() as session:
        assert len(ReportRequests(session).all()) == before


@pytest.mark.parametrize(
    ("report_type", "values"),
    [
        ("loan_tape", {"as_of": HOSTILE}),
        ("loan_tape", {"portfolio": HOSTILE}),
        ("loan_tape", {"unknown": HOSTILE}),
        ("loan_tape", {"output_format": HOSTILE}),
        ("vintage_analysis", {"cohort": "\x00", "months": "1e99"}),
        ("delinquency_aging", {"portfolio": "' OR 1=1 --", "branch": "x" * 10_000}),
        ("delinquency_aging", {"history": "९"}),
        ("fee_revenue", {"period": "custom", "from_date": "2025-13-01", "to_date": ""}),
        # A statement of account is personal data.
        ("borrower_statement", {"loan": "L000000001"}),
    ],
)
def test_bad_values_are_refused_as_text(own_people: People, report_type, values):
    answer = ask(own_people.sign_in("admin"), report_type, **values)
    assert answer.status_code == 422
    assert HOSTILE not in answer.text


def test_a_manager_gets_the_days_of_the_own_people_only(own_people: People, own_home, book):
    browser = own_people.sign_in("manager")
    page = unescape(browser.get("/reports").text)
    assert "1 of 29 reports are available to you" in page
    assert "It has numbers of the whole lender and cannot be limited to your officers." in page
    assert ask(browser, "trial_balance").status_code == 403
    assert ask(browser, "borrower_statement", loan="L000000001", allow_pii="true").status_code == 403
    assert ask(browser, "loan_tape").status_code == 403
    outside = ask(browser, "manager_performance", manager=book.officer)
    assert (outside.status_code, "there is no manager" in unescape(outside.text)) == (422, True)
    # Without a manager the report would have everybody.
    assert ask(browser, "manager_performance", manager="ALL").status_code == 422
    report = request_of(own_home, ask(browser, "manager_performance", manager=book.leader, contents="report"))
    # The report itself compares with the branch, which is not the manager's.
    assert (report.parameters["manager"], report.parameters["contents"]) == (book.leader, "days")
    options = re.search(
        r'<select class="input" id="manager".*?</select>', browser.get("/reports/new/manager_performance").text, re.S
    )
    assert set(re.findall(r'value="(\w+)"', options[0])) == set(book.team)


def test_a_limited_role_requests_and_sees_reports_of_its_branch_alone(own_people: People, own_home, branch):
    south, north, admin = (own_people.sign_in(name) for name in ("south", "north", "admin"))
    assert ask(south, "fee_revenue", branch="ALL").status_code == 422
    own = request_of(own_home, ask(south, "fee_revenue", branch=branch))
    whole = request_of(own_home, ask(admin, "fee_revenue"))
    assert north.get(f"/reports/requests/{own.report_id}").status_code == 200
    assert north.get(f"/reports/requests/{whole.report_id}").status_code == 404
    assert south.get(f"/reports/requests/{whole.report_id}/file").status_code == 404
    listed = north.get("/reports/requests").text
    assert (own.report_id in listed, whole.report_id in listed) == (True, False)
    assert ask(north, "fee_revenue", branch=branch).status_code == 403


def test_the_reason_of_a_failure_is_left_out_for_a_limited_role(own_people: People, own_home, branch):
    reason = "report fee_revenue is blocked by 1 failed check(s): loan_positions.principal: L-OF-ANOTHER owes -1.00 EUR"
    with own_home.register() as session:
        requests = ReportRequests(session)
        report_id = requests.create("fee_revenue", {"branch": branch}, "csv", "south")
        requests.start(report_id, "run", requests.get(report_id).parameters)
        requests.fail(report_id, reason)
    paths = (f"/reports/requests/{report_id}", f"/reports/requests/{report_id}/events", f"/api/v1/reports/{report_id}")
    for path in (*paths, "/api/v1/reports", "/api/v1/reports?format=csv", "/reports/requests"):
        assert "L-OF-ANOTHER" not in own_people.sign_in("south").get(path).text
    for path in paths:
        assert "an administrator can read it" in own_people.sign_in("south").get(path).text
        assert "L-OF-ANOTHER" in own_people.sign_in("admin").get(path).text


@pytest.mark.parametrize("rules", ["/etc/passwd", "rules.toml", "C:\\rules.json"])
def test_a_report_from_the_portal_reads_no_file_of_the_server(own_people: People, rules):
    answer = ask(own_people.sign_in("admin"), "borrowing_base", rules=rules)
    assert (answer.status_code, "write default, or JSON" in answer.text) == (422, True)
    assert ask(own_people.sign_in("admin"), "borrowing_base", rules='{"advance_rate": 0.8}').status_code == 303


def test_platform_activity_needs_the_right_to_the_platforms_pages(own_people: People):
    assert ask(own_people.sign_in("controller"), "platform_activity").status_code == 403
    assert ask(own_people.sign_in("admin"), "platform_activity").status_code == 303


def completed(home: Home, content: bytes, place: str = "") -> str:
    """A completed request with that file, and its id."""
    path = home.folder / "exports" / "reports" / "a report.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with home.register() as session:
        requests = ReportRequests(session)
        report_id = requests.create("trial_balance", {}, "csv", "admin")
        requests.start(report_id, "run", {"as_of": "2025-03-14", "known_at": HOSTILE})
        requests.complete(report_id, place or str(path), hashlib.sha256(content).hexdigest(), {"EUR": {"x": "1"}})
    return report_id


def test_a_download_is_what_was_made_and_is_recorded(own_people: People, own_home):
    from lending_pipelines.register import AuditLog

    report_id = completed(own_home, b"a,b\n1,2\n")
    browser = own_people.sign_in("auditor")
    page = browser.get(f"/reports/requests/{report_id}").text
    assert HOSTILE not in page
    assert unescape(page).count(HOSTILE) == 1
    answer = browser.get(f"/reports/requests/{report_id}/file")
    assert (answer.status_code, answer.content) == (200, b"a,b\n1,2\n")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20report.csv"
    with own_home.register() as session:
        entry = AuditLog(session).recent(account="auditor", action="reports.read", limit=1)[0]
    assert (entry.outcome, entry.sha256) == ("allowed", hashlib.sha256(b"a,b\n1,2\n").hexdigest())
    (own_home.folder / "exports" / "reports" / "a report.csv").write_bytes(b"a,b\n1,3\n")
    changed = browser.get(f"/reports/requests/{report_id}/file")
    assert (changed.status_code, "its SHA-256 differs" in changed.text) == (409, True)


@pytest.mark.parametrize("place", ["{home}/register.db", "{home}/exports/../register.db", "file://{home}/register.db"])
def test_no_file_outside_the_exports_is_sent(own_people: People, own_home, place):
    content = (own_home.folder / "register.db").read_bytes()
    report_id = completed(own_home, content, place.format(home=own_home.folder))
    answer = own_people.sign_in("admin").get(f"/reports/requests/{report_id}/file")
    assert (answer.status_code, "not in the folder of exports" in answer.text) == (409, True)


def test_every_rule_names_parameters_of_its_report():
    for report_type, limit in report_rules.LIMITS.items():
        fields = get(report_type).parameters.model_fields
        # portfolio_returns and the like take all three; the others have the branch at least.
        assert {*limit.parameters.values(), *limit.fixed} <= set(fields), report_type
