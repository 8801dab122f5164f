"""What is checked: Great Expectations suites, and our own rules on roll-forward, totals, ledger and mirror.

Each check is a rule with a name, a table, a severity and whether it blocks; it reads lake tables and hands back what
it found. Turning them into Dagster's asset checks happens in assets/. Nothing here computes a number that is reported.
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
from lending_pipelines.checks.suites import SUITE

__all__ = [
    "SUITE",
    "Check",
    "Days",
    "Memory",
    "Outcome",
    "Read",
    "all_checks",
    "blocking_checks",
    "checks_for",
    "own_checks",
    "restatements_due",
    "verify",
]
