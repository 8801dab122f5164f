"""One day's positions as a typical pandas script: read the tables, group, merge.

It computes the number columns that the benchmark compares, with money as floats.
"""

from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = {
    "loans": None,
    "installments": ["loan_id", "version", "number", "due_on", "principal", "interest", "effective_on"],
    "transactions": [
        "transaction_id",
        "loan_id",
        "type",
        "effective_on",
        "amount",
        "principal",
        "interest",
        "fees",
        "reverses_id",
    ],
    "products": None,
}
CHARGE_OFFS = ("charge_off", "write_off")


def positions(data: Path, day: pd.Timestamp) -> pd.DataFrame:
    """The day's positions of the loans under `data`, a folder with Parquet files per table."""
    tables = {name: _read(data / name, columns) for name, columns in COLUMNS.items()}
    loans = tables["loans"]
    loans = loans[loans.disbursed_on <= day].merge(tables["products"][["product_id", "program_id"]], on="product_id")
    money = _money(_signed(tables["transactions"], day))
    rows = loans.merge(money, on="loan_id", how="left").fillna(dict.fromkeys(money.columns[1:-1], 0.0))
    rows["principal_outstanding"] = (
        rows.disbursed + rows.capitalized - rows.principal_paid - rows.charged_off - rows.forgiven
    ).round(2)
    rows["settled"] = (rows.principal_paid + rows.interest_paid + rows.forgiven + rows.interest_let_go).round(2)
    rows["status"] = np.select(
        [rows.disbursed <= 0, rows.charge_offs > 0, rows.principal_outstanding <= 0],
        ["pending", "charged_off", "closed"],
        "active",
    )
    rows = rows.merge(_owed(tables["installments"], rows[["loan_id", "disbursed_on", "settled"]], day), on="loan_id")
    active = rows.status == "active"
    rows["past_due_amount"] = (rows.scheduled_due - rows.settled).clip(lower=0).round(2).where(active, 0.0)
    late = (day - rows.oldest_due_on).dt.days.clip(lower=0)
    rows["days_past_due"] = late.where(active, 0).fillna(0).astype(int)
    rows["bucket"] = pd.cut(
        rows.days_past_due,
        [-1, 0, 29, 59, 89, 119, np.inf],
        labels=["current", "1-29", "30-59", "60-89", "90-119", "120+"],
    )
    return rows


def _read(folder: Path, columns: list[str] | None) -> pd.DataFrame:
    frame = pd.concat([pd.read_parquet(file, columns=columns) for file in sorted(folder.glob("*.parquet"))])
    for name in frame.columns:
        if name.endswith("_on"):
            frame[name] = pd.to_datetime(frame[name])
        elif name in ("amount", "principal", "interest", "fees", "annual_rate"):
            frame[name] = frame[name].astype(float)
    return frame


def _signed(transactions: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    rows = transactions[transactions.effective_on <= day].copy()
    types = transactions.set_index("transaction_id").type
    reversal = rows.type == "reversal"
    rows["sign"] = np.where(reversal, -1, 1)
    rows.loc[reversal, "type"] = rows.loc[reversal, "reverses_id"].map(types)
    refund = rows.type == "refund"
    rows.loc[refund, "sign"] = -rows.loc[refund, "sign"]
    return rows


def _money(rows: pd.DataFrame) -> pd.DataFrame:
    signed = {name: rows[name] * rows.sign for name in ("principal", "interest", "fees", "amount")}
    paid = rows.type.isin(["repayment", "refund"])
    parts = pd.DataFrame(
        {
            "loan_id": rows.loan_id,
            "disbursed": signed["principal"].where(rows.type == "disbursement", 0.0),
            "capitalized": (signed["interest"] + signed["fees"]).where(rows.type == "capitalization", 0.0),
            "principal_paid": signed["principal"].where(paid, 0.0),
            "interest_paid": signed["interest"].where(paid, 0.0),
            "fees_paid": signed["fees"].where(paid, 0.0),
            "charged_off": signed["principal"].where(rows.type.isin(CHARGE_OFFS), 0.0),
            "charge_offs": rows.sign.where(rows.type.isin(CHARGE_OFFS), 0),
            "forgiven": signed["principal"].where(rows.type == "waiver", 0.0),
            "recovered": signed["amount"].where(rows.type == "recovery", 0.0),
            "interest_let_go": signed["interest"].where(rows.type.isin(["waiver", "capitalization"]), 0.0),
        }
    )
    money = parts.groupby("loan_id", as_index=False).sum()
    payments = rows[(rows.type == "repayment") & (rows.sign == 1)]
    last = payments.groupby("loan_id", as_index=False).effective_on.max()
    return money.merge(last.rename(columns={"effective_on": "last_payment_on"}), on="loan_id", how="left")


def _owed(installments: pd.DataFrame, settled: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    begun = installments[installments.effective_on <= day]
    latest = begun.groupby("loan_id", as_index=False).version.max()
    rows = begun.merge(latest, on=["loan_id", "version"]).sort_values(["loan_id", "due_on", "number"])
    rows["due"] = rows.principal + rows.interest
    rows["due_through"] = rows.groupby("loan_id").due.cumsum().round(2)
    rows["starts_on"] = rows.groupby("loan_id").due_on.shift()
    rows = rows.merge(settled, on="loan_id")
    rows["starts_on"] = rows.starts_on.fillna(rows.disbursed_on)
    elapsed = ((day - rows.starts_on) / (rows.due_on - rows.starts_on)).clip(0, 1)
    rows["earned"] = rows.interest * elapsed
    fallen_due = rows.due_on <= day
    owed = pd.DataFrame(
        {
            "loan_id": rows.loan_id,
            "scheduled_due": rows.due.where(fallen_due, 0.0),
            "interest_earned": rows.earned,
        }
    )
    owed = owed.groupby("loan_id", as_index=False).sum()
    unpaid = rows[rows.due_through > rows.settled]
    oldest = unpaid.groupby("loan_id", as_index=False).due_on.min().rename(columns={"due_on": "oldest_due_on"})
    coming = rows[~fallen_due].groupby("loan_id", as_index=False).agg(next_due_on=("due_on", "min"))
    return owed.merge(oldest, on="loan_id", how="left").merge(coming, on="loan_id", how="left")
