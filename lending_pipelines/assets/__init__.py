"""The Dagster assets and their dependencies. Their functions call metrics, reports or tapes.

Numbers are defined in metrics/, locations in resources/. Assets do no arithmetic.
"""

from lending_pipelines.assets.alerts import alerts
from lending_pipelines.assets.assignments import loan_ownership, portfolio_assignments, portfolio_membership
from lending_pipelines.assets.certificates import certify_run, close_certificates
from lending_pipelines.assets.checks import table_checks
from lending_pipelines.assets.close_summary import close_summary, closed_days, summarize
from lending_pipelines.assets.daily import (
    aging_buckets,
    aging_transitions,
    ledger_tieouts,
    loan_positions,
    manager_snapshots,
    platform_activity,
    portfolio_snapshots,
    trial_balance,
)
from lending_pipelines.assets.housekeeping import HOUSEKEEPING, HOUSEKEEPING_KEY, housekeeping
from lending_pipelines.assets.reports import report_assets
from lending_pipelines.assets.restatements import restatements
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
    manager_snapshots,
    trial_balance,
    ledger_tieouts,
    platform_activity,
    restatements,
    alerts,
    loan_tapes,
    close_certificates,
    close_summary,
)

NEEDED_TABLES = tables_needed(_MADE_BY_CLOSE)
"""The servicing tables that a close needs under all conventions."""

servicing_tables = servicing_asset(NEEDED_TABLES)

CLOSE_ASSETS = (servicing_tables, *_MADE_BY_CLOSE)
"""The assets of the daily close, in order."""

ASSIGNMENT_ASSETS = (portfolio_assignments, portfolio_membership)
"""The assets that assign loans to portfolios."""

__all__ = [
    "ASSIGNMENT_ASSETS",
    "CLOSE_ASSETS",
    "HOUSEKEEPING",
    "HOUSEKEEPING_KEY",
    "NEEDED_TABLES",
    "certify_run",
    "closed_days",
    "housekeeping",
    "report_assets",
    "servicing_tables",
    "summarize",
    "table_checks",
]
