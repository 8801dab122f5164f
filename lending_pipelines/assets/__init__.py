"""The Dagster assets: what is made of what, each body a line or two that calls metrics, reports or tapes.

What a number means is decided in metrics/; where things are, in resources/. No arithmetic belongs here.
"""

from lending_pipelines.assets.assignments import loan_ownership, portfolio_assignments, portfolio_membership
from lending_pipelines.assets.checks import table_checks
from lending_pipelines.assets.close_summary import close_summary, closed_days, summarize
from lending_pipelines.assets.daily import (
    aging_buckets,
    aging_transitions,
    ledger_tieouts,
    loan_positions,
    portfolio_snapshots,
    trial_balance,
)
from lending_pipelines.assets.reports import report_assets
from lending_pipelines.assets.servicing import servicing_asset, tables_needed
from lending_pipelines.assets.tapes import loan_tapes

_MADE_BY_CLOSE = (
    portfolio_assignments,
    portfolio_membership,
    loan_ownership,
    loan_positions,
    aging_buckets,
    aging_transitions,
    portfolio_snapshots,
    trial_balance,
    ledger_tieouts,
    loan_tapes,
    close_summary,
)

NEEDED_TABLES = tables_needed(_MADE_BY_CLOSE)
"""The servicing tables without which a day cannot be closed."""

servicing_tables = servicing_asset(NEEDED_TABLES)

CLOSE_ASSETS = (servicing_tables, *_MADE_BY_CLOSE)
"""What the daily close makes, in order."""

ASSIGNMENT_ASSETS = (portfolio_assignments, portfolio_membership)
"""What puts loans into portfolios."""

__all__ = [
    "ASSIGNMENT_ASSETS",
    "CLOSE_ASSETS",
    "NEEDED_TABLES",
    "closed_days",
    "report_assets",
    "servicing_tables",
    "summarize",
    "table_checks",
]
