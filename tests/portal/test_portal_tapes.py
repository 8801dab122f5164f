"""The pages of tapes: who sees them, the calendar, receipts and corrections, and changes that are checked."""

import hashlib
import re
from datetime import date
from html import unescape

import pytest
from deliveries import deliver, file_of
from homes import LAST, MONTHLY_TAPE, YEARLY_TAPE, Home
from people import People

from lending_pipelines.register import AuditLog, TapeConfigs
from lending_pipelines.register.models import LoanTapeConfig, TapeDelivery

MONTH_END = date(2025, 2, 28)


@pytest.fixture(scope="module")
def tapes(own_home: Home) -> dict[str, str]:
    """The ids of the tapes by name."""
    with own_home.register() as session:
        return {each.name: each.config_id for each in TapeConfigs(session).all()}


def test_the_calendar_shows_due_and_delivered_days_and_receipts_hide_passwords(own_people: People, own_home, tapes):
    file = file_of(own_home, "consumer-monthly", MONTH_END)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    deliver(own_home, tapes[MONTHLY_TAPE], MONTH_END, digest, 40)
    browser = own_people.sign_in("auditor")
    page = unescape(browser.get(f"/tapes/{tapes[MONTHLY_TAPE]}?month=2025-02").text)
    calendar = re.search(r'<table class="calendar">(.*?)</table>', page, re.S)[1]
    states = re.findall(r'<span class="calendar-day">|<a class="calendar-day" href="([^"]+)">', calendar)
    # Of the five weeks of February 2025 only its last day is due: it is delivered and opens the day's page.
    assert [each for each in states if each] == [f"/tapes/{tapes[MONTHLY_TAPE]}/days/2025-02-28"]
    assert len(states) == 35
    assert "Delivered" in calendar
    assert "secret" not in page
    assert "sftp://bank:***@files.example.com/in" in page
    day = unescape(browser.get(f"/tapes/{tapes[MONTHLY_TAPE]}/days/2025-02-28").text)
    assert digest in day
    assert "Version 1" in day
    got = browser.get(f"/tapes/{tapes[MONTHLY_TAPE]}/days/2025-02-28/files/{file.name}")
    assert (got.status_code, got.content) == (200, file.read_bytes())
    with own_home.register() as session:
        entry = AuditLog(session).recent(account="auditor", action="tapes.read", limit=1)[0]
    manifest_rows = len(file.read_text(encoding="utf-8").splitlines()) - 1
    assert (entry.outcome, entry.sha256, entry.rows) == ("allowed", digest, manifest_rows)


def test_an_investor_sees_the_own_tapes_only_and_files_that_were_delivered(own_people: People, own_home, tapes):
    browser = own_people.sign_in("investor")
    listed = unescape(browser.get("/tapes").text)
    assert (YEARLY_TAPE in listed, MONTHLY_TAPE in listed) == (True, False)
    assert browser.get(f"/tapes/{tapes[MONTHLY_TAPE]}").status_code == 404
    assert browser.get(f"/tapes/{tapes[MONTHLY_TAPE]}/days/2025-02-28").status_code == 404
    file = file_of(own_home, "fund-yearly", LAST)
    link = f"/tapes/{tapes[YEARLY_TAPE]}/days/{LAST}/files/{file.name}"
    assert browser.get(link).status_code == 404
    deliver(own_home, tapes[YEARLY_TAPE], LAST, hashlib.sha256(file.read_bytes()).hexdigest(), 20)
    assert browser.get(link).content == file.read_bytes()
    for name in ("..%2F..%2F..%2Fregister.db", f"{file.name}.manifest.json", "%00"):
        assert browser.get(f"/tapes/{tapes[YEARLY_TAPE]}/days/{LAST}/files/{name}").status_code in (404, 422)
    assert browser.get(f"/tapes/{tapes[YEARLY_TAPE]}/edit").status_code == 403
    assert browser.post(f"/tapes/{tapes[YEARLY_TAPE]}/pause").status_code == 403


@pytest.fixture
def delivered(own_home, tapes) -> None:
    """Both tapes are delivered. Nothing changes if they are already."""
    for name, slug, day, rows in (
        (MONTHLY_TAPE, "consumer-monthly", MONTH_END, 40),
        (YEARLY_TAPE, "fund-yearly", LAST, 20),
    ):
        digest = hashlib.sha256(file_of(own_home, slug, day).read_bytes()).hexdigest()
        deliver(own_home, tapes[name], day, digest, rows)


@pytest.mark.usefixtures("delivered")
def test_the_api_has_the_calendar_and_sends_delivered_files_only(own_people: People, own_home, tapes):
    monthly, yearly = f"/api/v1/tapes/{tapes[MONTHLY_TAPE]}", f"/api/v1/tapes/{tapes[YEARLY_TAPE]}"
    staff, investor = own_people.sign_in("auditor"), own_people.sign_in("investor")
    # Of March 2025, the yearly tape of 14 March is delivered; the monthly one is due on its last day.
    assert staff.get(f"{yearly}/calendar?month=2025-03").json()["data"] == [
        {"business_date": "2025-03-14", "state": "delivered", "corrections": 0}
    ]
    days = staff.get(f"{monthly}/calendar?month=2025-03").json()["data"]
    assert [each["business_date"] for each in days] == ["2025-03-31"]
    assert staff.get(f"{monthly}/calendar?month=March").json()["errors"][0]["message"] == "write a month like 2025-03"
    file = file_of(own_home, "fund-yearly", LAST)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    sent = investor.get(f"{yearly}/deliveries").json()["data"]
    assert [(each["status"], each["sha256"]) for each in sent] == [("delivered", digest)] * 2
    assert "secret" not in str(sent)
    link = f"{yearly}/deliveries/{sent[0]['delivery_id']}/file"
    got = investor.get(link)
    assert (got.status_code, got.content, got.headers["x-content-sha256"]) == (200, file.read_bytes(), digest)
    with own_home.register() as session:
        entry = AuditLog(session).recent(account="investor", action="tapes.read", limit=1)[0]
    assert (entry.outcome, entry.sha256, entry.rows) == ("allowed", digest, 20)
    # It is the first version of the day, which has no changes.
    assert investor.get(link, params={"content": "changes"}).status_code == 404
    (other, *_) = staff.get(f"{monthly}/deliveries").json()["data"]
    assert staff.get(f"{monthly}/deliveries/{other['delivery_id']}/file").status_code == 200
    for path in (
        f"{monthly}/calendar",
        f"{monthly}/deliveries/{other['delivery_id']}/file",
        f"{yearly}/deliveries/{other['delivery_id']}/file",
    ):
        assert investor.get(path).status_code == 404
    assert own_people.sign_in("manager").get(link).status_code == 403


@pytest.mark.usefixtures("delivered")
def test_the_api_sends_no_file_before_its_delivery_none_that_changed_and_no_personal_data(
    own_people: People, own_home, tapes
):
    base = f"/api/v1/tapes/{tapes[YEARLY_TAPE]}/deliveries"
    staff, investor = own_people.sign_in("controller"), own_people.sign_in("investor")
    delivery_id = staff.get(base).json()["data"][0]["delivery_id"]

    def answers() -> tuple[int, int]:
        link = f"{base}/{delivery_id}/file"
        return staff.get(link).status_code, investor.get(link).status_code

    def change(**values) -> None:
        with own_home.register() as session:
            delivery, config = session.get(TapeDelivery, delivery_id), session.get(LoanTapeConfig, tapes[YEARLY_TAPE])
            for name, value in values.items():
                setattr(config if name == "allow_pii" else delivery, name, value)

    change(status="pending")
    assert answers() == (409, 409)
    change(status="delivered", allow_pii=True)
    assert answers() == (200, 403)
    with own_home.register() as session:
        shown = AuditLog(session).recent(account="controller", action="personal.show", limit=1)
    file = file_of(own_home, "fund-yearly", LAST)
    assert [each.resource for each in shown] == [f"tape {YEARLY_TAPE} {LAST} {file.name}"]
    change(allow_pii=False)
    content = file.read_bytes()
    try:
        file.write_bytes(content + b"x")
        assert answers() == (409, 409)
    finally:
        file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    change(sha256="0" * 64)
    assert answers() == (410, 410)
    change(sha256=digest)


def settings(home: Home, config_id: str, browser) -> dict[str, str]:
    """The values of the form, as a browser sends them."""
    page = unescape(browser.get(f"/tapes/{config_id}/edit").text)
    values = dict(re.findall(r'<input class="input" id="(\w+)" name="\w+" type="\w+" value="([^"]*)"', page))
    values |= dict(re.findall(r'<textarea class="input" id="(\w+)"[^>]*>(.*?)</textarea>', page, re.S))
    for name, options in re.findall(r'<select class="input" id="(\w+)".*?>(.*?)</select>', page, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options)
        values[name] = chosen[1] if chosen else ""
    return values


def test_saving_the_form_unchanged_changes_nothing(own_people: People, own_home, tapes):
    browser, config_id = own_people.sign_in("controller"), tapes[MONTHLY_TAPE]

    def stored():
        with own_home.register() as session:
            config = session.get(LoanTapeConfig, config_id)
            return {name: getattr(config, name) for name in LoanTapeConfig.__table__.c.keys()}  # noqa: SIM118 - not a dict

    before = stored()
    answer = browser.post(f"/tapes/{config_id}/edit", data=settings(own_home, config_id, browser))
    assert answer.status_code == 303, unescape(answer.text)
    assert {name: value or None for name, value in stored().items()} == {
        name: value or None for name, value in before.items()
    }


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("tape_schedule", "fortnightly", "is not valid"),
        ("required_fields", "loan_id\nlaon_status as status", "did you mean"),
        ("deliver_from", "31.03.2025", "write a date like 2025-01-31"),
        ("late_after_hours", "-1", "write a whole number of hours"),
        ("template_values", "CODE", "CODE = value"),
        ("portfolio", "<script>", "choose a portfolio"),
        ("investor", "nothing", "choose an investor"),
        ("recipient_email", "nobody", "nobody"),
        ("holiday_calendar", "XNYS", "needs a business_day_convention"),
        ("tape_format", "docx", "should be 'csv', 'xlsx', 'parquet' or 'xml'"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_to_write_and_nothing_is_saved(
    own_people: People, own_home, tapes, field, value, told
):
    browser, config_id = own_people.sign_in("controller"), tapes[MONTHLY_TAPE]
    values = settings(own_home, config_id, browser)
    answer = browser.post(f"/tapes/{config_id}/edit", data={**values, field: value})
    assert answer.status_code == 422
    assert told in unescape(answer.text)
    assert settings(own_home, config_id, browser) == values


def test_a_tape_is_paused_and_resumed_by_posts_only(own_people: People, own_home, tapes):
    browser, config_id = own_people.sign_in("controller"), tapes[MONTHLY_TAPE]
    assert browser.get(f"/tapes/{config_id}/pause").status_code == 405
    assert browser.post(f"/tapes/{config_id}/pause", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    for action, active in (("pause", False), ("resume", True)):
        assert browser.post(f"/tapes/{config_id}/{action}").status_code == 303
        with own_home.register() as session:
            assert session.get(LoanTapeConfig, config_id).active is active


@pytest.mark.parametrize("month", ["2025-13", "0000-00", "x", "%00", "99999-01"])
def test_a_bad_month_shows_this_month(own_people: People, tapes, month):
    assert own_people.sign_in("admin").get(f"/tapes/{tapes[MONTHLY_TAPE]}?month={month}").status_code == 200
