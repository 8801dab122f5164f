"""Columns and notes that the reports on returns share; no report is here."""

from lending_pipelines.reports.book import ReportColumn

EARNED = (
    ReportColumn("residual", "Residual", "money"),
    ReportColumn("profit", "Profit", "money"),
)
TOTAL_RETURN = ReportColumn("total_return", "Total return", "rate")

NOTES = (
    "IRR is XIRR of disbursements and refunds (out) and repayments and recoveries (in) up to the day; with residual,"
    " what is still owed counts as a last inflow on the day. Where there is none, the reason is given.",
    "Residual: principal outstanding + interest receivable. Profit: collected + residual - disbursed. Total return:"
    " profit ÷ disbursed. MOIC: collected ÷ disbursed.",
    "Money of different currencies is never added up.",
)
