"""The sample lender's general ledger: its accounts, the entry of each transaction, and funding and running costs.

A warehouse facility funds the loans: disbursements are drawn on it, and collections repay it. Capital and a term loan
pay for the running costs. Fees are income when cash comes in. The daily accrual of interest is in accruals.py.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import Ints, days, ids, instants, labels, moment, money, table
from lending_pipelines.sample.events import Events
from lending_pipelines.sample.lender import CURRENCIES
from lending_pipelines.sample.spec import SampleSpec
from lending_pipelines.tables.servicing import TRANSACTION_TYPES

ASSETS, BANK, PRINCIPAL, INTEREST_RECEIVABLE = "1000", "1010", "1100", "1200"
LIABILITIES, TERM_LOAN, FACILITY, UNEARNED = "2000", "2100", "2110", "2200"
EQUITY, CAPITAL = "3000", "3100"
INCOME, INTEREST_INCOME, FEE_INCOME, FEES_CAPITALIZED, RECOVERIES = "4000", "4100", "4200", "4210", "4300"
EXPENSES, CHARGED_OFF, INTEREST_LOST, INTEREST_WAIVED, FORGIVEN = "5000", "5100", "5110", "5120", "5130"
STAFF_COSTS, OTHER_COSTS, FUNDING_COSTS = "5200", "5210", "5220"

_ACCOUNTS = (
    (ASSETS, "Assets", "asset", None, None),
    (BANK, "Operating bank account", "asset", ASSETS, None),
    (PRINCIPAL, "Loans to borrowers, principal", "asset", ASSETS, "principal"),
    (INTEREST_RECEIVABLE, "Interest receivable", "asset", ASSETS, "interest_receivable"),
    (LIABILITIES, "Liabilities", "liability", None, None),
    (TERM_LOAN, "Term loan", "liability", LIABILITIES, None),
    (FACILITY, "Warehouse facility, drawn less repaid", "liability", LIABILITIES, "cash"),
    (UNEARNED, "Interest received and not yet earned", "liability", LIABILITIES, None),
    (EQUITY, "Equity", "equity", None, None),
    (CAPITAL, "Paid-in capital", "equity", EQUITY, None),
    (INCOME, "Income", "income", None, None),
    (INTEREST_INCOME, "Interest income", "income", INCOME, "interest_income"),
    (FEE_INCOME, "Fee income", "income", INCOME, "fee_income"),
    (FEES_CAPITALIZED, "Fees capitalized", "income", INCOME, None),
    (RECOVERIES, "Recoveries of loans charged off", "income", INCOME, "recovery"),
    (EXPENSES, "Expenses", "expense", None, None),
    (CHARGED_OFF, "Loans charged off, principal", "expense", EXPENSES, "charge_off"),
    (INTEREST_LOST, "Loans charged off, interest", "expense", EXPENSES, None),
    (INTEREST_WAIVED, "Interest waived", "expense", EXPENSES, None),
    (FORGIVEN, "Principal forgiven", "expense", EXPENSES, None),
    (STAFF_COSTS, "Staff costs", "expense", EXPENSES, None),
    (OTHER_COSTS, "Other running costs", "expense", EXPENSES, None),
    (FUNDING_COSTS, "Interest on borrowings", "expense", EXPENSES, None),
)
CODES = [account[0] for account in _ACCOUNTS]

# By transaction type, the lines of its entry: account, and the debit as multiples of (principal, interest, fees).
_POSTINGS = {
    "disbursement": [(PRINCIPAL, 1, 0, 0), (FACILITY, -1, 0, 0)],
    "capitalization": [(PRINCIPAL, 0, 1, 1), (INTEREST_RECEIVABLE, 0, -1, 0), (FEES_CAPITALIZED, 0, 0, -1)],
    "repayment": [
        (FACILITY, 1, 1, 1),
        (PRINCIPAL, -1, 0, 0),
        (INTEREST_RECEIVABLE, 0, -1, 0),
        (FEE_INCOME, 0, 0, -1),
    ],
    "waiver": [
        (FORGIVEN, 1, 0, 0),
        (INTEREST_WAIVED, 0, 1, 0),
        (PRINCIPAL, -1, 0, 0),
        (INTEREST_RECEIVABLE, 0, -1, 0),
    ],
    "charge_off": [
        (CHARGED_OFF, 1, 0, 0),
        (INTEREST_LOST, 0, 1, 0),
        (PRINCIPAL, -1, 0, 0),
        (INTEREST_RECEIVABLE, 0, -1, 0),
    ],
    "recovery": [(FACILITY, 1, 1, 1), (RECOVERIES, -1, -1, -1)],
    "refund": [
        (PRINCIPAL, 1, 0, 0),
        (INTEREST_RECEIVABLE, 0, 1, 0),
        (FEE_INCOME, 0, 0, 1),
        (FACILITY, -1, -1, -1),
    ],
}
_POSTINGS["write_off"] = _POSTINGS["charge_off"]
_MOST_LINES = 4


def _posting_arrays() -> tuple[Ints, Ints]:
    """_POSTINGS as arrays: by type and line, the account and the multiples."""
    accounts = np.zeros((len(TRANSACTION_TYPES), _MOST_LINES), dtype=np.int64)
    factors = np.zeros((len(TRANSACTION_TYPES), _MOST_LINES, 3), dtype=np.int64)
    for name, lines in _POSTINGS.items():
        for line, (account, *multiples) in enumerate(lines):
            accounts[TRANSACTION_TYPES.index(name), line] = CODES.index(account)
            factors[TRANSACTION_TYPES.index(name), line] = multiples
    return accounts, factors


_LINE_ACCOUNTS, _LINE_FACTORS = _posting_arrays()


@dataclass(frozen=True)
class Entries:
    """Entries that are not of one loan, as arrays with one element per line. `debit` is negative for a credit."""

    entry: Ints
    account: Ints
    day: Ints
    posted: Ints
    debit: Ints
    currency: Ints

    def table(self, prefix: str, memo: str) -> pa.Table:
        """The journal lines; lines of 0 are left out. The lines of an entry must be consecutive in the arrays."""
        kept = self.debit != 0
        entry, debit = self.entry[kept], self.debit[kept]
        nothing = np.full(len(entry), -1)
        return table(
            "journal_lines",
            entry_id=ids(prefix, entry),
            line_no=_line_numbers(entry),
            account_code=labels(CODES, self.account[kept]),
            entry_date=days(self.day[kept]),
            posted_at=instants(self.posted[kept]),
            debit=money(np.maximum(debit, 0)),
            credit=money(np.maximum(-debit, 0)),
            currency=labels(CURRENCIES, self.currency[kept]),
            loan_id=ids("L", nothing),
            transaction_id=ids("T", nothing),
            memo=labels([memo], np.zeros_like(entry)),
        )


def accounts_table() -> pa.Table:
    """The chart of accounts."""
    code, name, account_type, parent, control = (list(column) for column in zip(*_ACCOUNTS, strict=True))
    return table(
        "gl_accounts", account_code=code, name=name, account_type=account_type, parent_code=parent, control_for=control
    )


def transaction_entries(events: Events, posted: Ints, numbers: Ints, loan_ids: pa.Array, currency: Ints) -> pa.Table:
    """One entry per transaction, dated its effective day; `currency` is by loan. A waiver of fees has no entry."""
    kind = events.effective_kind
    parts = np.stack([events.principal, events.interest, events.fees], axis=1) * events.sign[:, None]
    debit = np.einsum("nlc,nc->nl", _LINE_FACTORS[kind], parts)
    row, line = np.nonzero(debit)
    debit = debit[row, line]
    at = pa.array(row)
    return table(
        "journal_lines",
        entry_id=ids("J", numbers).take(at),
        line_no=_line_numbers(row),
        account_code=labels(CODES, _LINE_ACCOUNTS[kind[row], line]),
        entry_date=days(events.day[row]),
        posted_at=instants(posted[row]),
        debit=money(np.maximum(debit, 0)),
        credit=money(np.maximum(-debit, 0)),
        currency=labels(CURRENCIES, currency[events.loan[row]]),
        loan_id=loan_ids.take(pa.array(events.loan[row])),
        transaction_id=ids("T", numbers).take(at),
        memo=labels(TRANSACTION_TYPES, events.kind[row]),
    )


def house_entries(spec: SampleSpec) -> pa.Table:
    """Capital and a term loan at the start of the history; running costs and interest on each month's last day.

    The term loan is the total of these costs, so that the bank account ends with the capital.
    """
    random = spec.random("house")
    start = np.datetime64(spec.history_day, "D").astype("datetime64[M]")
    months = np.arange(start, np.datetime64(spec.last_day + 1, "D").astype("datetime64[M]"))
    ends = (months + 1).astype("datetime64[D]").astype(np.int64) - 1
    lines = []
    scale = spec.loans * 100_000
    for currency, share in enumerate((95, 5)):
        capital = scale * share // 100
        spent = 0
        for end in ends.tolist():
            staff, other = (int(capital * random.uniform(0.002, 0.003)) for _ in range(2))
            interest = capital * 3 * 5 // 1200
            costs = [(STAFF_COSTS, staff), (OTHER_COSTS, other), (FUNDING_COSTS, interest)]
            lines.append((end, currency, [*costs, (BANK, -staff - other - interest)]))
            spent += staff + other + interest
        funding = [(BANK, capital + spent), (CAPITAL, -capital), (TERM_LOAN, -spent)]
        lines.append((spec.history_day, currency, funding))
    flat = [
        (number, CODES.index(account), day, debit, currency)
        for number, (day, currency, entry) in enumerate(sorted(lines), start=1)
        for account, debit in entry
    ]
    entry, account, day, debit, currency_codes = np.array(flat, dtype=np.int64).T
    return Entries(entry, account, day, moment(day, 64_800), debit, currency_codes).table(
        "H", "funding and running costs"
    )


def _line_numbers(entry: Ints) -> Ints:
    """1, 2, … within each run of equal entries."""
    place = np.arange(len(entry))
    starts = np.append(True, entry[1:] != entry[:-1]) if len(entry) else np.zeros(0, dtype=bool)
    return place - np.maximum.accumulate(np.where(starts, place, 0)) + 1
