"""Checks: Great Expectations suites, and own rules on roll-forward, totals, ledger and servicing tables.

A check is a rule with a name, a table, a severity and whether it blocks. It reads lake tables and returns its findings.
assets/ turns checks into Dagster asset checks. Reported numbers are computed in metrics/, not here.
"""

from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Check, Memory, Outcome, Read
from lending_pipelines.checks.registry import (
    all_checks,
    blocking_checks,
    checks_for,
    own_checks,
    restatements_due,
    verify,
)
from lending_pipelines.checks.suites import SUITE, SuiteCheck

__all__ = [
    "SUITE",
    "Check",
    "Days",
    "Memory",
    "Outcome",
    "Read",
    "SuiteCheck",
    "all_checks",
    "blocking_checks",
    "checks_for",
    "own_checks",
    "restatements_due",
    "verify",
]
