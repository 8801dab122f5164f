"""Locks of periods: which days they cover, who may set them, and that every lock and reopening is kept."""

from datetime import date

import pytest

from lending_pipelines.register import Accounts, PeriodLocked, PeriodLocks, RegisterError, RoleGiven

SEPTEMBER, OCTOBER = date(2026, 9, 30), date(2026, 10, 31)


@pytest.fixture
def locks(register):
    with register.session() as session:
        yield PeriodLocks(session)


def test_a_lock_covers_every_day_up_to_the_end_of_its_period(locks):
    locks.lock(SEPTEMBER, "Ann")
    locks.lock(OCTOBER, "Ann")
    assert locks.locked_until() == OCTOBER
    locks.require_open([date(2026, 11, 1)])
    for day in (date(2020, 1, 1), SEPTEMBER, date(2026, 10, 1), OCTOBER):
        with pytest.raises(PeriodLocked):
            locks.require_open([day, date(2026, 11, 1)])


def test_the_error_names_the_lock_and_how_to_reopen_it(locks):
    lock = locks.lock(OCTOBER, "Ann")
    with pytest.raises(PeriodLocked) as refused:
        locks.require_open([date(2026, 10, 30), OCTOBER, date(2026, 11, 1)])
    assert str(refused.value) == (
        f"2 days from 2026-10-30 to 2026-10-31 are locked and cannot change: the period ending 2026-10-31 was locked by"
        f" Ann on {lock.locked_at:%Y-%m-%d %H:%M} UTC. To change them, run `lending period reopen --end 2026-10-31 --by"
        " NAME --reason TEXT`"
    )


def test_days_of_an_earlier_period_need_the_later_ones_reopened_first(locks):
    locks.lock(SEPTEMBER, "Ann")
    locks.lock(OCTOBER, "Ann")
    with pytest.raises(PeriodLocked, match=r"reopen --end 2026-10-31 .*, then `lending period reopen --end 2026-09-30"):
        locks.require_open([SEPTEMBER])
    with pytest.raises(RegisterError, match="reopen 2026-10-31 first"):
        locks.reopen(SEPTEMBER, "Ann", "a late payment")
    locks.reopen(OCTOBER, "Ann", "a late payment")
    locks.reopen(SEPTEMBER, "Ann", "a late payment")
    locks.require_open([SEPTEMBER, OCTOBER])


def test_every_lock_and_reopening_is_kept(locks):
    locks.lock(OCTOBER, "Ann")
    locks.reopen(OCTOBER, "Bo", "  a late payment ")
    locks.lock(OCTOBER, "Cy")
    kept = locks.all()
    assert [(lock.locked_by, lock.reopened_by, lock.reason) for lock in kept] == [
        ("Cy", None, None),
        ("Ann", "Bo", "a late payment"),
    ]
    assert [lock.locked_by for lock in locks.in_force()] == ["Cy"]


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda locks: locks.lock(SEPTEMBER, "Ann"), "all days up to 2026-10-31 are locked already"),
        (lambda locks: locks.lock(OCTOBER, "Ann"), "all days up to 2026-10-31 are locked already"),
        (lambda locks: locks.lock(date(2026, 11, 30), "  "), "write the name of the person"),
        (lambda locks: locks.lock(date(2026, 11, 30), "a\nb"), "write the name of the person"),
        (lambda locks: locks.reopen(OCTOBER, "Ann", " "), "write the reason"),
        (lambda locks: locks.reopen(SEPTEMBER, "Ann", "why"), "no lock in force ends on 2026-09-30; .*: 2026-10-31"),
    ],
)
def test_what_is_refused(locks, act, told):
    locks.lock(OCTOBER, "Ann")
    with pytest.raises(RegisterError, match=told):
        act(locks)
    assert [lock.period_end for lock in locks.in_force()] == [OCTOBER]


@pytest.mark.parametrize(
    ("role", "scope", "may"),
    [
        ("admin", {}, True),
        ("controller", {}, True),
        ("controller", {"branches": ["B1"]}, False),
        ("auditor", {}, False),
        ("manager", {"manager": "S1"}, False),
    ],
)
def test_where_there_are_accounts_the_role_decides(register, role, scope, may):
    with register.session() as session:
        Accounts(session).create("ann", "Ann", [RoleGiven.checked(role, scope)])
        locks = PeriodLocks(session)
        with pytest.raises(RegisterError, match="there is no account 'bo'"):
            locks.lock(OCTOBER, "bo")
        if may:
            assert locks.lock(OCTOBER, "Ann").locked_by == "ann"
            Accounts(session).set_active(Accounts(session).get("ann"), False)
        with pytest.raises(RegisterError, match=r"'ann' may not lock or reopen periods: .* role admin or controller"):
            locks.reopen(OCTOBER, "ann", "why") if may else locks.lock(OCTOBER, "ann")
