"""How fresh the lake's tables are."""

import ibis.expr.types as ir

from lending_pipelines.portal.lake.scoped_lake import Tables


def last_days(lake: Tables) -> ir.Table:
    """Per daily table: the last closed day and when it was closed, and the numbers of closed and of thinned days."""
    rows = lake.table("closed_days")
    return (
        rows.group_by("table_name")
        .agg(
            last=rows.business_date.max(),
            closed_at=rows.closed_at.argmax(rows.business_date),
            days=rows.count(),
            thinned=rows.thinned_at.notnull().sum(),
        )
        .order_by("table_name")
    )


def posted_until(lake: Tables, name: str) -> ir.Table:
    """The latest posted_at of a servicing table, and the number of its rows."""
    rows = lake.table(name)
    return rows.agg(posted_until=rows.posted_at.max(), rows=rows.count())


def size(lake: Tables, name: str) -> ir.Table:
    """The number of rows of a table."""
    rows = lake.table(name)
    return rows.agg(rows=rows.count())
