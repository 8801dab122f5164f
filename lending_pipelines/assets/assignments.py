"""The register's assignments, mirrored into the lake so that the engines can join them."""

import dagster as dg
import ibis
import ibis.expr.types as ir

from lending_pipelines.assets.describe import described
from lending_pipelines.register import membership, ownership
from lending_pipelines.resources import RegisterResource


def _assignment(name: str) -> dict:
    return described(name, "assignments", "team:capital-markets") | {"backfill_policy": dg.BackfillPolicy.single_run()}


@dg.asset(**_assignment("portfolio_membership"))
def portfolio_membership(register: RegisterResource) -> ir.Table:
    return ibis.memtable(membership(register.register))


@dg.asset(**_assignment("loan_ownership"))
def loan_ownership(register: RegisterResource) -> ir.Table:
    return ibis.memtable(ownership(register.register))
