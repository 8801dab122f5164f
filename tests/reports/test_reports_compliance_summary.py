"""Eight checks of three rules, small enough to count; and on a whole lender's home."""

from datetime import date

import pytest
from tiny_lake import TinyLake, generate, rows, table

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.registry import get

FEB = date(2025, 2, 28)
RULES = {"KYC-1": ("Identity verified", "kyc"), "KYC-2": ("Address verified", "kyc"), "LIQ-1": ("Liquidity", "house")}


def _check(number, rule, on, passed, loan_id="L1", detail=None):
    name, category = RULES[rule]
    return {
        "check_id": f"K{number}",
        "rule_code": rule,
        "rule_name": name,
        "category": category,
        "loan_id": loan_id,
        "checked_on": date.fromisoformat(on),
        "passed": passed,
        "detail": detail,
    }


@pytest.fixture
def lake():
    return TinyLake(
        {
            "compliance_checks": [
                _check(1, "KYC-1", "2025-01-31", False, detail="expired"),
                _check(2, "KYC-1", "2025-02-01", True),
                _check(3, "KYC-1", "2025-02-10", False, loan_id="L2", detail="=cmd|' /C calc'!A0 身分證"),
                _check(4, "KYC-1", "2025-02-20", True, loan_id="L2"),
                _check(5, "KYC-1", "2025-02-28", True),
                _check(6, "KYC-2", "2025-02-28", False, detail="n" * 200),
                _check(7, "LIQ-1", "2025-02-01", True, loan_id=None),
                _check(8, "LIQ-1", "2025-03-01", False, loan_id=None),
            ],
            "loan_positions": [
                {"business_date": FEB, "loan_id": loan, "branch_id": branch}
                for loan, branch in (("L1", "B1"), ("L2", "B2"))
            ],
            "portfolio_snapshots": [
                {"business_date": FEB, "scope": "branch", "scope_id": key, "name": name}
                for key, name in (("B1", "North"), ("B2", "South"))
            ],
        }
    )


def _counts(rows, key):
    return {row[key]: (row["checks"], row["passed_checks"], row["failed_checks"], row["pass_rate"]) for row in rows}


def test_pass_rates_of_the_period_per_rule_and_category(report):
    book = report("compliance_summary")
    assert book.title == "Compliance summary: all loans, February 2025"
    assert _counts(rows(book, "By rule"), "rule_code") == {
        "KYC-1": (4, 3, 1, 0.75),
        "KYC-2": (1, 0, 1, 0.0),
        "LIQ-1": (1, 1, 0, 1.0),
    }
    assert _counts(rows(book, "By category"), "category") == {"house": (1, 1, 0, 1.0), "kyc": (5, 3, 2, 0.6)}
    assert _counts(table(book, "By rule").totals, "category") == {"Total": (6, 4, 2, pytest.approx(4 / 6))}
    assert _counts(rows(book, "By month"), "checked_month") == {
        "2025-01": (1, 0, 1, 0.0),
        "2025-02": (6, 4, 2, pytest.approx(4 / 6)),
    }
    assert [chart.table for chart in book.charts] == ["By category", "By month"]


def test_every_failure_is_listed_the_latest_first(report):
    book = report("compliance_summary", allow_pii=True)
    assert [(row["check_id"], row["loan_id"], row["detail"]) for row in rows(book, "Failures")] == [
        ("K6", "L1", "n" * 200),
        ("K3", "L2", "=cmd|' /C calc'!A0 身分證"),
    ]
    assert book.notes == []
    cut = report("compliance_summary", allow_pii=True, max_failures=1)
    assert [row["check_id"] for row in rows(cut, "Failures")] == ["K6"]
    assert cut.notes == ["Failures: first 1 of 2."]


def test_the_checks_of_a_branchs_loans(report):
    book = report("compliance_summary", branch="south")
    assert _counts(rows(book, "By rule"), "rule_code") == {"KYC-1": (2, 1, 1, 0.5)}
    assert book.notes[0] == "Checks that concern no loan are left out."
    with pytest.raises(LendingError, match="no branch 'Nort' on 2025-02-28; did you mean 'North'"):
        report("compliance_summary", branch="Nort")


def test_a_day_is_covered_where_it_says_which_loans_are_meant(lake):
    generator = get("compliance_summary")
    assert generator.covers(generator.parameters(), lake) == []
    assert generator.covers(generator.parameters(branch="B1"), lake) == [FEB]


def test_nothing_failed_nothing_checked_and_no_checks_at_all_are_different(lake, report):
    passed = report("compliance_summary", period="custom", from_date="2025-02-01", to_date="2025-02-09")
    assert table(passed, "Failures").no_data == "every check passed"
    quiet = report("compliance_summary", period="custom", from_date="2020-01-01", to_date="2020-01-31")
    for title in ("By rule", "By category", "Failures"):
        assert table(quiet, title).no_data == "no check was made from 2020-01-01 to 2020-01-31"
    lake.rows["compliance_checks"] = []
    without = report("compliance_summary")
    assert {t.no_data for t in without.tables} == {"the source has no compliance_checks"}
    assert (without.charts, without.summary) == ([], {})


def test_every_check_of_the_lender_is_counted_once(closed_home, home_source):
    book = generate(home_source, "compliance_summary", period="year")
    made = [
        row
        for row in closed_home.rows("compliance_checks")
        if date(2025, 1, 1) <= row["checked_on"] <= date(2025, 3, 14)
    ]
    assert sum(row["checks"] for row in rows(book, "By rule")) == len(made) > 100
    failed = sorted(row["check_id"] for row in made if not row["passed"])
    assert sorted(row["check_id"] for row in rows(book, "Failures")) == failed
    assert book.summary["pass_rate"] == pytest.approx(1 - len(failed) / len(made))
