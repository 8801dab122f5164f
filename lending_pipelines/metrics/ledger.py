"""The general ledger: the daily trial balance, and tie-outs of control accounts with loan positions."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.as_json import as_json
from lending_pipelines.metrics.money import ZERO, money, wide
from lending_pipelines.metrics.timeline import days

LOANS_SHOWN = 20
"""The maximum number of loans that a tie-out lists for a break, largest first."""


@dataclass(frozen=True)
class Control:
    """A total that a ledger account controls, with its sign and the same total from a row of loan_positions.

    The sign is 1 for debit − credit and −1 for credit − debit, regardless of the account's type.
    """

    sign: int
    total: Callable[[ir.Table], ir.DecimalColumn]


# Fees receivable has no total, because positions have no fees due.
CONTROLS: dict[str, Control] = {
    "principal": Control(1, lambda positions: positions.principal_outstanding),
    "interest_receivable": Control(1, lambda positions: positions.interest_receivable),
    "cash": Control(1, lambda positions: money(positions.total_collected - positions.principal_disbursed)),
    "interest_income": Control(-1, lambda positions: positions.interest_earned),
    "fee_income": Control(-1, lambda positions: positions.fees_paid),
    "charge_off": Control(1, lambda positions: positions.principal_charged_off),
    "recovery": Control(-1, lambda positions: positions.recovered),
}
"""The totals that a general ledger account can control, by `control_for`."""

_ACCRUED = ("interest_receivable", "interest_income")
"""The controls whose accruals a ledger may post for many loans at once."""

_SIDES = ("ledger", "subledger", "difference")


def trial_balance(journal_lines: ir.Table, gl_accounts: ir.Table, first: date, last: date) -> ir.Table:
    """The table trial_balance for the days first..last: every account with entries up to the day, per currency."""
    keys = ["account_code", "currency"]
    lines = journal_lines.filter(journal_lines.entry_date <= last)
    sums = lines.group_by(*keys, on=ibis.greatest(lines.entry_date, ibis.literal(first))).agg(
        debit=money(lines.debit.sum()), credit=money(lines.credit.sum())
    )
    running = ibis.window(group_by=keys, order_by="on", rows=(None, 0))
    following = ibis.window(group_by=keys, order_by="on")
    spans = sums.select(
        *keys,
        "on",
        until=ibis.coalesce(sums.on.lead().over(following), ibis.literal(last + timedelta(days=1))),
        debit_total=money(sums.debit.sum().over(running)),
        credit_total=money(sums.credit.sum().over(running)),
    )
    accounts = gl_accounts.select("account_code", "name", "account_type")
    rows = days(spans).left_join(accounts, "account_code")
    rows = rows.mutate(balance=money(rows.debit_total - rows.credit_total))
    return rows.mutate(
        debit_balance=ibis.greatest(rows.balance, ZERO), credit_balance=ibis.greatest(money(-rows.balance), ZERO)
    )


def ledger_tieouts(
    positions: ir.Table,
    trial_balance: ir.Table,
    journal_lines: ir.Table,
    gl_accounts: ir.Table,
    first: date,
    last: date,
) -> ir.Table:
    """The table ledger_tieouts for the days first..last: control accounts compared with loan positions.

    Only controls with an account in the chart of accounts are compared. `loans` is JSON: objects with loan_id, ledger,
    subledger and difference of the loans whose own ledger balance differs, largest difference first, LOANS_SHOWN at
    most. loan_id is null for ledger lines without a loan.
    """
    subledger = _subledger_by_loan(positions, gl_accounts)
    keys = ["business_date", "control_for", "currency"]
    controls = _controls(gl_accounts)
    ledger = trial_balance.inner_join(controls, "account_code")
    sides = ibis.union(
        ledger.select(*keys, ledger=ledger.balance * ledger.control_sign, subledger=ZERO),
        subledger.select(*keys, ledger=ZERO, subledger="amount"),
    )
    totals = sides.group_by(*keys).agg(
        ledger_balance=money(sides.ledger.sum()), subledger_balance=money(sides.subledger.sum())
    )
    totals = totals.mutate(difference=money(totals.ledger_balance - totals.subledger_balance)).alias("tieouts")
    breaks = totals.filter(totals["difference"] != 0).select(*keys)
    listed = _breaking_loans(
        _kept_by_loan(breaks, journal_lines, controls), subledger, _ledger_by_loan(journal_lines, controls, first, last)
    )
    rows = totals.left_join(listed, keys, rname="{name}_listed")
    return rows.mutate(loans=ibis.coalesce(rows.loans, "[]"))


def _controls(gl_accounts: ir.Table) -> ir.Table:
    """account_code, control_for and control_sign of the control accounts."""
    accounts = gl_accounts.filter(gl_accounts.control_for.isin(list(CONTROLS)))
    signs = ((accounts.control_for == name, control.sign) for name, control in CONTROLS.items())
    return accounts.select("account_code", "control_for", control_sign=ibis.cases(*signs).cast("int8"))


def _subledger_by_loan(positions: ir.Table, gl_accounts: ir.Table) -> ir.Table:
    """business_date, control_for, currency, loan_id and amount, for the controls in the chart of accounts."""
    parts = [
        positions.select(
            "business_date", "currency", "loan_id", control_for=ibis.literal(control), amount=what.total(positions)
        )
        for control, what in CONTROLS.items()
    ]
    return ibis.union(*parts).semi_join(_controls(gl_accounts), "control_for")


def _kept_by_loan(breaks: ir.Table, journal_lines: ir.Table, controls: ir.Table) -> ir.Table:
    """The breaks without accruals posted for many loans at once by the day. Such accruals cannot be split by loan."""
    lines = journal_lines.inner_join(controls, "account_code")
    accrued = lines.filter(lines.control_for.isin(_ACCRUED), lines.loan_id.isnull())
    since = accrued.group_by("control_for", "currency").agg(accrued_since=accrued.entry_date.min())
    rows = breaks.left_join(since, ["control_for", "currency"], rname="{name}_of_accruals")
    kept = rows.accrued_since.isnull() | (rows.accrued_since > rows.business_date)
    return rows.filter(kept).select(*breaks.columns)


def _ledger_by_loan(journal_lines: ir.Table, controls: ir.Table, first: date, last: date) -> ir.Table:
    """Spans [on, until) of control_for, currency, loan_id (empty: no loan), amount: the running balance."""
    lines = journal_lines.filter(journal_lines.entry_date <= last).inner_join(controls, "account_code")
    keys = ["control_for", "currency", "loan_id"]
    lines = lines.mutate(
        loan_id=ibis.coalesce(lines.loan_id, ""),
        on=ibis.greatest(lines.entry_date, ibis.literal(first)),
        amount=(wide(lines.debit) - lines.credit) * lines.control_sign,
    )
    sums = lines.group_by(*keys, "on").agg(amount=money(lines.amount.sum()))
    return sums.select(
        *keys,
        "on",
        until=ibis.coalesce(
            sums.on.lead().over(ibis.window(group_by=keys, order_by="on")),
            ibis.literal(last + timedelta(days=1)),
        ),
        amount=money(sums.amount.sum().over(ibis.window(group_by=keys, order_by="on", rows=(None, 0)))),
    )


def _breaking_loans(breaks: ir.Table, subledger: ir.Table, ledger: ir.Table) -> ir.Table:
    """The JSON list of the loans that differ, for each break."""
    keys = ["business_date", "control_for", "currency"]
    on_break = ledger.inner_join(breaks, ["control_for", "currency"])
    on_break = on_break.filter(on_break.on <= on_break.business_date, on_break.business_date < on_break.until)
    owed_by_breaks = subledger.semi_join(breaks, keys)
    sides = ibis.union(
        on_break.select(*keys, "loan_id", ledger="amount", subledger=ZERO),
        owed_by_breaks.select(*keys, "loan_id", ledger=ZERO, subledger="amount"),
    )
    loans = sides.group_by(*keys, "loan_id").agg(
        ledger=money(sides.ledger.sum()), subledger=money(sides.subledger.sum())
    )
    loans = loans.mutate(difference=money(loans.ledger - loans.subledger)).filter(lambda t: t["difference"] != 0)
    largest = ibis.window(group_by=keys, order_by=[ibis.desc(loans["difference"].abs()), "loan_id"])
    loans = loans.mutate(rank=ibis.row_number().over(largest)).filter(lambda t: t.rank < LOANS_SHOWN)
    # Sorted as an array, because Spark does not order text aggregates.
    entry = {"loan_id": loans.loan_id.nullif(""), **{name: loans[name] for name in _SIDES}}
    listed = loans.group_by(*keys).agg(ranked=ibis.struct({"rank": loans.rank, **entry}).collect())
    entries = listed.ranked.sort().map(lambda ranked: ibis.struct({name: ranked[name] for name in entry}))
    return listed.select(*keys, loans=as_json(entries))
