"""Assigns loans to portfolios by rule, and copies the register's assignments into the lake for the engines to join."""

import dagster as dg
import ibis
import ibis.expr.types as ir

from lending_pipelines.assets.describe import ENGINE, OWNERS, described
from lending_pipelines.metrics import assignments
from lending_pipelines.metrics import ownership as combined
from lending_pipelines.partitions import BUSINESS_DATES, first_and_last
from lending_pipelines.register import Portfolios, membership, ownership
from lending_pipelines.resources import LakeResource, RegisterResource, message_first
from lending_pipelines.resources.lake import require_open


def _assignment(name: str) -> dict:
    return described(name, "assignments", "team:capital-markets") | {"backfill_policy": dg.BackfillPolicy.single_run()}


@dg.asset(
    name="portfolio_assignments",
    description="The loans that the rules of open portfolios select on the day, recorded in the register. Only"
    " disbursed loans without a portfolio are selected; by priority, each by one portfolio.",
    deps=assignments.SOURCES,
    partitions_def=BUSINESS_DATES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="assignments",
    owners=[*OWNERS, "team:capital-markets"],
    kinds={ENGINE},
)
@message_first
def portfolio_assignments(
    context: dg.AssetExecutionContext, lake: LakeResource, register: RegisterResource
) -> dg.MaterializeResult:
    added = 0
    days = first_and_last(context.partition_key_range)
    require_open(register, *days)
    with register.register.session() as session:
        ruled = Portfolios(session).ruled()
    if ruled:
        members = ibis.memtable(membership(register.register))
        rows = assignments.assignments(lake.lake.table, ruled, members, *days)
        chosen = lake.lake.engine.batches(rows).read_all().to_pydict()
        with register.register.session() as session:
            added = Portfolios(session).assign_by_rule(zip(*chosen.values(), strict=True))
    return dg.MaterializeResult(metadata={"portfolios": len(ruled), "dagster/row_count": added})


@dg.asset(**_assignment("portfolio_membership"), deps=[portfolio_assignments])
@message_first
def portfolio_membership(register: RegisterResource) -> ir.Table:
    return ibis.memtable(membership(register.register))


# The checks of this table read the table loans. It depends on loans, so that it is not made without a sync of them.
@dg.asset(**_assignment("loan_ownership"), deps=["loans", "loan_owners"])
@message_first
def loan_ownership(lake: LakeResource, register: RegisterResource) -> ir.Table:
    return combined.loan_ownership(ibis.memtable(ownership(register.register)), lake.table_or_empty("loan_owners"))
