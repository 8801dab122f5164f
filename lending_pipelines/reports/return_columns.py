"""Columns and notes shared by the reports on returns. This is not a report type."""

from lending_pipelines.reports.book import ReportColumn

EARNED = (
    ReportColumn("residual", "Residual", "money"),
    ReportColumn("profit", "Profit", "money"),
)
TOTAL_RETURN = ReportColumn("total_return", "Total return", "rate")
IRRS = ("irr_with_residual", "irr")
"""The IRR columns in order of printing. While loans are active, the one with residual is the relevant rate."""

NOTES = (
    "IRR with residual is the XIRR of disbursements and refunds (out) and repayments and recoveries (in) up to the day,"
    " with the amount still owed as the last inflow. IRR uses the cash flows only. A blank rate has its reason beside"
    " it.",
    "Residual: principal outstanding + interest receivable. Profit: collected + residual - disbursed. Total return:"
    " profit ÷ disbursed. MOIC: collected ÷ disbursed.",
    "Amounts of different currencies are never added.",
)
