"""Days that another version of the program closed: every loan is compared, the latest days first.

The usual loan, of which nothing is paid: due 510.00 on 10 February 2025, so 1 and 2 days past due on the 11th and 12th.
"""

import sys
from datetime import date, datetime
from pathlib import Path

import ibis
import pytest

sys.path.append(str(Path(__file__).parents[1] / "metrics"))

from book import Book, pay, usual
from closing import Lender, by_value

from lending_pipelines.conventions import Conventions
from lending_pipelines.restatements import detect, is_outdated, programs

FEB_9, FEB_11, FEB_12 = date(2025, 2, 9), date(2025, 2, 11), date(2025, 2, 12)
LATER = datetime(2025, 3, 1, 10)
CAUSE = "program version 1.0.0 instead of 0.9.0"


def close_by_earlier_program(lender, first, last):
    """Close days by a version that counted the due date itself as a day past due."""
    with pytest.MonkeyPatch.context() as earlier:
        earlier.setattr("lending_pipelines.lake.lake.__version__", "0.9.0")
        lender.close(first, last)
    rows = lender.lake.table("loan_positions", first, last)
    late = rows.days_past_due + ibis.ifelse(rows.business_date > date(2025, 2, 10), 1, 0)
    lender.lake.replace_days("loan_positions", rows.mutate(days_past_due=late), first, last)


def set_version(monkeypatch, version):
    for module in ("closes", "note", "programs", "detect"):
        monkeypatch.setattr(sys.modules[f"lending_pipelines.restatements.{module}"], "__version__", version)


@pytest.fixture(autouse=True)
def _version(monkeypatch):
    set_version(monkeypatch, "1.0.0")


@pytest.fixture(scope="module")
def closed_lender(tmp_path_factory):
    book = Book()
    usual(book)
    usual(book, "L2")
    lender = Lender(tmp_path_factory.mktemp("closed"), book)
    lender.sync(datetime(2025, 2, 12, 20))
    close_by_earlier_program(lender, FEB_9, FEB_12)
    lender.engine.close()
    return lender


@pytest.fixture
def lender(closed_lender, tmp_path):
    lender = closed_lender.copy(tmp_path)
    yield lender
    lender.engine.close()


def test_what_the_program_computes_otherwise_is_found_once_and_compared_again_by_a_third_version(lender, monkeypatch):
    rows = lender.detect()
    assert len(rows) == 4
    assert by_value(rows) == {
        (day, loan, "days_past_due"): (str(late + 1), str(late))
        for day, late in ((FEB_11, 1), (FEB_12, 2))
        for loan in ("L1", "L2")
    }
    assert {(row["caused_by"], row["posted_at"], row["difference"]) for row in rows} == {(CAUSE, None, -1)}
    assert lender.detect() == []
    set_version(monkeypatch, "1.1.0")
    assert is_outdated(lender.lake, Conventions())
    # It computes what 1.0.0 computed: what is known already is not added again.
    assert lender.detect() == []
    assert not is_outdated(lender.lake, Conventions())


def test_a_detection_compares_a_limited_number_and_the_next_one_continues(lender, monkeypatch):
    monkeypatch.setattr(programs, "POSITIONS_OF_A_DETECTION", 2)
    lefts, days = [], []
    for _ in range(5):
        assert is_outdated(lender.lake, Conventions()) == (len(lefts) < 4)
        found = detect(lender.lake, Conventions())
        rows = lender.lake.table("restatements").to_pyarrow().to_pylist()
        lefts.append(found.days_left)
        days.append({row["business_date"] for row in rows if row["detected_at"] == found.at})
    assert lefts == [3, 2, 1, 0, 0]
    assert days == [{FEB_12}, {FEB_11}, set(), set(), set()]


def test_a_changed_event_is_the_cause_where_there_is_one(lender):
    # 500.00 + 10.00 of the 12th, so L1 owes nothing on that day: reported 3 days past due, now 0.
    name = pay(lender.book, "2025-02-12", posted_at=LATER)
    lender.sync(LATER)
    rows = lender.detect()
    values = by_value(rows)
    assert len(values) == len(rows)
    late = {key[:2]: (values[key], row["caused_by"]) for key, row in zip(values, rows, strict=True) if "days" in key[2]}
    assert late == {
        (FEB_11, "L1"): (("2", "1"), CAUSE),
        (FEB_11, "L2"): (("2", "1"), CAUSE),
        (FEB_12, "L1"): (("3", "0"), f"transaction {name}"),
        (FEB_12, "L2"): (("3", "2"), CAUSE),
    }
    assert values[FEB_12, "L1", "principal_outstanding"] == ("1000.00", "500.00")


def test_a_day_closed_again_by_this_version_does_not_differ(lender):
    lender.close(FEB_12, FEB_12)
    assert {day for day, _, _ in by_value(lender.detect())} == {FEB_11}


def test_days_under_other_conventions_have_one_row_and_are_compared_once_the_conventions_are_back(lender):
    other = Conventions(non_accrual_days=60)
    rows = lender.detect(other)
    assert {(row["loan_id"], row["column"]) for row in rows} == {("*", "conventions")}
    assert {key[1:] for key in by_value(lender.detect())} == {
        ("*", "conventions"),
        ("L1", "days_past_due"),
        ("L2", "days_past_due"),
    }
