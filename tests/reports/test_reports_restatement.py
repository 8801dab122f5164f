"""restatement: one loan whose receipt of 500.00 dated 30 October was posted on 2 November; October is locked.

1,000.00 was lent on 1 October. As closed, 30 and 31 October are 1,000.00; as known now, they are 500.00. On 10 November
the borrower pays 200.00: 1,000.00 as reported − 500.00 adjustment − 200.00 = 300.00.
"""

from datetime import date, datetime
from decimal import Decimal

import pytest
from tiny_lake import TinyLake, generate, money, rows

OCT_30, OCT_31, NOV_10 = date(2026, 10, 30), date(2026, 10, 31), date(2026, 11, 10)
CLOSED_AT, FOUND_AT = datetime(2026, 11, 1, 1), datetime(2026, 11, 3, 1)


def restated(day, column, reported, now, difference=None, found=FOUND_AT):
    return {
        "detected_at": found,
        "business_date": day,
        "loan_id": "L1",
        "column": column,
        "currency": "USD",
        "caused_by": "transaction T2",
        "posted_at": datetime(2026, 11, 2, 9),
        "reported": reported,
        "restated": now,
        "difference": None if difference is None else Decimal(difference),
    }


def position(day, principal):
    amounts = {"principal_disbursed": money("1000"), "principal_outstanding": money(principal)}
    own = {"loan_id": "L1", "portfolio_id": "F1", "currency": "USD", "status": "active", "bucket": "current"}
    return own | amounts | {"business_date": day}


def closed(day, closed_at=CLOSED_AT):
    return {"table_name": "loan_positions", "business_date": day, "closed_at": closed_at, "conventions": "{}"}


def transaction(name, kind, on, principal):
    amounts = {"principal": money(principal), "amount": money(principal)}
    return {"transaction_id": name, "loan_id": "L1", "type": kind, "effective_on": on} | amounts


def october():
    """The lake of the loan."""
    published = {"business_date": OCT_31, "sent_at": datetime(2026, 11, 1, 6)}
    tape = published | {"kind": "tape"}
    return TinyLake(
        {
            "restatements": [
                # First found as 600.00, then as 500.00: the latest counts, against what was first reported.
                restated(OCT_30, "principal_outstanding", "1000.00", "600.00", "-400", datetime(2026, 11, 2, 12)),
                restated(OCT_30, "principal_outstanding", "1000.00", "500.00", "-500"),
                restated(OCT_31, "principal_outstanding", "1000.00", "500.00", "-500"),
                restated(OCT_31, "bucket", "1-29", "current"),
                restated(OCT_31, "officer_id", "S1", "S2"),
                # Undone since: no difference is left.
                restated(OCT_31, "fees_paid", "0.00", "5.00", "5", datetime(2026, 11, 2, 12)),
                restated(OCT_31, "fees_paid", "0.00", "0.00", "0"),
            ],
            "loan_positions": [position(OCT_30, "1000"), position(OCT_31, "1000"), position(NOV_10, "300")],
            "closed_days": [closed(OCT_30), closed(OCT_31), closed(NOV_10, datetime(2026, 11, 11, 1))],
            "loans": [{"loan_id": "L1", "product_id": "P1", "currency": "USD", "disbursed_on": date(2026, 10, 1)}],
            "transactions": [
                transaction("T1", "disbursement", date(2026, 10, 1), "1000"),
                transaction("T2", "repayment", OCT_30, "500"),
            ],
            "portfolio_snapshots": [
                {"business_date": OCT_31, "scope": "all", "scope_id": "*", "currency": "USD", "loan_count": 1}
                | {"total_balance": money("1000")}
            ],
            "published": [
                tape | {"output_id": "1", "name": "X", "portfolio_id": "F1", "recipient": "a@x.example"},
                tape | {"output_id": "2", "name": "Y", "portfolio_id": "F2", "recipient": "b@x.example"},
                published | {"kind": "report", "output_id": "3", "name": "trial_balance", "recipient": "board"},
            ],
            "period_locks": [{"period_end": OCT_31, "locked_by": "Ann"}],
        }
    )


@pytest.fixture
def lake():
    return october()


@pytest.fixture(scope="module")
def book():
    """The report on the last day of October."""
    return generate(october(), "restatement", as_of="2026-10-31")


def test_days_loans_and_values(book):
    assert rows(book, "Changed days") == [
        {
            "business_date": day,
            "currency": "USD",
            "state": "locked",
            "loans": 1,
            "values": values,
            "principal_difference": money("-500.00"),
            "past_due_difference": money("0.00"),
        }
        for day, values in ((OCT_30, 1), (OCT_31, 2))
    ]
    [loan] = rows(book, "Changed loans")
    assert (loan["first_day"], loan["last_day"], loan["days"]) == (OCT_30, OCT_31, 2)
    assert (loan["principal_difference"], loan["portfolio_id"]) == (money("-500.00"), "F1")
    values = {(row["business_date"], row["column"]): row for row in rows(book, "Changed values")}
    assert set(values) == {(OCT_30, "principal_outstanding"), (OCT_31, "principal_outstanding"), (OCT_31, "bucket")}
    first = values[OCT_30, "principal_outstanding"]
    assert (first["reported"], first["restated"], first["difference"]) == ("1000.00", "500.00", money("-500.00"))
    assert book.summary == {"USD": {"days": 2, "loans": 1, "principal_difference": "-500.00"}}


def test_personal_columns_are_listed_only_if_allowed(lake):
    book = generate(lake, "restatement", as_of="2026-10-31", allow_pii=True)
    assert "officer_id" in {row["column"] for row in rows(book, "Changed values")}


def test_the_adjustment_makes_the_next_period_roll_forward(lake):
    book = generate(lake, "restatement", as_of="2026-11-10")
    [adjustment] = rows(book, "Adjustments of locked periods")
    assert (adjustment["period_end"], adjustment["shown_from"]) == (OCT_31, date(2026, 11, 1))
    assert (adjustment["column"], adjustment["difference"]) == ("principal_outstanding", money("-500.00"))
    assert money("1000.00") + adjustment["difference"] - money("200.00") == money("300.00")


def test_the_snapshots_as_reported_and_as_known(book):
    changed = {(row["scope"], row["metric"]): row for row in rows(book, "Portfolios")}
    row = changed["all", "total_balance"]
    assert (row["reported"], row["known"], row["difference"]) == (1000.0, 500.0, -500.0)


def test_what_went_out_and_to_whom(book):
    sent = [(row["kind"], row["name"], row["recipient"]) for row in rows(book, "Tapes and reports that went out")]
    # Tape Y is of another portfolio.
    assert sent == [("report", "trial_balance", "board"), ("tape", "X", "a@x.example")]


RULES = '{"covenants": [{"metric": "par_30", "max": 0.25}, {"metric": "cumulative_net_loss", "max": 0.05}]}'


def test_the_covenants_of_a_facility_as_reported_and_as_known(lake):
    # Known now: L1 owes 500.00, and L2 owes 1,000.00 and is 45 days late: PAR 30 is 1,000 ÷ 1,500. The snapshot as
    # reported has 25 %, which is at the limit and not above it. Nothing is charged off: 0 on both sides.
    late = {"loan_id": "L2", "product_id": "P1", "currency": "USD", "disbursed_on": date(2026, 8, 1)}
    lake.rows["loans"].append(late)
    lake.rows["transactions"].append(transaction("T3", "disbursement", date(2026, 8, 1), "1000") | {"loan_id": "L2"})
    due = {"loan_id": "L2", "version": 1, "number": 1, "due_on": date(2026, 9, 16), "effective_on": date(2026, 8, 1)}
    lake.rows["installments"] = [due | {"principal": money("1000"), "interest": money("0"), "fees": money("0")}]
    lake.rows["portfolio_snapshots"][0] |= {
        "par_30": 0.25,
        "charged_off": money("0"),
        "recovered": money("0"),
        "total_disbursed": money("2000"),
    }

    book = generate(lake, "restatement", as_of="2026-10-31", facility=RULES)
    [row] = [row for row in rows(book, "Covenants") if row["scope"] == "all"]
    assert (row["scope_id"], row["currency"], row["covenant"]) == ("*", "USD", "PAR 30")
    assert (row["reported"], row["reported_status"]) == (0.25, "met")
    assert (row["known"], row["known_status"]) == (pytest.approx(1000 / 1500), "breached")
