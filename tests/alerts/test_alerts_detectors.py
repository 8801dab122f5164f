"""What each detector finds in tables of a few rows, worked by hand; the edges are at exactly the threshold."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import get_args

import pytest
from made_tables import DAY, MadeTables, later, rule

from lending_pipelines.alerts.detectors import (
    change,
    concentration,
    covenant,
    data_received,
    missed_installments,
    threshold,
)
from lending_pipelines.alerts.evaluate import affected, evaluate, too_many_unjudged
from lending_pipelines.alerts.findings import Judged, Unjudged
from lending_pipelines.metrics.facility import Metric as FacilityMetric


def snapshot(day=DAY, branch="B1", **values):
    return {"business_date": day, "scope": "branch", "scope_id": branch, "currency": "USD", "name": None, **values}


def par_rule(operator=">", limit="15 %", **values):
    return rule(
        metric="portfolio_snapshots.par_30", scope="branch", operator=operator, threshold=limit, severity="critical",
        **values,
    )  # fmt: skip


def found(detector, source, given, days=(DAY,)):
    verdict = detector.detect(source, [given], list(days))[given.name]
    assert isinstance(verdict, Judged), verdict
    return verdict.findings


@pytest.mark.parametrize(
    ("operator", "value", "holds"),
    [
        # 1500 ÷ 10000 and 0.1 + 0.05 are 15 %: the second is 0.15000000000000002 as a double.
        (">", 1500 / 10000, False),
        (">", 0.1 + 0.05, False),
        (">=", 0.1 + 0.05, True),
        (">", 0.150001, True),
        ("<", 0.15, False),
        ("<", 0.1499, True),
        ("<=", 0.15, True),
    ],
)
def test_a_threshold_is_compared_exactly(operator, value, holds):
    source = MadeTables({"portfolio_snapshots": [snapshot(par_30=value)]})
    assert bool(found(threshold, source, par_rule(operator))) is holds


def test_a_finding_says_what_is_found_in_words():
    source = MadeTables({"portfolio_snapshots": [snapshot(par_30=0.162)]})
    (finding,) = found(threshold, source, par_rule(message="Call $subject: $value on $day."))
    assert finding.text == "PAR 30 of branch B1 is 16.20 %, above 15.00 %."
    assert finding.details["advice"] == "Call branch B1: 16.20 % on 2025-03-10."
    assert (finding.kind, finding.subject, finding.currency) == ("branch", "B1", "USD")
    assert (finding.value, finding.threshold, finding.severity) == (0.162, 0.15, "critical")


def test_amounts_are_compared_to_the_cent():
    given = rule(metric="portfolio_snapshots.past_due_amount", operator=">", threshold="1000.10")
    rows = [snapshot(scope="all", scope_id="*", past_due_amount=Decimal("1000.10"))]
    assert found(threshold, MadeTables({"portfolio_snapshots": rows}), given) == ()
    rows[0]["past_due_amount"] = Decimal("1000.11")
    (finding,) = found(threshold, MadeTables({"portfolio_snapshots": rows}), given)
    assert finding.text == "Past due amount of the whole book is 1,000.11 USD, above 1,000.10 USD."


def test_other_scopes_subjects_and_small_ones_are_left_out():
    rows = [
        snapshot(branch="B1", par_30=0.5, total_balance=Decimal(1000)),
        snapshot(branch="B2", par_30=0.5, total_balance=Decimal("999.99")),
        snapshot(branch="B3", par_30=0.5, total_balance=Decimal(5000)),
        snapshot(scope="portfolio", branch="B1", par_30=0.5, total_balance=Decimal(5000)),
    ]
    source = MadeTables({"portfolio_snapshots": rows})
    assert [each.subject for each in found(threshold, source, par_rule(minimum=1000))] == ["B1", "B3"]
    assert [each.subject for each in found(threshold, source, par_rule(subjects=["B2"]))] == ["B2"]


def test_a_null_number_is_not_known():
    (finding,) = found(threshold, MadeTables({"portfolio_snapshots": [snapshot(par_30=None)]}), par_rule())
    assert (finding.severity, finding.value) == (None, None)


def test_one_bucket_of_an_aging_is_watched():
    given = rule(
        metric="aging_buckets.balance_share", scope="branch", where={"bucket": "60-89"}, operator=">", threshold="2 %"
    )
    rows = [snapshot(bucket="30-59", balance_share=0.5), snapshot(bucket="60-89", balance_share=0.03)]
    (finding,) = found(threshold, MadeTables({"aging_buckets": rows}), given)
    assert finding.text == "Balance share of branch B1, bucket 60-89 is 3.00 %, above 2.00 %."


def test_only_days_for_which_the_table_is_made_are_judged():
    source = MadeTables({"portfolio_snapshots": [snapshot(par_30=0.5)]})
    verdict = threshold.detect(source, [par_rule()], [DAY, later(1)])["r"]
    assert verdict.days == (DAY,)


def test_a_change_is_of_the_value_some_days_before():
    # In points: 10 % to 13 % is 3 points, exactly the threshold. In percent it is 30 %.
    rows = [snapshot(later(-7), par_30=0.10), snapshot(later(-1), par_30=0.01), snapshot(par_30=0.13)]
    source = MadeTables({"portfolio_snapshots": rows})
    common = {"detector": "change", "metric": "portfolio_snapshots.par_30", "scope": "branch", "window_days": 7}
    (finding,) = found(change, source, rule(**common, operator=">=", threshold="3 %"))
    assert finding.text == (
        "PAR 30 of branch B1 changed by +3.00 points in 7 days, from 10.00 % to 13.00 %: at or above +3.00 points."
    )
    assert found(change, source, rule(**common, operator=">", threshold="3 %")) == ()
    (finding,) = found(change, source, rule(**common, operator=">=", threshold="30 %", unit="percent"))
    assert finding.value == pytest.approx(30)


def test_a_change_since_a_day_that_is_not_closed_cannot_be_judged():
    source = MadeTables({"portfolio_snapshots": [snapshot(par_30=0.13)]})
    given = rule(
        detector="change", metric="portfolio_snapshots.par_30", scope="branch", window_days=7, operator=">", threshold=0
    )
    verdict = change.detect(source, [given], [DAY])["r"]
    assert verdict == Unjudged("2025-03-03, 7 days before, is not closed", is_expected=True)


def test_a_day_closed_again_changes_the_days_that_look_back_to_it():
    given = rule(
        detector="change", metric="portfolio_snapshots.par_30", scope="branch", window_days=7, operator=">", threshold=0
    )
    closed = [later(n) for n in range(-3, 12)]
    assert affected([given], DAY, DAY, closed) == [later(n) for n in range(8)]
    assert affected([par_rule()], DAY, DAY, closed) == [DAY]


def loan(loan_id, principal, day=DAY, **values):
    return {
        "business_date": day, "loan_id": loan_id, "status": "active", "currency": "USD", "branch_id": "B1",
        "officer_id": "S1", "product_id": "P1", "borrower_id": loan_id, "principal_outstanding": Decimal(principal),
        "disbursed_on": date(2024, 1, 1), **values,
    }  # fmt: skip


def installment(loan_id, number, due_on, version=1, effective_on=date(2024, 1, 1), principal=90, interest=10):
    return {
        "loan_id": loan_id, "version": version, "number": number, "due_on": due_on, "principal": Decimal(principal),
        "interest": Decimal(interest), "fees": Decimal(0), "effective_on": effective_on,
    }  # fmt: skip


def test_only_installments_of_which_nothing_is_settled_are_missed():
    dues = [date(2024, 12, 1), date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1), date(2025, 4, 1)]
    schedule = [installment(name, n, on) for name in ("L1", "L2", "L3") for n, on in enumerate(dues, 1)]
    # Four installments of 100 are due. L1 settled 150: the first, and half of the second: two are missed in full.
    # L2 settled 200: exactly two, so two are missed. L3 settled 200.01: one cent of the third, so one is missed.
    due = {"scheduled_due": Decimal(400)}
    rows = [
        loan("L1", 500, past_due_amount=Decimal(250), settled=Decimal(150), **due),
        loan("L2", 400, past_due_amount=Decimal(200), settled=Decimal(200), **due),
        loan("L3", 400, past_due_amount=Decimal("199.99"), settled=Decimal("200.01"), **due),
    ]
    source = MadeTables({"loan_positions": rows, "installments": schedule})
    (finding,) = found(missed_installments, source, rule(detector="missed_installments", installments=2))
    assert (finding.value, finding.details["loan_ids"]) == (2.0, ["L1", "L2"])
    assert finding.text == "2 loans of the whole book missed 2 or more full installments, with 900.00 USD outstanding."
    two = rule(detector="missed_installments", installments=2, threshold=2)
    three = rule(detector="missed_installments", installments=2, threshold=3)
    assert found(missed_installments, source, two)
    assert found(missed_installments, source, three) == ()
    assert found(missed_installments, source, rule(detector="missed_installments", installments=3)) == ()


def test_installments_of_the_schedule_in_force_are_counted():
    old = [installment("L1", n, date(2025, n, 1)) for n in (1, 2, 3)]
    new = [installment("L1", 1, date(2025, 3, 5), version=2, effective_on=date(2025, 3, 1))]
    rows = [
        loan("L1", 500, day=day, past_due_amount=Decimal(due), settled=Decimal(0), scheduled_due=Decimal(due))
        for day, due in ((date(2025, 2, 28), 200), (DAY, 100))
    ]
    source = MadeTables({"loan_positions": rows, "installments": [*old, *new]})
    given = rule(detector="missed_installments", installments=2)
    # On 28 February two of the old schedule are due; on 10 March one of the new.
    findings = found(missed_installments, source, given, [date(2025, 2, 28), DAY])
    assert [each.business_date for each in findings] == [date(2025, 2, 28)]


def test_an_installment_that_is_not_due_is_not_missed():
    # The principal of 150 was repaid when two installments were due, so the third never falls due.
    schedule = [installment("L1", n, date(2025, n, 1)) for n in (1, 2, 3)]
    owed = {"past_due_amount": Decimal(50), "settled": Decimal(150), "scheduled_due": Decimal(200)}
    source = MadeTables({"loan_positions": [loan("L1", 0, **owed)], "installments": schedule})
    assert found(missed_installments, source, rule(detector="missed_installments", installments=1)) == ()


def test_a_concentration_is_a_share_of_the_scope():
    rows = [loan("L1", 60), loan("L2", 20), loan("L3", 20, branch_id="B2"), loan("L4", 900, status="charged_off")]
    source = MadeTables({"loan_positions": rows})
    given = rule(detector="concentration", by="borrower", threshold="20 %")
    (finding,) = found(concentration, source, given)
    assert (finding.kind, finding.subject, finding.value) == ("borrower", "L1", 0.6)
    assert finding.text == (
        "Borrower L1 has 60.00 % of the active principal of the whole book (60.00 of 100.00 USD): above 20.00 %."
    )
    within = rule(detector="concentration", by="borrower", scope="branch", threshold="20 %")
    assert sorted(each.subject for each in found(concentration, source, within)) == [
        "L1 in branch B1", "L2 in branch B1", "L3 in branch B2",
    ]  # fmt: skip
    assert found(concentration, source, rule(detector="concentration", by="borrower", threshold="60 %")) == ()


def test_a_team_leader_has_the_loans_of_the_team():
    staff = [
        {"staff_id": "S1", "team_leader_id": "T1"},
        {"staff_id": "S2", "team_leader_id": "T1"},
        {"staff_id": "T1", "team_leader_id": None},
    ]
    late = {"past_due_amount": Decimal(100), "settled": Decimal(0), "scheduled_due": Decimal(100)}
    rows = [loan("L1", 60, **late), loan("L2", 40, officer_id="S2", **late)]
    due = [installment(name, 1, date(2025, 2, 1)) for name in ("L1", "L2")]
    source = MadeTables({"loan_positions": rows, "installments": due, "staff": staff})

    missed = rule(detector="missed_installments", installments=1, scope="manager", threshold=2)
    (team,) = found(missed_installments, source, missed)
    assert (team.subject, team.value, team.details["loan_ids"]) == ("T1", 2.0, ["L1", "L2"])
    # Of the 100 of T1's team, L1 is 60 %; each officer has one loan.
    shares = rule(detector="concentration", by="borrower", scope="manager", threshold="50 %")
    assert {each.subject: each.value for each in found(concentration, source, shares)} == {
        "L1 in manager S1": 1.0,
        "L2 in manager S2": 1.0,
        "L1 in manager T1": 0.6,
    }


def posted(*days):
    return [
        {"transaction_id": str(n), "posted_at": datetime(on.year, on.month, on.day, 12)} for n, on in enumerate(days)
    ]


def test_data_is_not_received_when_it_is_silent_for_longer_than_usual():
    # Posted on weekdays up to Friday 7 March: four gaps of a day and one of three a week. The usual gap is 3 days.
    weekdays = [date(2025, 2, 3) + timedelta(days=n) for n in range(33)]
    source = MadeTables({"transactions": posted(*(day for day in weekdays if day.weekday() < 5))})
    given = rule(detector="data_received", tables=["transactions"])
    days = [date(2025, 3, 7) + timedelta(days=n) for n in range(5)]
    (finding,) = found(data_received, source, given, days)
    assert (finding.business_date, finding.subject, finding.value) == (date(2025, 3, 11), "transactions", 4.0)
    assert "no rows after 2025-03-07: 4 days by 2025-03-11, and its usual gap is at most 3 days" in finding.text


def test_the_time_of_a_row_is_that_of_its_table():
    daily = [datetime(2025, 2, 1, 12) + timedelta(days=n) for n in range(30)]
    payments = [{"payment_id": str(n), "paid_at": at} for n, at in enumerate(daily)]
    source = MadeTables({"gateway_payments": payments})
    # The last payment is of 2 March, and the usual gap is a day.
    (finding,) = found(data_received, source, rule(detector="data_received"), [date(2025, 3, 4)])
    assert (finding.subject, finding.value) == ("gateway_payments", 2.0)


def test_a_table_without_a_rhythm_is_left_out_and_a_missing_one_cannot_be_judged():
    source = MadeTables({"transactions": posted(date(2025, 1, 1), date(2025, 1, 2))})
    assert found(data_received, source, rule(detector="data_received", tables=["transactions"])) == ()
    verdict = data_received.detect(source, [rule(detector="data_received", tables=["journal_lines"])], [DAY])["r"]
    assert verdict == Unjudged("table journal_lines was never written")


def test_a_day_of_news_is_one_of_the_lenders_time_zone():
    from lending_pipelines.conventions import Conventions

    # 20:00 UTC of 9 March is 10 March in Kolkata.
    regular = [datetime(2025, 2, 1, 20) + timedelta(days=n) for n in range(37)]
    rows = [{"transaction_id": str(n), "posted_at": at} for n, at in enumerate(regular)]
    assert rows[-1]["posted_at"].replace(tzinfo=UTC).date() == date(2025, 3, 9)
    given = rule(detector="data_received", tables=["transactions"])
    india = MadeTables({"transactions": rows}, conventions=Conventions(timezone="Asia/Kolkata"))
    assert found(data_received, india, given, [date(2025, 3, 11)]) == ()
    assert len(found(data_received, MadeTables({"transactions": rows}), given, [date(2025, 3, 11)])) == 1


@pytest.mark.parametrize(
    ("par", "severity"), [(0.0899, None), (0.09, "warning"), (0.10, "warning"), (0.1001, "critical"), (None, None)]
)
def test_a_covenant_warns_within_a_tenth_of_its_limit(par, severity):
    given = rule(detector="covenant", scope="branch", covenants=[{"metric": "par_30", "max": "0.10"}])
    findings = found(covenant, MadeTables({"portfolio_snapshots": [snapshot(par_30=par)]}), given)
    assert [each.severity for each in findings] == ([severity] if par is None or severity else [])


def test_a_covenant_with_a_least_value_warns_above_it():
    given = rule(detector="covenant", scope="branch", covenants=[{"metric": "weighted_avg_rate", "min": "0.10"}])
    for rate, severity in (("0.1101", None), ("0.11", "warning"), ("0.10", "warning"), ("0.0999", "critical")):
        rows = [snapshot(weighted_avg_rate=Decimal(rate))]
        findings = found(covenant, MadeTables({"portfolio_snapshots": rows}), given)
        assert [each.severity for each in findings] == ([severity] if severity else [])


def charge_offs_of_three_months():
    """From 11 December to 10 March: 90 days, of which three are closed. Balance on each: 1000, so that is the average.

    20 are charged off and 5 recovered since 10 December: 20 × 365 ÷ 90 ÷ 1000 = 8.1111 % a year, net 6.0833 %.
    """
    days = [date(2024, 12, 10), date(2024, 12, 31), date(2025, 2, 28), DAY]
    off = {DAY: (Decimal(120), Decimal(25)), days[0]: (Decimal(100), Decimal(20))}
    return [
        loan(
            "L1", 1000, day=day, principal_charged_off=off.get(day, off[days[0]])[0],
            recovered=off.get(day, off[days[0]])[1],
        )
        for day in days
    ]  # fmt: skip


def test_a_covenant_on_charge_offs_looks_back_three_months():
    source = MadeTables({"loan_positions": charge_offs_of_three_months(), "portfolio_snapshots": [snapshot()]})
    given = rule(detector="covenant", scope="branch", covenants=[{"metric": "net_charge_off_rate", "max": "0.06"}])
    (finding,) = found(covenant, source, given)
    assert finding.value == pytest.approx(15 * 365 / 90 / 1000)
    assert finding.severity == "critical"


def test_every_covenant_of_a_facility_can_be_watched():
    """Within a tenth of the limit: PAR from 9 %, losses from 7.2 %, charge-offs from 8.1 %, the rate up to 11 %."""
    book = snapshot(
        par_30=0.095, par_60=0.09, par_90=0.0899, weighted_avg_rate=Decimal("0.11"),
        # (92 − 20) ÷ 1000 = 7.2 %
        charged_off=Decimal(92), recovered=Decimal(20), total_disbursed=Decimal(1000),
    )  # fmt: skip
    limits = {"par_30": "0.10", "par_60": "0.10", "par_90": "0.10", "cumulative_net_loss": "0.08"}
    limits |= {"charge_off_rate": "0.09", "net_charge_off_rate": "0.06"}
    covenants = [{"metric": metric, "max": limit} for metric, limit in limits.items()]
    covenants.append({"metric": "weighted_avg_rate", "min": "0.10"})
    assert {each["metric"] for each in covenants} == set(get_args(FacilityMetric))
    source = MadeTables({"loan_positions": charge_offs_of_three_months(), "portfolio_snapshots": [book]})
    findings = found(covenant, source, rule(detector="covenant", scope="branch", covenants=covenants))
    assert {each.details["metric"]: (each.severity, round(each.value, 6)) for each in findings} == {
        "par_30": ("warning", 0.095),
        "par_60": ("warning", 0.09),
        "cumulative_net_loss": ("warning", 0.072),
        "charge_off_rate": ("warning", 0.081111),
        "net_charge_off_rate": ("critical", 0.060833),
        "weighted_avg_rate": ("warning", 0.11),
    }


def test_rules_that_cannot_be_judged_do_not_stop_the_others():
    source = MadeTables({"portfolio_snapshots": [snapshot(par_30=0.5)]})
    watched = [par_rule().model_copy(update={"name": f"par {n}"}) for n in range(9)]
    missing = rule(metric="manager_snapshots.health_score", scope="manager", operator="<", threshold=50)
    evaluation = evaluate(source, [*watched, missing], [DAY])
    assert len(evaluation.findings) == 9
    assert evaluation.unjudged == {"r": "table manager_snapshots was never written"}
    # One in ten is a tenth, and not more; one in nine is.
    assert not too_many_unjudged(10, evaluation.failed)
    assert too_many_unjudged(9, evaluate(source, [*watched[:8], missing], [DAY]).failed)


def test_a_range_of_days_is_its_days_one_by_one():
    days = [later(n) for n in range(-9, 1)]
    rows = [snapshot(day, par_30=0.1 + 0.01 * n) for n, day in enumerate(days)]
    source = MadeTables({"portfolio_snapshots": rows})
    moved = rule(
        detector="change", metric="portfolio_snapshots.par_30", scope="branch", window_days=3, operator=">=",
        threshold="3 %",
    )  # fmt: skip
    rules = [par_rule(), moved.model_copy(update={"name": "moved"})]
    together = evaluate(source, rules, days)
    apart = [evaluate(source, rules, [day]) for day in days]
    assert len(together.findings) == 4 + 7
    assert set(map(repr, together.findings)) == {repr(each) for one in apart for each in one.findings}
