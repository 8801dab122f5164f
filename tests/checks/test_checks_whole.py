"""The lender of checks_world.py passes every check; a table that cannot be read raises; what blocks an export."""

from datetime import datetime
from decimal import Decimal

import pytest
from checks_world import CONVENTIONS, DAYS, FEB_1, FEB_2, JAN_31, evaluate, find, reader, row, whole_world
from hypothesis import given, settings
from hypothesis import strategies as st

from lending_pipelines.checks import Days, all_checks, blocking_checks, checks_for, own_checks, verify
from lending_pipelines.checks.protocol import rows_named
from lending_pipelines.errors import LendingError
from lending_pipelines.tables import TABLES


def test_every_check_passes_on_a_world_in_order():
    read = reader(whole_world())
    outcomes = [check.evaluate(read, Days.between(JAN_31, FEB_2)) for check in all_checks(CONVENTIONS)]
    assert [(o.table, o.check, o.sample) for o in outcomes if not o.passed] == []
    assert all(o.failed_rows == 0 and o.failing_days == () for o in outcomes)


@pytest.mark.parametrize("check", all_checks(CONVENTIONS), ids=lambda check: f"{check.table}-{check.name}")
def test_a_table_that_cannot_be_read_raises(check):
    for missing in check.reads:
        world = whole_world()
        del world[missing]
        with pytest.raises(LendingError, match=missing):
            check.evaluate(reader(world), Days.between(JAN_31, FEB_2))


def test_names_are_unique_within_a_table_and_every_table_has_a_suite():
    names = [(check.table, check.name) for check in all_checks(CONVENTIONS)]
    assert len(set(names)) == len(names)
    assert {table for table, name in names if name == "great_expectations"} == set(TABLES)
    with pytest.raises(KeyError):
        checks_for("no_such_table", CONVENTIONS)


def test_what_blocks_a_snapshot_is_also_what_blocks_its_positions():
    chosen = {(check.table, check.name) for check in blocking_checks(["portfolio_snapshots"], CONVENTIONS)}
    assert ("portfolio_snapshots", "snapshots_equal_positions") in chosen
    assert ("loan_positions", "roll_forward") in chosen
    assert {table for table, _ in chosen} == {"portfolio_snapshots", "loan_positions"}
    assert all(check.blocking for check in own_checks(CONVENTIONS) if (check.table, check.name) in chosen)


def test_what_blocks_and_what_only_warns():
    checks = own_checks(CONVENTIONS)
    assert {(check.table, check.name) for check in checks if check.blocking} == {
        ("transactions", "references_exist"),
        ("transactions", "amounts_split"),
        ("transactions", "reversals_mirror"),
        ("loan_positions", "positions_complete"),
        ("loan_positions", "roll_forward"),
        ("loan_positions", "positions_equal_transactions"),
        ("loan_positions", "positions_consistent"),
        ("loan_positions", "paid_without_disbursement"),
        ("aging_buckets", "aging_equals_positions"),
        ("aging_transitions", "transition_rates_add_up"),
        ("aging_transitions", "transitions_open_with_positions"),
        ("portfolio_snapshots", "snapshots_equal_positions"),
        ("manager_snapshots", "managers_equal_positions"),
        ("manager_snapshots", "managers_add_up"),
        ("trial_balance", "ledger_balanced"),
        ("trial_balance", "balances_add_up"),
        ("ledger_tieouts", "tieouts_add_up"),
        ("ledger_tieouts", "principal_is_tied"),
    }
    # An error that does not block is in a table that no number is computed from, or is found in a blocking check too.
    assert {check.name for check in checks if check.severity == "error" and not check.blocking} == {
        "references_exist",
        "schedules_whole",
        "trial_balance_equals_journal",
        "entries_balance",
        "lines_one_sided",
        "platform_equals_positions",
    }


@pytest.mark.parametrize(("loans", "more"), [(5, ""), (6, "; and more")])
def test_a_message_names_five_rows(loans, more):
    named = "; ".join(f"loan_id=L{number}" for number in range(5))
    assert rows_named("loans", [{"loan_id": f"L{number}"} for number in range(loans)]) == named + more


class Forgetful:
    """A memory that keeps nothing."""

    def unchecked(self, check, days):
        return days

    def remember(self, check, days, outcome):
        pass


def verified(world, days):
    return verify(reader(world), ["portfolio_snapshots"], days, CONVENTIONS, Forgetful())


def test_verify_names_the_wrong_positions_under_a_snapshot():
    world = whole_world()
    find(world["loan_positions"], loan_id="L2", business_date=FEB_2)["interest_paid"] += 1
    failed = [o for o in verified(world, Days.between(JAN_31, FEB_2)) if not o.passed]
    assert {o.check for o in failed} == {"roll_forward", "positions_equal_transactions"}
    assert all(o.blocking and o.failing_days == (FEB_2,) and o.sample[0]["loan_id"] == "L2" for o in failed)
    assert all(o.passed for o in verified(world, Days((JAN_31,))))


def test_verify_leaves_out_days_that_were_thinned():
    world = whole_world()
    world["loan_positions"] = [r for r in world["loan_positions"] if r["business_date"] != FEB_1]
    assert [o.failing_days for o in verified(world, Days((FEB_1,))) if o.check == "positions_complete"] == [(FEB_1,)]
    keys = {"table_name": "loan_positions", "business_date": FEB_1}
    world["closed_days"] = [row("closed_days", thinned_at=datetime(2025, 6, 1), **keys)]
    assert verified(world, Days((FEB_1,))) == ()


class Kept(dict):
    """A memory that keeps every check."""

    def unchecked(self, check, days):
        return None if (check.table, check.name) in self else days

    def remember(self, check, days, outcome):
        self[check.table, check.name] = outcome


def test_verify_runs_a_check_once():
    kept, days = Kept(), Days((FEB_2,))
    outcomes = verify(reader(whole_world()), ["loan_positions"], days, CONVENTIONS, kept)
    assert outcomes == tuple(kept.values())
    assert verify(reader({"closed_days": []}), ["loan_positions"], days, CONVENTIONS, kept) == ()


_CENT = Decimal("0.01")


@given(data=st.data())
@settings(max_examples=10)
def test_some_days_fail_as_they_do_among_all_days(data):
    world = whole_world()
    daily = sorted(name for name, table in TABLES.items() if table.daily and world[name])
    table = data.draw(st.sampled_from(daily), "table")
    row = data.draw(st.sampled_from(world[table]), "row")
    match data.draw(st.sampled_from(("cent", "lost", "twice")), "fault"):
        case "cent":
            row[data.draw(st.sampled_from([n for n, v in row.items() if isinstance(v, Decimal)]))] += _CENT
        case "lost":
            world[table].remove(row)
        case "twice":
            world[table].append(row)
    some = Days(tuple(sorted(data.draw(st.sets(st.sampled_from(DAYS), min_size=1), "days"))))
    read = reader(world)
    for check in blocking_checks(daily, CONVENTIONS):
        if table not in check.reads:
            continue
        among_all = check.evaluate(read, Days(DAYS))
        alone = check.evaluate(read, some)
        assert {*alone.failing_days} == {*among_all.failing_days} & {*some.dates}, check.name
        if some.dates == DAYS:
            assert alone.failed_rows == among_all.failed_rows


@pytest.mark.parametrize(
    ("table", "name", "column"),
    [
        ("loan_positions", "roll_forward", "principal_paid"),
        ("loan_positions", "positions_consistent", "scheduled_due"),
        ("loan_positions", "positions_equal_transactions", "principal_disbursed"),
        ("trial_balance", "balances_add_up", "balance"),
        ("ledger_tieouts", "ledger_ties_out", "difference"),
        ("ledger_tieouts", "tieouts_add_up", "subledger_balance"),
        ("journal_lines", "lines_one_sided", "debit"),
        ("transactions", "amounts_split", "interest"),
    ],
)
def test_a_null_amount_is_a_finding_and_never_a_pass(table, name, column):
    world = whole_world()
    world[table][-1][column] = None
    outcome = evaluate(world, table, name)
    assert outcome.failed_rows == 1
    key = next(key for key in TABLES[table].key if key != "business_date")
    assert outcome.sample[0][key] == world[table][-1][key]
