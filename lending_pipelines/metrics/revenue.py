"""Income and losses of loans over periods: interest, fees, charge-offs and recoveries.

`loans` are rows of loan_positions of one day, one per loan. They decide which loans count, and provide the columns
(`keys`) to group by. `periods` has a row per period: number, opening (the day before it), first, last, days (since the
first of the loans was disbursed), closed_days (the days that loan_positions has). Periods may overlap.

Single payments are in payments.py.
"""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import events
from lending_pipelines.metrics.money import NO_AMOUNT, ZERO, as_count, money
from lending_pipelines.metrics.ratios import annualised, ratio
from lending_pipelines.tables.schema import MONEY, RATE

INTEREST = ("interest_earned", "interest_paid", "interest_receivable", "principal_outstanding")
"""The columns of loan_positions from which interest is computed."""

LOSSES = ("principal_charged_off", "recovered", "principal_outstanding")
"""The columns of loan_positions from which charge-offs are computed."""

LOSSES_BY_KIND = (*LOSSES, "principal_written_off")
"""LOSSES, and the column that `with_written_off` adds."""


def rate_from(annual_rate: ir.DecimalColumn, width: int) -> ir.DecimalColumn:
    """The lower bound of a rate's band, which is `width` percentage points wide.

    A band includes its lower bound and not its upper bound.
    """
    band = (annual_rate.cast("float64") * 100 / width).round(8).floor()
    return (band * width / 100).cast(RATE)


def loan_days(positions: ir.Table, loans: ir.Table, keys: Sequence[str], measures: Sequence[str]) -> ir.Table:
    """The measures of `loans` on every business_date of `positions`, with the keys."""
    attributes = loans.select(*dict.fromkeys(("loan_id", *keys)))
    return positions.select("business_date", "loan_id", *measures).inner_join(attributes, "loan_id")


def by_day(loan_days: ir.Table, keys: Sequence[str], measures: Sequence[str]) -> ir.Table:
    """Sum the measures, which are money, per business_date and keys."""
    return loan_days.group_by("business_date", *keys).agg(**{name: money(loan_days[name].sum()) for name in measures})


def interest(daily: ir.Table, periods: ir.Table, keys: Sequence[str]) -> ir.Table:
    """Interest of each period.

    Args:
        daily: The result of `by_day`, or of `loan_days` if loan_id is a key, with the measures INTEREST.
        periods: The periods.
        keys: The columns of a group.

    Returns:
        number, keys, earned, collected, variance (collected − earned), receivable (at the period's end),
        average_balance, and effective_rate (earned, annualised, ÷ average_balance; null if that is 0).
    """
    days = _within(daily, periods)
    rows = days.group_by("number", *keys).agg(
        earned=_change(days, "interest_earned"),
        collected=_change(days, "interest_paid"),
        receivable=_at_end(days, "interest_receivable"),
        average_balance=_average_balance(days),
        days=days.days.max(),
    )
    return rows.mutate(
        variance=money(rows.collected - rows.earned),
        effective_rate=annualised(rows.earned, rows.average_balance, rows.days),
    )


def active_loans(positions: ir.Table, loans: ir.Table, periods: ir.Table, keys: Sequence[str]) -> ir.Table:
    """The number of active loans at the end of each period: number, keys, active_loans."""
    active = positions.filter(positions.status == "active").select("business_date", "loan_id")
    rows = active.inner_join(periods.select("number", "last"), active.business_date == periods["last"])
    rows = rows.inner_join(loans.select("loan_id", *keys), "loan_id")
    return rows.group_by("number", *keys).agg(active_loans=rows.count())


def losses(daily: ir.Table, periods: ir.Table, keys: Sequence[str]) -> ir.Table:
    """Charge-offs of each period.

    Args:
        daily: The result of `by_day`, or of `loan_days` if loan_id is a key, with the measures LOSSES.
        periods: The periods.
        keys: The columns of a group.

    Returns:
        number, keys, charged_off (gross), recoveries (received in the period), net_charged_off, average_balance, and
        net_charge_off_rate (annualised ÷ average_balance; null if that is 0).
    """
    return losses_of(_within(daily, periods), keys)


def losses_of(days: ir.Table, keys: Sequence[str]) -> ir.Table:
    """The columns of `losses` from days that already have the number and the columns of their period."""
    return _net(days.group_by("number", *keys).agg(**_losses(days)))


def losses_by_kind(daily: ir.Table, periods: ir.Table, keys: Sequence[str]) -> ir.Table:
    """`losses` with the two parts of charged_off, charge_offs and write_offs, from days with LOSSES_BY_KIND."""
    days = _within(daily, periods)
    sums = {**_losses(days), "write_offs": _change(days, "principal_written_off")}
    rows = _net(days.group_by("number", *keys).agg(**sums))
    return rows.mutate(charge_offs=money(rows.charged_off - rows.write_offs))


def with_written_off(positions: ir.Table, transactions: ir.Table, last: date) -> ir.Table:
    """Add principal_written_off, the part of principal_charged_off from write-offs, to positions of days up to `last`.

    If a loan's charge-offs and write-offs add up to more than its principal_charged_off, the difference is subtracted
    from the write-offs, because a loan is charged off first and written off later.
    """
    off = events.signed(transactions, last, lambda rows: rows.filter(rows.type.isin(events.CHARGE_OFFS)))
    off = off.select("loan_id", "type", "on", principal=money(off.principal * off.sign))
    charged = positions.filter(positions.principal_charged_off != 0)
    rows = charged.select("business_date", "loan_id", "principal_charged_off").inner_join(off, "loan_id")
    rows = rows.filter(rows.on <= rows.business_date)
    levels = rows.group_by("business_date", "loan_id").agg(
        taken=rows.principal_charged_off.max(),
        booked=money(rows.principal.sum()),
        written=ibis.coalesce(money(rows.principal.sum(where=rows.type == "write_off")), ZERO),
    )
    excess = ibis.greatest(money(levels.booked - levels.taken), ZERO)
    levels = levels.select("business_date", "loan_id", left=ibis.greatest(money(levels.written - excess), ZERO))
    rows = positions.left_join(levels, ["business_date", "loan_id"], rname="{name}_of_levels")
    rows = rows.mutate(principal_written_off=ibis.coalesce(rows["left"], ZERO))
    return rows.drop("left", "business_date_of_levels", "loan_id_of_levels")


def recovered_since(
    positions: ir.Table, loans: ir.Table, periods: ir.Table, keys: Sequence[str], observed: date
) -> ir.Table:
    """Recoveries by the day `observed` on the loans charged off in each period: number, keys, recovered_since.

    A loan is charged off in a period if it is charged off at its end and was not on the day before its start.
    `positions` has these days.
    """
    off = positions.filter(positions.status == "charged_off").select("business_date", "loan_id")
    after = periods.inner_join(off, periods["last"] == off.business_date).select("number", "loan_id")
    before = periods.inner_join(off, periods.opening == off.business_date).select("number", "loan_id")
    amounts = positions.filter(positions.business_date == observed).select("loan_id", "recovered")
    rows = after.anti_join(before, ["number", "loan_id"]).inner_join(amounts, "loan_id")
    rows = rows.inner_join(loans.select(*dict.fromkeys(("loan_id", *keys))), "loan_id")
    return rows.group_by("number", *keys).agg(recovered_since=money(rows.recovered.sum()))


def combined(interest: ir.Table, fees: ir.Table, keys: Sequence[str], fees_known: bool) -> ir.Table:
    """Interest and fees per key, from rows of `interest` and `fees`.

    Args:
        interest: Rows of `interest`.
        fees: Rows of `fees`.
        keys: The columns of a group.
        fees_known: Whether the source has fees. If so, a group without fees has 0, else null.

    Returns:
        keys, interest (earned), fee_revenue (net), total, and the collected amounts interest_collected, fees_collected
        and total_collected. A total is null if one of its parts is null.
    """
    none = ZERO if fees_known else NO_AMOUNT
    rows = interest.left_join(fees.select(*keys, "net", fees_paid="collected"), keys, rname="{name}_of_fees")
    rows = rows.mutate(
        interest=rows.earned,
        fee_revenue=ibis.coalesce(rows.net, none),
        interest_collected=rows.collected,
        fees_collected=ibis.coalesce(rows.fees_paid, none),
    )
    return rows.mutate(
        total=money(rows.interest + rows.fee_revenue),
        total_collected=money(rows.interest_collected + rows.fees_collected),
    )


def fees(fees: ir.Table, loans: ir.Table, periods: ir.Table, keys: Sequence[str]) -> ir.Table:
    """Fees of each period by the date of each event; keys are columns of `loans` or `fees`.

    Returns:
        number, keys, fee_count (assessed in the period), assessed, waived, net (assessed − waived), collected.
    """
    columns = [column for column in keys if column in fees.columns]
    events = ibis.union(
        *(
            fees.filter(fees[on].notnull()).select(
                "loan_id",
                *columns,
                on=on,
                fee_count=ibis.literal(int(name == "assessed"), "int64"),
                **{other: fees[amount] if other == name else ZERO for other in ("assessed", "waived", "collected")},
            )
            for name, on, amount in (
                ("assessed", "assessed_on", "amount"),
                ("waived", "waived_on", "waived_amount"),
                ("collected", "paid_on", "paid_amount"),
            )
        )
    )
    rows = _dated(events.inner_join(loans.select("loan_id", *_others(keys, events)), "loan_id"), "on", periods)
    sums = rows.group_by("number", *keys).agg(
        fee_count=as_count(rows.fee_count.sum()),
        **{name: money(rows[name].sum()) for name in ("assessed", "waived", "collected")},
    )
    return sums.mutate(net=money(sums.assessed - sums.waived))


def loan_volume(contracts: ir.Table, loans: ir.Table, periods: ir.Table, keys: Sequence[str]) -> ir.Table:
    """The loans disbursed in each period; `contracts` is the table loans, keys are columns of `loans`.

    Returns:
        number, keys, loan_volume (their contractual principal), loans_disbursed (their number).
    """
    disbursed = loans.select("loan_id", "disbursed_on", *keys)
    rows = _dated(disbursed.inner_join(contracts.select("loan_id", "principal"), "loan_id"), "disbursed_on", periods)
    return rows.group_by("number", *keys).agg(loan_volume=money(rows.principal.sum()), loans_disbursed=rows.count())


def fee_sizes(fees: ir.Table, contracts: ir.Table, loans: ir.Table, periods: ir.Table, keys: Sequence[str]) -> ir.Table:
    """The size of fees assessed in each period; `contracts` is the table loans, keys are columns of `loans`.

    Returns:
        number, keys, loan_count (loans with fees), average_fee, smallest_fee, largest_fee, principal (the contractual
        principal of these loans, each counted once), fee_to_principal (assessed ÷ principal; null if that is 0).
    """
    loan_terms = loans.select("loan_id", *_others(keys, fees)).inner_join(
        contracts.select("loan_id", "principal"), "loan_id"
    )
    rows = _dated(fees.inner_join(loan_terms, "loan_id"), "assessed_on", periods)
    by_loan = rows.group_by("number", *dict.fromkeys(("loan_id", *keys))).agg(
        assessed=money(rows.amount.sum()),
        fee_count=rows.count(),
        smallest_fee=rows.amount.min(),
        largest_fee=rows.amount.max(),
        principal=rows.principal.max(),
    )
    sums = by_loan.group_by("number", *keys).agg(
        assessed=money(by_loan.assessed.sum()),
        loan_count=by_loan.count(),
        fee_count=by_loan.fee_count.sum(),
        smallest_fee=by_loan.smallest_fee.min(),
        largest_fee=by_loan.largest_fee.max(),
        principal=money(by_loan.principal.sum()),
    )
    return sums.select(
        "number",
        *keys,
        "loan_count",
        "smallest_fee",
        "largest_fee",
        "principal",
        average_fee=(sums.assessed.cast("float64") / sums.fee_count.cast("float64")).cast(MONEY),
        fee_to_principal=ratio(sums.assessed, sums.principal),
    )


def _losses(days: ir.Table) -> dict[str, ir.Scalar]:
    """The sums of a period's days that `_net` needs."""
    return {
        "charged_off": _change(days, "principal_charged_off"),
        "recoveries": _change(days, "recovered"),
        "average_balance": _average_balance(days),
        "days": days.days.max(),
    }


def _net(rows: ir.Table) -> ir.Table:
    """Add net charge-offs and their rate to the sums of `_losses`."""
    rows = rows.mutate(net_charged_off=money(rows.charged_off - rows.recoveries))
    return rows.mutate(net_charge_off_rate=annualised(rows.net_charged_off, rows.average_balance, rows.days))


def _others(keys: Sequence[str], table: ir.Table) -> list[str]:
    """The keys that are not columns of the table."""
    return [key for key in keys if key not in table.columns]


def _dated(rows: ir.Table, on: str, periods: ir.Table) -> ir.Table:
    """The rows with the number of every period that contains the date in the column `on`."""
    spans = periods.select("number", "first", "last")
    return rows.inner_join(spans, [rows[on] >= spans["first"], rows[on] <= spans["last"]])


def _within(daily: ir.Table, periods: ir.Table) -> ir.Table:
    """The days of every period and the day before it, with the period's columns."""
    return daily.inner_join(periods, [daily.business_date >= periods.opening, daily.business_date <= periods["last"]])


def _change(days: ir.Table, cumulative: str) -> ir.DecimalScalar:
    """The change of a cumulative amount from the day before the period to its last day."""
    opening = ibis.coalesce(money(days[cumulative].sum(where=days.business_date == days.opening)), ZERO)
    return money(_at_end(days, cumulative) - opening)


def _at_end(days: ir.Table, level: str) -> ir.DecimalScalar:
    """The amount on the last day of the period."""
    return ibis.coalesce(money(days[level].sum(where=days.business_date == days["last"])), ZERO)


def _average_balance(days: ir.Table) -> ir.DecimalScalar:
    """The sum of principal outstanding over the closed days ÷ their number, to the cent."""
    balance = ibis.coalesce(days.principal_outstanding.sum(where=days.business_date >= days["first"]), ZERO)
    return (balance.cast("float64") / days.closed_days.max().cast("float64")).cast(MONEY)
