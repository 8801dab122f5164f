"""general_ledger: every journal line of a period by account, between an opening and a closing balance."""

from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from pydantic import Field, field_validator

from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.reports import columns, currency_charts, days, headlines, ledger_tables, no_data
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable, Section
from lending_pipelines.reports.parameters import ALL, LATEST, KnownAt, PersonalData, iso_day
from lending_pipelines.reports.protocol import ReportSource, report_book

MONTH_START = "month_start"

_ACCOUNTS = (
    *columns.lake_columns("trial_balance", "account_code", "name", "account_type", "currency"),
    ReportColumn("opening_balance", "Opening balance", "money"),
    *columns.lake_columns("journal_lines", "debit", "credit"),
    ReportColumn("closing_balance", "Closing balance", "money"),
)
_LINES = (
    *columns.lake_columns("trial_balance", "account_code", "name"),
    *columns.lake_columns("journal_lines", "entry_date", "entry_id", "line_no", "memo", "loan_id", "transaction_id"),
    *columns.lake_columns("journal_lines", "currency", "debit", "credit"),
    ReportColumn("balance", "Balance", "money"),
)


class GeneralLedgerParameters(PersonalData, KnownAt):
    """The form of general_ledger."""

    from_date: str = Field(
        MONTH_START, description="First day like 2025-01-01, or month_start: the first day of to_date's month."
    )
    to_date: str = Field(LATEST, description="Last day like 2025-01-31, or latest: the last closed day.")
    account: str = Field(ALL, description="Account code or name, or ALL.")
    max_lines: int = Field(
        200_000, ge=1, le=1_000_000, description="Maximum number of lines; with more, the report fails."
    )

    @field_validator("from_date")
    @classmethod
    def _from(cls, text: str) -> str:
        return iso_day(text, MONTH_START)

    @field_validator("to_date")
    @classmethod
    def _to(cls, text: str) -> str:
        return iso_day(text, LATEST)

    def span(self, last: date) -> tuple[date, date]:
        """The first and last day, if `last` is the last day that the report covers."""
        return last.replace(day=1) if self.from_date == MONTH_START else date.fromisoformat(self.from_date), last


class GeneralLedger:
    """Prints journal_lines by account; balances are debit − credit, as in trial_balance."""

    report_type = "general_ledger"
    title = "General ledger"
    description = "Journal lines of a period by account, with opening, running and closing balances."
    reads = ("trial_balance", "journal_lines", "gl_accounts")
    parameters = GeneralLedgerParameters

    def covers(self, parameters: GeneralLedgerParameters, source: ReportSource) -> list[date]:
        """The last day. Its trial balance includes every journal line up to that day."""
        return [days.ledger_date(source, self.reads, parameters.to_date)]

    def generate(self, parameters: GeneralLedgerParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the day is not closed, the account is unknown, or there are too many lines."""
        first, last = parameters.span(self.covers(parameters, source)[0])
        if first > last:
            raise LendingError(f"report {self.report_type}: from_date {first} is after to_date {last}")
        journal, trial = _up_to(source, last, _account(source, parameters.account))
        balances = _balances(source, journal, first)
        accounts = _accounts(source, balances, last)
        lines = _lines(source, journal, balances, (first, last), parameters.max_lines)
        return report_book(
            self,
            parameters,
            source,
            last,
            f"{first} to {last}",
            [accounts, lines],
            currency_charts.bars("Debits and credits by account", accounts, "name", "debit", "credit"),
            notes=[
                "Balances are debit − credit: a credit balance is negative.",
                *ledger_tables.late_entries(balances, trial, last),
            ],
            headlines=_headlines(accounts, lines, parameters.account),
            summary={
                row["currency"]: columns.headline(row, ("opening_balance", "debit", "credit", "closing_balance"))
                for row in accounts.totals
            },
        )


def _headlines(accounts: ReportTable, lines: ReportTable, account: str) -> ReportTable | None:
    """Lines, debits and credits per currency; for all accounts also the difference, for one account its balances."""
    counts = lines.frame.groupby("currency").size().to_dict()
    rows = [
        {**total, "lines": int(counts.get(total["currency"], 0)), "difference": total["debit"] - total["credit"]}
        for total in accounts.totals
    ]
    of_all = account.strip().upper() == ALL
    chosen = ("lines", "debit", "credit", *(("difference",) if of_all else ("opening_balance", "closing_balance")))
    printed = (ReportColumn("lines", "Lines", "count"), ReportColumn("difference", "Debits − credits", "money"))
    return headlines.of_rows((*printed, *_ACCOUNTS), rows, chosen)


def _account(source: ReportSource, wanted: str) -> str | None:
    """The code of the account with the wanted code or name; None for ALL."""
    if wanted.strip().upper() == ALL:
        return None
    accounts = source.table("gl_accounts").select("account_code", "name").to_pyarrow().to_pylist()
    folded = wanted.strip().casefold()
    codes = [row["account_code"] for row in accounts if wanted.strip() == row["account_code"]] or [
        row["account_code"] for row in accounts if folded == row["name"].casefold()
    ]
    if len(codes) == 1:
        return codes[0]
    if codes:
        raise LendingError(f"account name {wanted!r} is not unique: write one of the codes {', '.join(sorted(codes))}")
    candidates = {text for row in accounts for text in row.values()}
    raise LendingError(f"there is no account {wanted!r}; {did_you_mean(wanted, candidates)}")


def _up_to(source: ReportSource, last: date, account: str | None) -> tuple[ir.Table, ir.Table]:
    """The journal up to the last day and that day's trial balance, of one account or of all."""
    journal, trial = ledger_tables.journal_up_to(source, last), ledger_tables.trial_of(source, last)
    if account is None:
        return journal, trial
    return journal.filter(journal.account_code == account), trial.filter(trial.account_code == account)


def _balances(source: ReportSource, journal: ir.Table, first: date) -> ir.Table:
    """Per account and currency: opening balance, debits and credits of the period, closing balance."""
    names = source.table("gl_accounts").select("account_code", "name", "account_type")
    sums = ledger_tables.movements(journal, first, *ledger_tables.ACCOUNT_KEY)
    return sums.left_join(names, "account_code").select(*(column.name for column in _ACCOUNTS))


def _accounts(source: ReportSource, balances: ir.Table, last: date) -> ReportTable:
    printed = balances.order_by("currency", "account_code")
    totals = columns.totals_by_currency(balances, _ACCOUNTS)
    none = no_data.reason(source, ["journal_lines"], f"the ledger has no entries up to {last}")
    return ReportTable("Accounts", _ACCOUNTS, columns.frame(printed), totals, no_data=none)


def _lines(
    source: ReportSource, journal: ir.Table, balances: ir.Table, period: tuple[date, date], most: int
) -> ReportTable:
    """The journal lines of the period with running balances. LendingError if there are more than `most`."""
    first, last = period
    lines = journal.filter(journal.entry_date >= first)
    if (count := lines.count().to_pyarrow().as_py()) > most:
        raise LendingError(
            f"report general_ledger: {count} lines from {first} to {last} exceed max_lines {most}:"
            " choose one account or a shorter period, or raise max_lines"
        )
    opening = balances.select("account_code", "currency", "name", "opening_balance")
    lines = lines.join(opening, ["account_code", "currency"])
    so_far = ibis.window(
        group_by=["account_code", "currency"], order_by=["entry_date", "entry_id", "line_no"], rows=(None, 0)
    )
    lines = lines.mutate(balance=lines.opening_balance + (lines.debit - lines.credit).sum().over(so_far))
    printed = lines.order_by("currency", "account_code", "entry_date", "entry_id", "line_no")
    frame = columns.frame(printed.select(*(column.name for column in _LINES)))
    return ReportTable(
        "Lines",
        _LINES,
        frame,
        columns.totals_by_currency(lines, _LINES, ("debit", "credit")),
        sections=_sections(balances, frame),
        unprinted=("account_code", "name", "currency"),
        no_data=no_data.reason(source, ["journal_lines"], f"no entries from {first} to {last}"),
    )


def _sections(balances: ir.Table, lines: pd.DataFrame) -> tuple[Section, ...]:
    """A section per account and currency with lines, between its opening and its closing balance."""
    counted = lines.groupby(["currency", "account_code"]).size().to_dict()
    accounts = balances.order_by("currency", "account_code").to_pyarrow().to_pylist()
    return tuple(
        Section(
            f"{row['account_code']} {row['name'] or ''}, {row['currency']}",
            int(counted[row["currency"], row["account_code"]]),
            {"entry_id": "Opening balance", "balance": row["opening_balance"]},
            {
                "entry_id": "Closing balance",
                "debit": row["debit"],
                "credit": row["credit"],
                "balance": row["closing_balance"],
            },
        )
        for row in accounts
        if (row["currency"], row["account_code"]) in counted
    )


generator = GeneralLedger()
