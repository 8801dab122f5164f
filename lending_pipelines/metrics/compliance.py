"""Compliance: the number of passed checks of the lender's rules."""

import ibis.expr.types as ir

from lending_pipelines.metrics.money import as_count
from lending_pipelines.metrics.ratios import ratio


def pass_rates(compliance_checks: ir.Table, *by: str) -> ir.Table:
    """Count checks per `by`; without it, the result is one row.

    Returns:
        The columns `by`, checks, passed_checks, failed_checks, pass_rate (a fraction).
    """
    sums = compliance_checks.agg(
        checks=compliance_checks.count(),
        passed_checks=as_count(compliance_checks.passed.cast("int64").sum().fill_null(0)),
        by=list(by),
    )
    return sums.mutate(
        failed_checks=sums.checks - sums.passed_checks,
        pass_rate=ratio(sums.passed_checks, sums.checks),
    )
