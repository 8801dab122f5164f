"""What each scope sees of each lake table, against the rows read without the portal; masks; pages."""

import shutil
from datetime import date
from itertools import product

import ibis
import pytest
from homes import FIRST, LAST, Home
from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.portal.lake import table_rules
from lending_pipelines.portal.lake.keyset import BadCursor, Sort
from lending_pipelines.portal.lake.scoped_lake import NoRule, Results, ScopedLake
from lending_pipelines.portal.lake.snapshots import Snapshots
from lending_pipelines.portal.lake.table_rules import Shown
from lending_pipelines.portal.scope import Scope
from lending_pipelines.tables import TABLES

SALE = date(2025, 3, 1)
"""The day from which the fund owns every other loan of the portfolio (homes.py)."""


EVERYTHING = Shown(staff=True, borrowers=True)


@pytest.fixture(scope="module")
def snapshots(closed_home: Home):
    snapshots = Snapshots(str(closed_home.folder / "lake"))
    yield snapshots
    snapshots.close()


@pytest.fixture
def lake_of(snapshots):
    """Makes the lake of these scopes."""
    with snapshots.current() as snapshot:
        yield lambda *scopes, shown=EVERYTHING: ScopedLake(snapshots, snapshot, Results(), scopes, shown)


def everything(lake, name):
    return lake.table(name)


def of_day(lake, day):
    rows = lake.table("loan_positions")
    return rows.filter(rows.business_date == day)


def test_every_table_has_a_rule_and_a_table_without_one_is_refused(lake_of, monkeypatch):
    assert table_rules.RULES.keys() == TABLES.keys() | {"loan_history", "loan_losses"}
    monkeypatch.setattr("lending_pipelines.portal.lake.scoped_lake.RULES", {})
    with pytest.raises(NoRule, match="table loans has no rule"):
        lake_of(Scope()).rows(everything, "loans")


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_scope_without_limits_sees_every_row(lake_of, closed_home, name):
    key = list(TABLES[name].key)
    seen = lake_of(Scope()).result(everything, name).table.sort_by([(each, "ascending") for each in key])
    assert seen.to_pylist() == closed_home.rows(name)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_scope_of_nothing_sees_no_row(lake_of, name):
    without_scopes = lake_of().rows(everything, name)
    assert name in ("programs", "products", "closed_days") or without_scopes == ()
    for dimension in ("branches", "officers", "portfolios", "investors", "borrower"):
        assert lake_of(Scope(**{dimension: frozenset()})).rows(everything, name) == without_scopes, dimension


@pytest.mark.parametrize("person", ["manager", "officer", "investor", "customer"])
def test_positions_are_those_of_the_days_on_which_the_loan_is_the_persons(lake_of, book, person):
    seen = {
        (row["loan_id"], row["business_date"])
        for row in lake_of(scope_of(book, person)).rows(everything, "loan_positions")
    }
    assert seen == {(row["loan_id"], row["business_date"]) for row in book.positions if book.owns(person, row)}
    assert seen


@pytest.mark.parametrize("person", ["manager", "officer", "investor", "customer"])
def test_loans_and_schedules_are_those_of_today(lake_of, book, person):
    own = {row["loan_id"] for row in book.last if book.owns(person, row)}
    lake = lake_of(scope_of(book, person))
    assert {row["loan_id"] for row in lake.rows(everything, "loans")} == own
    assert {row["loan_id"] for row in lake.rows(everything, "installments")} == own


@pytest.mark.parametrize("person", ["manager", "officer", "investor", "customer"])
def test_transactions_of_closed_days_are_those_of_the_owner_of_the_day(lake_of, book, person):
    own = {(row["loan_id"], row["business_date"]) for row in book.positions if book.owns(person, row)}
    expected = {
        row["transaction_id"]
        for row in book.home.rows("transactions")
        if FIRST <= row["effective_on"] <= LAST and (row["loan_id"], row["effective_on"]) in own
    }
    seen = lake_of(scope_of(book, person)).rows(everything, "transactions")
    assert {row["transaction_id"] for row in seen if FIRST <= row["effective_on"] <= LAST} == expected


def test_an_investor_sees_nothing_from_before_the_sale_and_no_work_of_the_lender(lake_of, book):
    lake = lake_of(scope_of(book, "investor"))
    assert min(row["business_date"] for row in lake.rows(everything, "loan_positions")) == SALE
    assert min(row["effective_on"] for row in lake.rows(everything, "transactions")) >= SALE
    internal = (
        "collection_contacts",
        "promises_to_pay",
        "journal_lines",
        "trial_balance",
        "staff",
        "officer_assignments",
    )
    assert {name: len(lake.rows(everything, name)) for name in internal} == dict.fromkeys(internal, 0)
    assert {(row["scope"], row["scope_id"]) for row in lake.rows(everything, "portfolio_snapshots")} == {
        ("investor", book.investor)
    }


def test_losses_of_loans_are_what_their_positions_have(lake_of, book):
    lost = {
        row["loan_id"]: (row["principal_charged_off"], row["recovered"])
        for row in book.last
        if row["principal_charged_off"] or row["recovered"]
    }
    assert lost
    branch = next(row["branch_id"] for row in book.last if row["loan_id"] in lost)
    for scope in (Scope(), Scope(branches=frozenset([branch]))):
        found = {}
        for row in lake_of(scope).rows(everything, "loan_losses"):
            charged_off, recovered = found.get(row["loan_id"], (0, 0))
            found[row["loan_id"]] = (charged_off + row["charged_off"], recovered + row["recovered"])
        own = {row["loan_id"] for row in book.last if scope.branches == "all" or row["branch_id"] == branch}
        assert {loan: sums for loan, sums in found.items() if sums != (0, 0)} == {
            loan: sums for loan, sums in lost.items() if loan in own
        }


def test_sums_are_seen_only_if_all_their_loans_are(lake_of, book):
    (portfolio,) = {row["portfolio_id"] for row in book.last} - {None}
    one = Scope(portfolios=frozenset([portfolio]))
    assert {row["scope"] for row in lake_of(one).rows(everything, "aging_buckets")} == {"portfolio"}
    # The portfolio's sums have loans of other branches too.
    both = Scope(portfolios=frozenset([portfolio]), branches=frozenset(["B001"]))
    assert lake_of(both).rows(everything, "aging_buckets") == ()
    assert {row["branch_id"] for row in lake_of(both).rows(everything, "loan_positions")} <= {"B001"}


def test_a_manager_sees_the_own_and_the_teams_rows_and_no_other_managers(lake_of, book):
    rows = lake_of(scope_of(book, "manager")).rows(everything, "manager_snapshots")
    assert {row["manager_id"] for row in rows} <= book.team
    assert book.leader in {row["manager_id"] for row in rows}


def test_a_managers_sums_are_seen_only_if_the_scope_covers_all_their_loans(closed_home, book, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(closed_home.folder / "lake", home.folder / "lake")
    staff = {row["staff_id"]: row for row in home.rows("staff")}
    moved = next(row for row in book.last if row["officer_id"] and row["disbursed_on"] < FIRST)
    officer, branch = moved["officer_id"], moved["branch_id"]
    leader = staff[officer]["team_leader_id"]
    other = min(row["branch_id"] for row in book.last if row["branch_id"] != branch)
    other_leader = next(
        row["team_leader_id"] for row in staff.values() if row["branch_id"] == other and row["team_leader_id"]
    )
    with home.lake() as lake:
        loans = lake.table("loans")
        lake.merge("loans", loans.filter(loans.loan_id == moved["loan_id"]).mutate(branch_id=ibis.literal(other)))
        people = lake.table("staff")
        lake.merge("staff", people.filter(people.staff_id == leader).mutate(team_leader_id=ibis.literal(other_leader)))
    snapshots = Snapshots(str(home.folder / "lake"))

    def seen(**limits):
        with snapshots.current() as snapshot:
            scope = Scope(**{name: frozenset(ids) for name, ids in limits.items()})
            lake = ScopedLake(snapshots, snapshot, Results(), (scope,), EVERYTHING)
            return {row["manager_id"] for row in lake.rows(everything, "manager_snapshots")}

    every = {(row["manager_id"], row["branch_id"]) for row in home.rows("manager_snapshots")}
    here = {manager for manager, of in every if of == branch}
    # The officer has a loan of the other branch now, and so has the officer's leader.
    assert {officer, leader} <= here
    assert seen(branches=[branch]) == here - {officer, leader}
    assert officer not in seen(branches=[other])
    assert {officer, leader} <= seen(branches=[branch, other])
    assert seen(branches=[branch], officers=[officer]) == set()
    assert seen(officers=[officer]) == {officer}
    # The leader is in the other leader's team, and so are the leader's own loans, but not those of the leader's team.
    assert seen(officers=[other_leader, leader]) == set()
    snapshots.close()


def test_two_scopes_see_what_either_sees(lake_of, book):
    both = (scope_of(book, "officer"), scope_of(book, "customer"))
    seen = {row["loan_id"] for row in lake_of(*both).rows(everything, "loans")}
    alone = [{row["loan_id"] for row in lake_of(each).rows(everything, "loans")} for each in both]
    assert seen == alone[0] | alone[1]
    assert len(lake_of(scope_of(book, "officer"), Scope()).rows(everything, "loans")) == len(book.home.rows("loans"))


def test_a_customer_sees_the_own_wallets_and_tickets(lake_of, book):
    users = {row["user_id"] for row in book.home.rows("users") if row["borrower_id"] == book.customer}
    wallets = {row["wallet_id"] for row in book.home.rows("wallets") if row["user_id"] in users}
    lake = lake_of(scope_of(book, "customer"))
    assert {row["wallet_id"] for row in lake.rows(everything, "wallets")} == wallets
    moves = {
        row["wallet_transaction_id"] for row in book.home.rows("wallet_transactions") if row["wallet_id"] in wallets
    }
    assert {row["wallet_transaction_id"] for row in lake.rows(everything, "wallet_transactions")} == moves
    tickets = {row["ticket_id"] for row in book.home.rows("tickets") if row["user_id"] in users}
    assert {row["ticket_id"] for row in lake.rows(everything, "tickets")} == tickets


@pytest.mark.parametrize("name", sorted(TABLES))
def test_masked_columns_have_no_values(lake_of, name):
    personal = {column.name for column in TABLES[name].columns if column.personal}
    rows = lake_of(Scope(), shown=Shown(staff=False, borrowers=False)).rows(everything, name)
    assert {row[column] for row in rows for column in personal} <= {None}
    shown = lake_of(Scope(), shown=Shown(staff=True, borrowers=False)).rows(everything, name)
    about_staff = {column for table, column in table_rules.STAFF_COLUMNS if table == name}
    assert {column for row in shown for column in personal if row[column] is not None} <= about_staff


def test_a_query_is_compiled_once_for_all_people_with_scopes_of_one_form(snapshots, book, monkeypatch):
    made = []

    def counted(lake, day):
        made.append(1)
        return of_day(lake, day)

    with snapshots.current() as snapshot:
        results = Results()
        officers = sorted({row["officer_id"] for row in book.last} - {None})[:5]
        for officer in officers:
            lake = ScopedLake(snapshots, snapshot, results, (Scope(officers=frozenset([officer])),), Shown(True, False))
            rows = lake.rows(counted, day=LAST)
            assert {row["officer_id"] for row in rows} == {officer}
    assert len(made) == 1


def test_pages_of_other_sizes_are_not_compiled_anew_and_begin_with_the_same_rows(lake_of, monkeypatch):
    lake, sort = lake_of(Scope()), Sort("loan_id", ("loan_id", "business_date"))
    longest = lake.page(everything, "loan_positions", sort=sort, size=50)
    monkeypatch.setattr("lending_pipelines.portal.lake.scoped_lake.compile_query", None)
    for size in (1, 20, 49, 50):
        page = lake.page(everything, "loan_positions", sort=sort, size=size)
        assert list(page.rows) == list(longest.rows[:size])
        assert page.next


def test_values_are_parameters_and_never_sql(lake_of):
    def of_loan(lake, loan_id):
        rows = lake.table("loans")
        return rows.filter(rows.loan_id == loan_id)

    lake = lake_of(Scope(officers=frozenset(["x') OR 1=1 --"])))
    assert lake.rows(of_loan, loan_id="' OR '1'='1") == ()
    assert lake.rows(everything, "loan_positions") == ()


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("size", "column"),
    [
        (1, "last_payment_on"),
        *product((7, 500), ("principal_outstanding", "last_payment_on", "loan_id", "investor_id")),
    ],
)
def test_pages_forward_and_back_have_every_row_once(lake_of, book, column, descending, size):
    lake = lake_of(scope_of(book, "officer") if size == 1 else Scope())
    sort = Sort(column, ("loan_id",), descending)
    expected = [row["loan_id"] for row in book.last if size != 1 or book.owns("officer", row)]
    pages, cursor = [], None
    while not pages or cursor:
        page = lake.page(of_day, sort=sort, cursor=cursor, size=size, day=LAST)
        pages.append(page)
        cursor = page.next
    seen = [row for page in pages for row in page.rows]
    assert sorted(row["loan_id"] for row in seen) == sorted(expected)
    values = [row[column] for row in seen]
    known = [value for value in values if value is not None]
    assert values == sorted(known, reverse=descending) + [None] * (len(values) - len(known))
    cursor, back = pages[-1].previous, [pages[-1]]
    while cursor:
        back.append(lake.page(of_day, sort=sort, cursor=cursor, size=size, day=LAST))
        cursor = back[-1].previous
    assert sorted(row["loan_id"] for page in back for row in page.rows) == sorted(expected)


@given(st.text(max_size=80))
def test_a_damaged_cursor_is_refused(snapshots, text):
    with snapshots.current() as snapshot:
        lake = ScopedLake(snapshots, snapshot, Results(), (Scope(),), EVERYTHING)
        if text:
            with pytest.raises(BadCursor):
                lake.page(of_day, sort=Sort("loan_id", ("loan_id",)), cursor=text, day=LAST)


def test_a_cursor_of_another_order_is_refused(lake_of):
    lake = lake_of(Scope())
    cursor = lake.page(of_day, sort=Sort("loan_id", ("loan_id",)), size=5, day=LAST).next
    with pytest.raises(BadCursor, match="another sort order"):
        lake.page(of_day, sort=Sort("bucket", ("loan_id",)), cursor=cursor, size=5, day=LAST)


def scope_of(book, person: str) -> Scope:
    return {
        "manager": Scope(officers=book.team),
        "officer": Scope(officers=frozenset([book.officer])),
        "investor": Scope(investors=frozenset([book.investor])),
        "customer": Scope(borrower=frozenset([book.customer])),
    }[person]
