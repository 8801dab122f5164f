"""borrowing_base: what a facility lends against the loans of a portfolio or investor, and its covenants."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from pydantic import Field, field_validator

from lending_pipelines.known_names import KnownNames
from lending_pipelines.metrics import borrowing_base
from lending_pipelines.metrics.facility import FacilityRules
from lending_pipelines.reports import (
    columns,
    days,
    facility_covenants,
    facility_rules,
    headlines,
    in_period,
    no_data,
    scopes,
)
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import (
    UNSET,
    AsOf,
    KnownAt,
    OneScope,
    PersonalData,
    UnderConventions,
    allows_pii,
)
from lending_pipelines.reports.protocol import ReportSource, report_book
from lending_pipelines.tables.schema import MONEY

_PERSONS = ("borrower", "officer")
"""Groups that are persons."""

_CURRENCY = ReportColumn("currency", "Currency", "text")
_CERTIFICATE = (
    ReportColumn("item", "Item", "text"),
    ReportColumn("basis", "Basis", "text"),
    ReportColumn("loan_count", "Loans", "count"),
    ReportColumn("amount", "Amount", "money"),
)
_DEDUCTIONS = ("Less: ineligible", "Less: excess concentrations", "Less: not advanced", "Less: outstanding")
_INELIGIBLE = (
    _CURRENCY,
    ReportColumn("rule", "Rule", "text"),
    ReportColumn("value", "Value", "text"),
    ReportColumn("loan_count", "Loans", "count"),
    ReportColumn("principal_outstanding", "Principal outstanding", "money"),
    ReportColumn("share", "Share of principal", "rate"),
)
_CONCENTRATIONS = (
    _CURRENCY,
    ReportColumn("by", "By", "text"),
    ReportColumn("group", "Group", "text"),
    ReportColumn("loan_count", "Eligible loans", "count"),
    ReportColumn("eligible", "Eligible principal", "money"),
    ReportColumn("share", "Share of eligible", "rate"),
    ReportColumn("max_share", "Limit", "rate"),
    ReportColumn("limit_amount", "Limit amount", "money"),
    ReportColumn("excess", "Excess", "money"),
)
_HEADLINES = (
    _CURRENCY,
    ReportColumn("availability", "Availability", "money"),
    ReportColumn("borrowing_base", "Borrowing base", "money"),
    ReportColumn("outstanding", "Outstanding", "money"),
    ReportColumn("net_eligible", "Net eligible", "money"),
    ReportColumn("principal_outstanding", "Principal outstanding", "money"),
    ReportColumn("ineligible", "Ineligible", "money"),
    ReportColumn("excess", "Excess concentrations", "money"),
    ReportColumn("breaches", "Covenants breached", "count"),
)
_NOTES = (
    "A loan is listed with the first rule that it breaks, in the order of the rules. A loan without the data that a"
    " rule needs breaks the rule. Loans that are not active come first.",
    "Excess concentration: the part of a group above its limit. Loans fill the limit by days past due, lowest first,"
    " then by loan id. Limits apply one after the other; an amount excluded by one limit is not excluded again.",
    "Cumulative net loss: (charged off - recovered) ÷ disbursed. Charge-off rates cover the months in the rules and the"
    " loans of the day, annualised, ÷ average daily principal outstanding; net rates are after recoveries.",
    "Each currency has its own borrowing base; balances of different currencies are never added.",
)


class BorrowingBaseParameters(PersonalData, UnderConventions, KnownAt, OneScope, AsOf):
    """The form of borrowing_base."""

    rules: str = Field(
        facility_rules.DEFAULT,
        max_length=100_000,
        description="The facility's rules: default, the path of a .toml or .json file, or JSON like"
        ' {"advance_rate": 0.8, "eligibility": {"max_days_past_due": 60}}. The report prints all rules.',
    )
    outstanding: str = Field(
        UNSET, description="The drawn amount by currency, like USD 250000.00, EUR 90000. unset: availability is blank."
    )
    top_groups: int = Field(
        10, ge=1, le=1000, description="Maximum number of groups listed per concentration limit and currency."
    )

    @field_validator("outstanding")
    @classmethod
    def _amounts(cls, text: str) -> str:
        amounts(text)
        return text


def amounts(text: str) -> dict[str, Decimal]:
    """The amounts by currency from the text of a form field. The ValueError says what to write."""
    by_currency: dict[str, Decimal] = {}
    for part in [] if text == UNSET else text.split(","):
        try:
            currency, amount = part.split()
            drawn = Decimal(amount).quantize(Decimal("0.01"))
            once = currency not in by_currency and drawn >= 0
        except (ValueError, InvalidOperation):
            once = False
        if not once:
            raise ValueError(f"write one amount per currency like USD 250000.00, EUR 90000, or {UNSET}")
        by_currency[currency] = drawn
    return by_currency


class BorrowingBase:
    """Compares the loans of a scope in loan_positions with the rules of a facility."""

    report_type = "borrowing_base"
    title = "Borrowing base"
    description = "Eligible loans, excess concentrations, borrowing base, availability and covenants of a facility."
    reads = ("loan_positions", "portfolio_snapshots", "loans", "modifications")
    parameters = BorrowingBaseParameters

    def covers(self, parameters: BorrowingBaseParameters, source: ReportSource) -> list[date]:
        """The business date and, if a covenant is on charge-offs, the earlier closed days that it needs."""
        day = days.business_date(source, self.reads, parameters.as_of)
        return facility_covenants.covered(source, day, facility_rules.load(parameters.rules))

    def generate(self, parameters: BorrowingBaseParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the day is not closed, the scope is unknown, or a rule is invalid."""
        day = days.business_date(source, self.reads, parameters.as_of)
        rules = facility_rules.load(parameters.rules)
        facility_rules.require_names(rules, KnownNames(source.table))
        scope = scopes.scope_of(parameters, source, day)
        loans = scopes.chosen_loans(parameters, source, day)
        collateral = borrowing_base.collateral(loans, source.table("loans"), source.table("modifications"), rules, day)
        drawn = amounts(parameters.outstanding)
        base = borrowing_base.base(collateral, rules, _facility(rules, drawn)).order_by("currency")
        lent = base.to_pyarrow().to_pylist()
        certificates = [_certificate(row, rules) for row in lent]
        covenants, unknown = facility_covenants.table(source, day, scope, loans, rules)
        concentrations, masked = _concentrations(collateral, rules, parameters)
        return report_book(
            self,
            parameters,
            source,
            day,
            scopes.scope_title(source, day, scope),
            [
                *certificates,
                covenants,
                _ineligible(collateral, rules, day),
                concentrations,
                facility_rules.table(rules),
            ],
            [Chart(table.title, table.title, "waterfall", "item", ("amount",), _DEDUCTIONS) for table in certificates],
            notes=[*_NOTES, *unknown, *masked, *_missing(rules, source, lent)],
            headlines=headlines.of_rows(
                _HEADLINES,
                [row | {"breaches": len(facility_covenants.breached(covenants, row["currency"]))} for row in lent],
            ),
            alerts=facility_covenants.alerts(covenants),
            summary={
                row["currency"]: columns.headline(row, ("net_eligible", "borrowing_base", "availability"))
                | {"breached": facility_covenants.breached(covenants, row["currency"])}
                for row in lent
            },
        )


def _facility(rules: FacilityRules, drawn: Mapping[str, Decimal]) -> ir.Table:
    """Commitment and outstanding by currency. If any amount is given, a currency without one has 0 outstanding."""
    rows = [
        {
            "currency": currency,
            "commitment": rules.commitment.get(currency),
            "outstanding": drawn.get(currency, Decimal(0) if drawn else None),
        }
        for currency in sorted({*rules.commitment, *drawn})
    ]
    schema = ibis.schema({"currency": "string", "commitment": MONEY, "outstanding": MONEY})
    return ibis.memtable(pa.Table.from_pylist(rows, schema=schema.to_pyarrow()))


def _certificate(row: Mapping[str, Any], rules: FacilityRules) -> ReportTable:
    """The calculation for one currency, from principal outstanding to availability."""
    lines = [
        ("Principal outstanding", "all loans", row["loan_count"], row["principal_outstanding"]),
        ("Less: ineligible", "loans that break a rule", row["ineligible_loans"], row["ineligible"]),
        ("Eligible", "principal outstanding - ineligible", row["eligible_loans"], row["eligible"]),
        ("Less: excess concentrations", "amounts above a limit", None, row["excess"]),
        ("Net eligible", "eligible - excess concentrations", None, row["net_eligible"]),
        (
            "Less: not advanced",
            f"(1 − {rules.advance_rate}) × net eligible",
            None,
            _difference(row, "net_eligible", "borrowing_base"),
        ),
        ("Borrowing base", f"advance rate {rules.advance_rate} × net eligible", None, row["borrowing_base"]),
        ("Commitment", "from the rules; blank: none", None, row["commitment"]),
        ("Maximum advance", "the lower of borrowing base and commitment", None, row["maximum_advance"]),
        ("Less: outstanding", "from the parameter; blank: not given", None, row["outstanding"]),
        ("Availability", "maximum advance - outstanding; negative: overadvanced", None, row["availability"]),
    ]
    frame = pd.DataFrame(lines, columns=[column.name for column in _CERTIFICATE])
    return ReportTable(f"Borrowing base {row['currency']}", _CERTIFICATE, frame.astype({"loan_count": "Int64"}))


def _difference(row: Mapping[str, Any], larger: str, smaller: str) -> Decimal | None:
    """One amount less another; None if either is unknown."""
    return None if row[larger] is None or row[smaller] is None else row[larger] - row[smaller]


def _ineligible(collateral: ir.Table, rules: FacilityRules, day: date) -> ReportTable:
    """The ineligible loans by rule, in the order in which the rules apply."""
    values = {borrowing_base.NOT_ACTIVE: "", **borrowing_base.limits_of(rules.eligibility)}
    order = {name: place for place, name in enumerate(values)}
    rows = borrowing_base.ineligibles(collateral).to_pyarrow().to_pylist()
    rows.sort(key=lambda row: (row["currency"], order[row["ineligible_by"]]))
    printed = [
        row | {"rule": row["ineligible_by"], "value": facility_rules.value(values[row["ineligible_by"]])}
        for row in rows
    ]
    return _table("Ineligible loans", _INELIGIBLE, printed, f"no loan is ineligible on {day}")


def _concentrations(
    collateral: ir.Table, rules: FacilityRules, parameters: BorrowingBaseParameters
) -> tuple[ReportTable, list[str]]:
    """The largest groups per limit and currency, and a note if ids of persons are left out."""
    groups = borrowing_base.concentrations(collateral, rules, parameters.top_groups)
    if groups is None:
        return _table("Concentrations", _CONCENTRATIONS, [], "the rules have no concentration limit"), []
    ordered = groups.order_by("limit_number", "currency", groups.eligible.desc(), "group")
    limits = rules.concentration_limits
    printed = [
        row | {"by": limits[row["limit_number"]].by, "max_share": float(limits[row["limit_number"]].max_share)}
        for row in ordered.to_pyarrow().to_pylist()
    ]
    persons = [] if allows_pii(parameters) else sorted({row["by"] for row in printed} & {*_PERSONS})
    note = f"Personal data is left out: groups by {' and '.join(persons)}. Set allow_pii=true to print it."
    printed = [row | {"group": None} if row["by"] in persons else row for row in printed]
    table = _table("Concentrations", _CONCENTRATIONS, printed, "no eligible loan is in a limited group")
    return replace(table, cut=_cut(printed)), [note] if persons else []


def _cut(printed: Sequence[Mapping[str, Any]]) -> str:
    """How many groups are listed, for each limit and currency with more groups."""
    listed = Counter((row["by"], row["currency"], row["groups"]) for row in printed)
    return "; ".join(
        f"by {by}, {in_period.first_of(number, groups, currency)}"
        for (by, currency, groups), number in listed.items()
        if groups > number
    )


def _missing(rules: FacilityRules, source: ReportSource, lent: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Notes on unknown values, with the reason."""
    if unknown := [row["currency"] for row in lent if row["outstanding"] is None]:
        yield f"No data: the outstanding amount in {', '.join(unknown)} was not given; availability is blank."
    if rules.eligibility.exclude_modified and not no_data.has_rows(source, "modifications"):
        yield "No data: the source has no modifications, so no loan counts as modified."


def _table(title: str, printed: Sequence[ReportColumn], rows: list[dict[str, Any]], none: str) -> ReportTable:
    frame = pd.DataFrame(rows, columns=[column.name for column in printed])
    return ReportTable(title, tuple(printed), frame, no_data=none)


generator = BorrowingBase()
