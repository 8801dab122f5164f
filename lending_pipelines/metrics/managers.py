"""manager_snapshots: clients, balances, delinquency and health of loan officers and team leaders on every day.

A loan counts for its officer of the day and for the officer's team leader. The health score is defined in health.py.
"""

from collections.abc import Callable
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import charge_offs, delinquency, events, health, schedules, spells
from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.portfolios import PAR_DAYS
from lending_pipelines.metrics.ratios import ratio
from lending_pipelines.metrics.spells import is_closed
from lending_pipelines.metrics.timeline import as_date

SOURCES = (*health.SOURCES, "staff")
"""The tables that manager_snapshots needs in addition to loan_positions."""

UNASSIGNED = "unassigned"
"""The manager_id and role of the loans without an officer."""

_KEYS = ("business_date", "manager_id", "currency")

_FLAGS = ("has_loan", "active", "was_active", "has_old_loan")
"""The facts about a borrower on a day: the manager has a loan of the borrower, an active one, one that was active on
the day before the window, and one that was disbursed before the window."""

_WORD = 60
"""The number of days that one int64 stores, one bit per day."""


def manager_snapshots(
    positions: ir.Table, read: Callable[[str], ir.Table], first: date, last: date, conventions: Conventions
) -> ir.Table:
    """The table manager_snapshots for the days first..last of `positions`; `read` returns each of SOURCES by name."""
    rows = health.with_history(positions, read, first, last, conventions)
    rows = rows.mutate(officer_id=rows.officer_id.fill_null(UNASSIGNED))
    staff = read("staff")
    totals = _totals(rows, staff, conventions)
    window = conventions.health_window_days
    owed_interest = _owed_interest(rows, read, first, last, window)
    clients = _clients(rows, owed_interest, staff, first, last, window)
    snapshots = totals.inner_join(clients, _KEYS)
    snapshots = snapshots.mutate(
        **{f"par_{days}": ratio(snapshots[f"late_{days}"], snapshots.total_outstanding) for days in PAR_DAYS}
    )
    return _described(health.scored(snapshots, "total_outstanding", conventions), staff)


def with_leaders(rows: ir.Table, staff: ir.Table) -> ir.Table:
    """The rows by `manager_id`: once for the `officer_id`, and once for the officer's team leader if there is one."""
    led = _led(staff).rename(member_id="officer_id")
    own = rows.mutate(manager_id=rows.officer_id)
    return ibis.union(own, rows.inner_join(led, rows.officer_id == led.member_id).select(*own.columns))


def _led(staff: ir.Table) -> ir.Table:
    """The team leader of each officer: officer_id, manager_id.

    People who are their own team leader are left out, because their own loans are already in their own row.
    """
    led = staff.filter(staff.team_leader_id != staff.staff_id)
    return led.select(officer_id="staff_id", manager_id="team_leader_id")


def _totals(rows: ir.Table, staff: ir.Table, conventions: Conventions) -> ir.Table:
    """The sums over loans."""
    outstanding = rows.principal_outstanding
    rows = rows.mutate(
        active_loans=(rows.status == "active").cast("int64"),
        total_loans=ibis.literal(1, "int64"),
        total_disbursed=rows.principal_disbursed,
        total_outstanding=outstanding,
        **{
            f"late_{days}": delinquency.in_par(rows.days_past_due, days, conventions).ifelse(outstanding, ZERO)
            for days in PAR_DAYS
        },
    )
    counts = ("active_loans", "total_loans", "counted_loans", "defaulted_loans")
    amounts = ("total_disbursed", "total_outstanding", "total_collected", *(f"late_{days}" for days in PAR_DAYS))
    amounts += ("due_in_window", "collected_in_window", "opening_outstanding", "income_in_year")

    def sums(table: ir.Table) -> dict[str, ir.Scalar]:
        return {
            **{name: as_count(table[name].sum()) for name in counts},
            **{name: money(table[name].sum()) for name in amounts},
            "balance_days": table.balance_days.sum(),
        }

    by_officer = rows.group_by("business_date", "officer_id", "currency").agg(**sums(rows))
    by_manager = with_leaders(by_officer, staff)
    return by_manager.group_by(*_KEYS).agg(**sums(by_manager))


def _clients(
    rows: ir.Table, owed_interest: ir.Table, staff: ir.Table, first: date, last: date, window: int
) -> ir.Table:
    """The borrowers of each manager: total, active, new and churned. A team's borrower counts once for its leader.

    For each of _FLAGS, an integer has one bit per day on which the flag is true. So a range has a row per borrower
    instead of a row per borrower and day, and borrowers with the same days are counted together.
    """
    before = as_date(rows.business_date - ibis.interval(days=window))
    # Any loan that is disbursed and has principal outstanding is active.
    owed_principal = (rows.opening_disbursed > 0) & (rows.opening_outstanding > 0)
    loans = _as_bits(
        rows,
        first,
        has_loan=rows.business_date.notnull(),
        active=rows.status == "active",
        was_active=owed_principal,
        has_old_loan=rows.disbursed_on <= before,
    )
    loans = ibis.union(loans, _as_bits(owed_interest, first, was_active=owed_interest.business_date.notnull()))
    by_officer = _merged(loans, "officer_id")
    by_manager = _merged(with_leaders(by_officer, staff), "manager_id")
    alike = by_manager.group_by("manager_id", "currency", "word", *_FLAGS).agg(number=by_manager.count())

    days = min((last - first).days + 1, _WORD)
    alike = alike.mutate(bit=ibis.range(0, days).unnest())
    on = {name: ((alike[name] >> alike.bit) & 1) == 1 for name in _FLAGS}
    clients = alike.select(
        "manager_id",
        "currency",
        "number",
        business_date=as_date(ibis.literal(first) + (alike.word * _WORD + alike.bit).as_interval("D")),
        **on,
    )
    clients = clients.filter(clients.has_loan)

    def number(holds: ir.BooleanValue) -> ir.IntegerScalar:
        return as_count(holds.ifelse(clients.number, 0).sum())

    return clients.group_by(*_KEYS).agg(
        total_clients=number(clients.has_loan),
        active_clients=number(clients.active),
        new_clients=number(clients.active & ~clients.has_old_loan),
        churned_clients=number(clients.was_active & ~clients.active),
    )


def _as_bits(rows: ir.Table, first: date, **flags: ir.BooleanValue) -> ir.Table:
    """officer_id, currency, borrower_id, word and _FLAGS. Bit n is the day _WORD × word + n days after `first`."""
    place = rows.business_date.delta(ibis.literal(first), unit="day")
    bit = (place % _WORD).cast("int32")
    none = ibis.literal(0, "int64")
    return rows.select(
        "officer_id",
        "currency",
        "borrower_id",
        word=(place // _WORD).cast("int64"),
        **{name: flags[name].fill_null(False).cast("int64") << bit if name in flags else none for name in _FLAGS},
    )


@ibis.udf.agg.builtin(name="bit_or")
def _bit_or(bits: int) -> int:  # type: ignore[empty-body]
    """The bits that are set in any of the rows. Ibis 12 does not compile its own `bit_or` for Spark."""


def _merged(rows: ir.Table, by: str) -> ir.Table:
    """The flags of all rows of each borrower, combined."""
    return rows.group_by(by, "currency", "borrower_id", "word").agg(**{name: _bit_or(rows[name]) for name in _FLAGS})


def _owed_interest(rows: ir.Table, read: Callable[[str], ir.Table], first: date, last: date, window: int) -> ir.Table:
    """The loans that are no longer active and were on the day before the window, without principal outstanding.

    They had repaid the principal before the window. In it they settled the interest, or it was written off, or a
    schedule that begins in it asks for no more. Only a few loans do.

    Returns:
        business_date, officer_id, currency, borrower_id.
    """
    opening = first - timedelta(days=window)
    changed = ibis.union(
        *(
            read(table).filter(lambda row: (row.effective_on > opening) & (row.effective_on <= last)).select("loan_id")
            for table in ("transactions", "installments")
        )
    )
    ended = rows.filter(rows.status != "active", rows.opening_outstanding <= 0).semi_join(changed, "loan_id")
    ended = ended.mutate(at=as_date(ended.business_date - ibis.interval(days=window)))
    moments = ended.filter(ended.disbursed_on <= ended["at"]).select(
        "loan_id", "at", "officer_id", "currency", "borrower_id"
    )
    transactions = read("transactions").semi_join(moments, "loan_id")
    installments = read("installments").semi_join(moments, "loan_id")
    booked = events.signed(transactions, last)
    charged_off = booked.filter(booked.type.isin(events.CHARGE_OFFS)).inner_join(
        moments.select("loan_id", "at"), "loan_id"
    )
    charged_off = charged_off.filter(charged_off.on <= charged_off["at"])
    charged_off = charged_off.group_by("loan_id", "at").agg(in_force=charged_off.sign.sum()).filter(ibis._.in_force > 0)
    signed = charge_offs.counted(booked, charge_offs.effects(transactions, last))
    moment_spells = spells.at(spells.spells(signed, last), moments)
    versions = schedules.versions(installments, opening, last)
    in_force = moment_spells.inner_join(versions, "loan_id")
    in_force = in_force.filter(in_force.in_force_from <= in_force["at"], in_force["at"] < in_force.in_force_until)
    due = spells.due_by(moment_spells, versions, installments)
    due = in_force.inner_join(due, ["loan_id", "version", "repaid_on"])
    before = events.amounts_at(signed, moments).inner_join(due, ["loan_id", "at"])
    owing = before.filter(before.principal_disbursed > 0, ~is_closed(before)).anti_join(charged_off, ["loan_id", "at"])
    return owing.select(
        "officer_id", "currency", "borrower_id", business_date=as_date(owing["at"] + ibis.interval(days=window))
    )


def _described(rows: ir.Table, staff: ir.Table) -> ir.Table:
    """The rows with role and branch of the manager.

    A manager who is neither a team leader nor `unassigned` is a loan officer, also if not in the table staff.
    """
    leaders = _led(staff).select(leader_id="manager_id").distinct()
    known = staff.select("staff_id", "branch_id", leads=staff.role == "team_leader")
    rows = rows.left_join(known, rows.manager_id == known.staff_id)
    rows = rows.left_join(leaders, rows.manager_id == leaders.leader_id)
    return rows.mutate(
        role=ibis.cases(
            (rows.manager_id == UNASSIGNED, UNASSIGNED),
            (rows.leads.fill_null(False) | rows.leader_id.notnull(), "team_leader"),
            else_="loan_officer",
        )
    )
