"""The effect of the restatements in force: days, loans, principal, and the tapes and reports that were sent before."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import ibis.expr.types as ir

from lending_pipelines.lake import Lake
from lending_pipelines.register import Register, published
from lending_pipelines.restatements.closes import POSITIONS, closed_days
from lending_pipelines.restatements.detect import restatements_in_force
from lending_pipelines.tables.records import EVERY_LOAN

_OWN = "restatement"
"""The report on restatements itself, which prints both books."""


@dataclass(frozen=True)
class Effect:
    """The effect of restatements.

    `principal` is, by currency, the difference in principal outstanding on the last changed day of the currency. `sent`
    are the tapes and reports of changed days: kind, name, day, recipient.
    """

    days: list[date]
    loans: int
    principal: dict[str, Decimal]
    sent: list[tuple[str, str, date, str]]

    def as_text(self) -> str:
        """One line about the days and `loans_as_text`.

        For example: `closed days from 2026-10-28 changed: 3 loans, principal outstanding -412.00 USD; tape X was
        delivered`.
        """
        if not self.days:
            return "no closed day differs from what is known now"
        which = f"closed day {self.days[0]}" if len(self.days) == 1 else f"closed days from {self.days[0]}"
        return f"{which} changed: {self.loans_as_text()}"

    def as_warning(self) -> str:
        """The days, what changed, and the command that closes them again, in one line."""
        first, last = self.days[0], self.days[-1]
        which = (
            f"closed day {first} no longer agrees"
            if first == last
            else f"closed days {first} to {last} no longer agree"
        )
        command = f"lending restate --from {first} --to {last} --apply"
        return f"{which} with what is known now: {self.loans_as_text()}. To close again what changed: `{command}`"

    def loans_as_text(self) -> str:
        """The loans, the difference in principal, and what was sent, such as `3 loans; tape X was delivered`."""
        loans = f"{self.loans:,} loan{'' if self.loans == 1 else 's'}" if self.loans else "other conventions"
        amounts = ", ".join(f"{amount:+,.2f} {currency}" for currency, amount in sorted(self.principal.items()))
        sentences = [
            f"{kind}{'' if len(names) == 1 else 's'} {_listed(names)} {'was' if len(names) == 1 else 'were'} {verb}"
            for kind, verb in (("tape", "delivered"), ("report", "made"))
            if (names := sorted({name for each, name, _, _ in self.sent if each == kind}))
        ]
        return "; ".join([f"{loans}{f', principal outstanding {amounts}' if amounts else ''}", *sentences])


def effect(
    lake: Lake, register: Register, first: date | None = None, last: date | None = None, since: datetime | None = None
) -> Effect:
    """The effect of the restatements in force.

    Args:
        lake: The lake.
        register: The register.
        first: Only those of days from this one.
        last: Only those of days up to this one.
        since: Only those detected at this time (UTC) or later.
    """
    rows = restatements_in_force(lake, closed_days(lake))
    rows = rows.filter(~rows.reported.identical_to(rows.restated))
    for condition in (
        None if first is None else rows.business_date >= first,
        None if last is None else rows.business_date <= last,
        None if since is None else rows.detected_at >= since,
    ):
        rows = rows if condition is None else rows.filter(condition)
    days = sorted(rows.select("business_date").distinct().to_pyarrow()["business_date"].to_pylist())
    if not days:
        return Effect([], 0, {}, [])
    loans = rows.filter(rows.loan_id != EVERY_LOAN)
    number = int(loans.loan_id.nunique().to_pyarrow().as_py())
    return Effect(days, number, _principal(loans), _sent(lake, register, loans, days))


def _principal(loans: ir.Table) -> dict[str, Decimal]:
    amounts = loans.filter(loans.column == "principal_outstanding")
    last = amounts.group_by("currency").agg(last_day=amounts.business_date.max())
    both = amounts.join(last, "currency", rname="{name}_of_currency")
    both = both.filter(both.business_date == both.last_day)
    sums = both.group_by("currency").agg(difference=both["difference"].sum().cast("decimal(38, 2)"))
    return {row["currency"]: row["difference"] for row in sums.to_pyarrow().to_pylist() if row["difference"]}


def _sent(lake: Lake, register: Register, loans: ir.Table, days: list[date]) -> list[tuple[str, str, date, str]]:
    """The tapes with changed loans and the reports of changed days."""
    of_days = set(days)
    out = [row for row in published(register).to_pylist() if row["business_date"] in of_days and row["name"] != _OWN]
    if not out:
        return []
    positions = lake.table(POSITIONS, days[0], days[-1]).select("business_date", "loan_id", "portfolio_id")
    keys = loans.select("business_date", "loan_id").distinct()
    touched = positions.semi_join(keys, ["business_date", "loan_id"]).select("business_date", "portfolio_id").distinct()
    portfolios = {(row["business_date"], row["portfolio_id"]) for row in touched.to_pyarrow().to_pylist()}
    return sorted(
        {
            (row["kind"], row["name"], row["business_date"], row["recipient"])
            for row in out
            if row["kind"] == "report" or (row["business_date"], row["portfolio_id"]) in portfolios
        }
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
