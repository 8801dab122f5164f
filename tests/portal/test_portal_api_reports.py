"""Reports by the API: requested once, within the scope, polled, downloaded as they were made."""

import hashlib

import pytest
from people import People

from lending_pipelines.register import ReportRequests

API = "/api/v1"
SUMMARY = {"report_type": "portfolio_summary", "output_format": "csv"}


def made(portal_home, report_id, content=b"a,b\n1,2\n"):
    """Complete a request with a file, as its run does."""
    file = portal_home.folder / "exports" / "reports" / f"{report_id}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    with portal_home.register() as session:
        ReportRequests(session).start(report_id, "run", ReportRequests(session).get(report_id).parameters)
        ReportRequests(session).complete(report_id, str(file), hashlib.sha256(content).hexdigest(), {})
    return file


def test_a_report_is_requested_once_polled_and_downloaded(people: People, portal_home):
    browser = people.sign_in("controller")
    asked = [browser.post(f"{API}/reports", json=SUMMARY, headers={"idempotency-key": "r1"}) for _ in range(2)]
    assert [answer.status_code for answer in asked] == [202, 202], asked[0].text
    report_id = asked[0].json()["report_id"]
    assert asked[1].json()["report_id"] == report_id
    assert asked[0].headers["location"] == f"{API}/reports/{report_id}"
    listed = browser.get(f"{API}/reports", params={"report_type": "portfolio_summary"}).json()["data"]
    assert [row["report_id"] for row in listed].count(report_id) == 1
    pending = browser.get(f"{API}/reports/{report_id}")
    assert (pending.json()["status"], pending.json()["file"], "retry-after" in pending.headers) == (
        "pending",
        None,
        True,
    )
    assert browser.get(f"{API}/reports/{report_id}/file").status_code == 409
    file = made(portal_home, report_id)
    path = browser.get(f"{API}/reports/{report_id}").json()["file"]
    assert browser.get(path).content == file.read_bytes()
    file.write_bytes(b"changed")
    assert browser.get(path).status_code == 409


def test_the_same_key_for_another_report_is_refused(people: People):
    browser = people.sign_in("controller")
    headers = {"idempotency-key": "r2"}
    assert browser.post(f"{API}/reports", json=SUMMARY, headers=headers).status_code == 202
    other = SUMMARY | {"parameters": {"as_of": "2025-02-28"}}
    assert browser.post(f"{API}/reports", json=other, headers=headers).status_code == 409
    # Another person's key is another key.
    assert people.sign_in("admin").post(f"{API}/reports", json=other, headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("sent", "field", "message"),
    [
        ({"report_type": "portfolio_sumary"}, "report_type", "did you mean 'portfolio_summary'"),
        (SUMMARY | {"parameters": {"as_off": "latest"}}, "parameters.as_off", "did you mean 'as_of'"),
        (SUMMARY | {"parameters": {"as_of": "tomorrow"}}, "parameters.as_of", "write a date like 2025-01-31"),
        (SUMMARY | {"output_format": "docx"}, "output_format", "use one of"),
        (SUMMARY | {"format": "csv"}, "format", "did you mean 'output_format'"),
    ],
)
def test_a_wrong_request_names_the_field_and_what_to_write(people: People, sent, field, message):
    answer = people.sign_in("controller").post(f"{API}/reports", json=sent)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["field"] == field
    assert message in fault["message"]


def test_a_manager_gets_reports_of_the_own_team_only(people: People, book):
    browser = people.sign_in("manager")
    types = {each["report_type"]: each for each in browser.get(f"{API}/report-types").json()["data"]}
    assert not types["general_ledger"]["allowed"]
    assert browser.post(f"{API}/reports", json={"report_type": "general_ledger"}).status_code == 403
    own = {"report_type": "manager_performance", "parameters": {"manager": book.leader}}
    asked = browser.post(f"{API}/reports", json=own)
    assert asked.status_code == 202, asked.text
    other = {"report_type": "manager_performance", "parameters": {"manager": book.officer}}
    assert browser.post(f"{API}/reports", json=other).status_code == 422
    whole = people.sign_in("controller").post(f"{API}/reports", json=SUMMARY).json()["report_id"]
    assert browser.get(f"{API}/reports/{whole}").status_code == 404
    assert browser.get(f"{API}/reports/{asked.json()['report_id']}").status_code == 200
    assert people.sign_in("investor").get(f"{API}/reports").status_code == 403
