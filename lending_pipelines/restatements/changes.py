"""The events of loans that changed between two versions of the tables that positions are computed from."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from lending_pipelines.lake import Lake
from lending_pipelines.metrics.events import LONGEST_CHAIN
from lending_pipelines.metrics.timeline import MAX_DATE, MIN_DATE


@dataclass(frozen=True)
class _Events:
    """A table of events.

    `kind` and the column `id` name an event. `begins` is the column with the first day that it can change (None: any
    day). `columns` are those that positions use; None for all.
    """

    kind: str
    id: str
    begins: str | None
    columns: tuple[str, ...] | None = None


_OF_LOANS = {
    "transactions": _Events("transaction", "transaction_id", "effective_on"),
    "accruals": _Events("accrual", "accrual_id", "effective_on"),
    "installments": _Events("schedule version", "version", "effective_on"),
    # Before its first modification, a loan has the rate that the modification replaced.
    "modifications": _Events("modification", "modification_id", None),
    "loans": _Events(
        "terms of loan",
        "loan_id",
        "disbursed_on",
        (
            "loan_id",
            "borrower_id",
            "product_id",
            "branch_id",
            "officer_id",
            "currency",
            "annual_rate",
            "day_count",
            "payment_frequency",
            "disbursed_on",
            "matures_on",
        ),
    ),
    "officer_assignments": _Events("assignment to officer", "officer_id", "assigned_on"),
    "delinquency_pauses": _Events("delinquency pause", "pause_id", "starts_on"),
    "portfolio_membership": _Events(
        "assignment to portfolio",
        "portfolio_id",
        "assigned_on",
        ("loan_id", "portfolio_id", "assigned_on", "removed_on"),
    ),
    "loan_ownership": _Events(
        "assignment to investor", "investor_id", "assigned_on", ("loan_id", "investor_id", "assigned_on", "removed_on")
    ),
}
"""The tables whose rows are events of loans."""


def changed_events(lake: Lake, since: Mapping[str, int], until: Mapping[str, int]) -> ir.Table:
    """The events that were added, changed or removed between two sets of table versions.

    Args:
        lake: The lake.
        since: The earlier Delta version of each table of metrics.positions.sources.
        until: The later one.

    Returns:
        loan_id; event, such as `transaction T1`, `transaction T1 removed` or `transaction T1 changed`; from_on, the
        first day that it can change; posted_at, null where events have none.

    Raises:
        LakeError: Files of an earlier version are gone.
    """
    changed = [name for name in _OF_LOANS if name in until and since[name] != until[name]]
    parts = [part for name in changed for part in _exchanged(lake, name, since, until)]
    if since["products"] != until["products"]:
        parts += _of_products(lake, since, until)
    return _named(parts)


def events_posted_later(
    read: Callable[[str], ir.Table], names: Collection[str], loans: ir.Table, closes: ir.Table
) -> ir.Table:
    """The events of loans posted after the close of a day on which they count, with the columns of `changed_events`.

    Args:
        read: Returns the tables by name.
        names: The tables that positions depend on.
        loans: The loans to look at: loan_id.
        closes: The closed days: business_date, and known_until, the latest posted_at that the close included.
    """
    parts = []
    for name in ("transactions", "accruals", "installments", "modifications", "delinquency_pauses"):
        if name not in names:
            continue
        rows = read(name).semi_join(loans, "loan_id")
        counts_on = rows[_OF_LOANS[name].begins or "effective_on"]
        later = rows.semi_join(closes, [counts_on <= closes.business_date, rows.posted_at > closes.known_until])
        parts.append(_events(name, later, gone=False))
    return _named(parts)


def _exchanged(lake: Lake, name: str, since: Mapping[str, int], until: Mapping[str, int]) -> Iterator[ir.Table]:
    """The events of the rows that were removed between the two versions, and of the rows that were added."""
    columns = _OF_LOANS[name].columns
    for rows, gone in zip(lake.changed_rows(name, since[name], until[name], columns), (True, False), strict=True):
        events = _events(name, rows, gone=gone)
        yield _from_their_reversals(lake, rows, events, until) if name == "transactions" else events


def _events(name: str, rows: ir.Table, *, gone: bool) -> ir.Table:
    events = _OF_LOANS[name]
    begins = ibis.literal(MIN_DATE) if events.begins is None else rows[events.begins]
    posted_at = rows.posted_at if "posted_at" in rows.columns else ibis.null("timestamp(6)")
    return rows.select(
        "loan_id",
        event=ibis.literal(f"{events.kind} ") + rows[events.id].cast("string"),
        # A row without a first day changes nothing: a loan that is not disbursed has no positions.
        from_on=ibis.coalesce(begins, ibis.literal(MAX_DATE)),
        posted_at=posted_at,
        gone=ibis.literal(gone),
    )


def _from_their_reversals(lake: Lake, rows: ir.Table, events: ir.Table, until: Mapping[str, int]) -> ir.Table:
    """The events of transactions, each from the earliest day that it or a reversal of it changes.

    A reversal counts from its own day once its transaction exists, and that day can be before the transaction's.
    """
    reversals = lake.table("transactions", version=until["transactions"])
    reversals = reversals.filter(reversals.type == "reversal")
    links = reversals.select(root="reverses_id", via="transaction_id", on="effective_on")
    steps = [links]
    for _ in range(1, LONGEST_CHAIN):
        further = links.rename(of="root", further="via", further_on="on")
        chain = steps[-1].join(further, [("via", "of")])
        steps.append(chain.select("root", via="further", on="further_on"))
    undone = ibis.union(*steps) if len(steps) > 1 else links
    undone = undone.group_by("root").agg(on=undone.on.min()).join(rows, [("root", "transaction_id")])
    undone = undone.select(event=ibis.literal("transaction ") + undone.root, undone_on="on").distinct()
    joined = events.left_join(undone, "event")
    return joined.select(
        "loan_id",
        "event",
        "posted_at",
        "gone",
        from_on=ibis.coalesce(ibis.least(joined.from_on, joined.undone_on), joined.from_on),
    ).select(*events.columns)


def _of_products(lake: Lake, since: Mapping[str, int], until: Mapping[str, int]) -> Iterator[ir.Table]:
    """The changes of products, as events of their loans."""
    loans = lake.table("loans", version=until["loans"]).select("loan_id", "product_id")
    changes = lake.changed_rows("products", since["products"], until["products"], ("product_id", "program_id"))
    for rows, gone in zip(changes, (True, False), strict=True):
        yield loans.join(rows, "product_id").select(
            "loan_id",
            event=ibis.literal("product ") + rows.product_id,
            from_on=ibis.literal(MIN_DATE),
            posted_at=ibis.null("timestamp(6)"),
            gone=ibis.literal(gone),
        )


def _named(parts: list[ir.Table]) -> ir.Table:
    """One row per event.

    Its name ends in ` changed` if rows of it were removed and added, and in ` removed` if rows were only removed.
    """
    if not parts:
        schema = {"loan_id": "string", "event": "string", "from_on": "date", "posted_at": "timestamp(6)"}
        return ibis.memtable([], schema=ibis.schema(schema))
    rows = ibis.union(*parts)
    events = rows.group_by("loan_id", "event").agg(
        from_on=rows.from_on.min(), posted_at=rows.posted_at.max(), gone=rows.gone.any(), came=(~rows.gone).any()
    )
    suffix = ibis.cases((~events.came, " removed"), (events.gone, " changed"), else_="")
    return events.select("loan_id", "from_on", "posted_at", event=events.event + suffix)


def causes(events: ir.Table) -> ir.Table:
    """What changed a loan's days: the events up to each day.

    Args:
        events: loan_id, event, from_on, posted_at.

    Returns:
        loan_id, on, until, caused_by, posted_at. A row is a span of days [on, until).
    """
    points = events.select("loan_id", on="from_on").distinct()
    rows = points.join(events, [points.loan_id == events.loan_id, events.from_on <= points.on])
    spans = rows.group_by("loan_id", "on").agg(
        caused_by=rows.event.collect().sort().join("; "), posted_at=rows.posted_at.max()
    )
    window = ibis.window(group_by="loan_id", order_by="on")
    return spans.mutate(until=ibis.coalesce(spans.on.lead().over(window), ibis.literal(MAX_DATE)))
