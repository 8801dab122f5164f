"""Columns and notes that the reports on returns share; no report is here."""

from lending_pipelines.reports.book import ReportColumn

EARNED = (
    ReportColumn("residual", "Residual", "money"),
    ReportColumn("profit", "Profit", "money"),
)
TOTAL_RETURN = ReportColumn("total_return", "Total return", "rate")
IRRS = ("irr_with_residual", "irr")
"""The IRR columns in the order of printing: while loans are live, the one with residual is the rate to read first."""

NOTES = (
    "IRR with residual is XIRR of disbursements and refunds (out) and repayments and recoveries (in) up to the day,"
    " with what is still owed as a last inflow on the day. IRR is the same of the cash alone. A blank rate has its"
    " reason beside it.",
    "Residual: principal outstanding + interest receivable. Profit: collected + residual - disbursed. Total return:"
    " profit ÷ disbursed. MOIC: collected ÷ disbursed.",
    "Money of different currencies is never added up.",
)
