"""The daily tables of the close."""

from collections.abc import Sequence

import dagster as dg
import ibis.expr.types as ir

from lending_pipelines.assets.describe import daily
from lending_pipelines.metrics import delinquency, ledger, managers, platform, portfolios, positions
from lending_pipelines.partitions import first_and_last
from lending_pipelines.resources import (
    ConventionsResource,
    LakeIOManager,
    LakeResource,
    RegisterResource,
    message_first,
)
from lending_pipelines.resources.lake import DAYS_BEFORE

# A transition compares with one step earlier, at most a month. This is not a partition mapping, because Dagster would
# then also backfill the next month's transitions for every day of positions, in a separate run.
_STEP_BACK = dg.AssetIn(metadata={DAYS_BEFORE: 31})


def _inputs(tables: Sequence[str]) -> dict[str, dg.AssetIn]:
    return {name: dg.AssetIn() for name in tables}


# A table that only some conventions use is not an input: if it is rejected, the close must still run under other
# conventions.
@dg.asset(**daily("loan_positions", "positions", "team:finance"), ins=_inputs(positions.SOURCES))
def loan_positions(
    context: dg.AssetExecutionContext,
    conventions: ConventionsResource,
    io_manager: dg.ResourceParam[LakeIOManager],
    **tables: ir.Table,
) -> ir.Table:
    first, last = first_and_last(context.partition_key_range)
    chosen = conventions.get()
    tables |= {name: io_manager.read(name) for name in positions.sources(chosen) if name not in tables}
    return positions.loan_positions(tables.__getitem__, first, last, chosen)


@dg.asset(**daily("aging_buckets", "delinquency", "team:risk"))
def aging_buckets(loan_positions: ir.Table) -> ir.Table:
    return delinquency.aging_buckets(loan_positions)


@dg.asset(
    **daily("aging_transitions", "delinquency", "team:risk"),
    ins={"loan_positions": _STEP_BACK},
)
def aging_transitions(
    context: dg.AssetExecutionContext, conventions: ConventionsResource, loan_positions: ir.Table
) -> ir.Table:
    first, last = first_and_last(context.partition_key_range)
    return delinquency.aging_transitions(loan_positions, first, last, conventions.get())


@dg.asset(**daily("portfolio_snapshots", "portfolios", "team:capital-markets"), ins=_inputs(portfolios.SOURCES))
def portfolio_snapshots(
    context: dg.AssetExecutionContext,
    conventions: ConventionsResource,
    loan_positions: ir.Table,
    **tables: ir.Table,
) -> ir.Table:
    first, last = first_and_last(context.partition_key_range)
    return portfolios.portfolio_snapshots(loan_positions, tables.__getitem__, first, last, conventions.get())


@dg.asset(**daily("manager_snapshots", "portfolios", "team:risk"), ins=_inputs(managers.SOURCES))
def manager_snapshots(
    context: dg.AssetExecutionContext,
    conventions: ConventionsResource,
    loan_positions: ir.Table,
    **tables: ir.Table,
) -> ir.Table:
    first, last = first_and_last(context.partition_key_range)
    return managers.manager_snapshots(loan_positions, tables.__getitem__, first, last, conventions.get())


@dg.asset(**daily("trial_balance", "ledger", "team:finance"))
def trial_balance(context: dg.AssetExecutionContext, journal_lines: ir.Table, gl_accounts: ir.Table) -> ir.Table:
    return ledger.trial_balance(journal_lines, gl_accounts, *first_and_last(context.partition_key_range))


@dg.asset(**daily("ledger_tieouts", "ledger", "team:finance"))
def ledger_tieouts(
    context: dg.AssetExecutionContext,
    loan_positions: ir.Table,
    trial_balance: ir.Table,
    journal_lines: ir.Table,
    gl_accounts: ir.Table,
) -> ir.Table:
    days = first_and_last(context.partition_key_range)
    return ledger.ledger_tieouts(loan_positions, trial_balance, journal_lines, gl_accounts, *days)


# The platform's tables are not inputs, because a rejected one keeps its rows and must not stop the close of the loans.
# This asset therefore reads and writes its tables itself, with one engine.
@dg.asset(**daily("platform_activity", "platform", "team:finance"), deps=[loan_positions])
@message_first
def platform_activity(
    context: dg.AssetExecutionContext, conventions: ConventionsResource, lake: LakeResource, register: RegisterResource
) -> dg.MaterializeResult:
    first, last = first_and_last(context.partition_key_range)
    positions_of_days = lake.lake.table("loan_positions", first, last)
    zone = conventions.get().timezone
    rows = platform.platform_activity(positions_of_days, lake.table_or_empty, first, last, zone)
    return dg.MaterializeResult(metadata=lake.write_days("platform_activity", rows, first, last, conventions, register))
