"""The copy of the servicing tables in the lake, written by the sync."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing

import dagster as dg
from pydantic import Field

from lending_pipelines.assets.describe import OWNERS, table_metadata
from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.metrics import positions
from lending_pipelines.resources import ConventionsResource, LakeResource, SourceResource, message_first
from lending_pipelines.sources import SyncResult, sync_tables
from lending_pipelines.tables import SERVICING, Table

SYNCED = "synced"
"""The check of each servicing table that reports the result of its last sync."""

ROWS_REJECTED = "rows_rejected"
"""The key in the metadata of that check for the number of rows that the sync rejected."""

ROW_FINDINGS = "rejected_rows"
"""The key in the metadata of a synced table for the findings about its rejected rows."""


class TablesRejected(LendingError):
    """The sync rejected servicing tables, or rows of them, that the close needs."""


class SyncConfig(dg.Config):
    """How the servicing tables are read."""

    full: bool = False
    """Read every table in full, not only the rows posted or changed since the last sync."""

    reload: list[str] = Field(default_factory=list)
    """Servicing tables to reload: read in full, and emptied if the source no longer has them."""


def tables_needed(close: Iterable[dg.AssetsDefinition]) -> frozenset[str]:
    """The servicing tables that assets of the close depend on under all conventions."""
    upstream = {key for asset in close for keys in asset.asset_deps.values() for key in keys}
    return frozenset(key.path[-1] for key in upstream) & frozenset(SERVICING)


def servicing_asset(needed: Collection[str]) -> dg.AssetsDefinition:
    """The servicing tables as one asset with many keys.

    It fails when a table is rejected that is in `needed`, or that positions need under the conventions.
    """

    @dg.multi_asset(
        name="servicing_tables",
        specs=[_spec(table) for table in SERVICING.values()],
        check_specs=[_check_spec(name) for name in SERVICING],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        # This is the lender's live database. In deploy/, only one run at a time may read it.
        pool="servicing_database",
    )
    @message_first
    def servicing_tables(
        context: dg.AssetExecutionContext,
        config: SyncConfig,
        source: SourceResource,
        lake: LakeResource,
        conventions: ConventionsResource,
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """Sync each table in one commit. A rejected table keeps its rows and is not materialized.

        Raises:
            TablesRejected: A table that the close needs is rejected, or a row of a table whose amounts are added up.
                The message names every fault of every table.
        """
        wanted = [SERVICING[key.path[-1]] for key in context.selected_asset_keys]
        if unknown := set(config.reload) - set(SERVICING):
            raise TablesRejected(f"reload: there is no table {min(unknown)!r}; {did_you_mean(min(unknown), SERVICING)}")
        chosen = conventions.get()
        summed = _summed(chosen)
        rejected: dict[str, LendingError] = {}
        rejected_rows: list[str] = []
        incomplete = False
        reload = config.reload
        syncing = sync_tables(source.open(), _in_order(wanted), lake.lake, chosen, config.full, reload)
        with closing(syncing) as outcomes:
            for table, outcome in outcomes:
                if isinstance(outcome, LendingError):
                    rejected[table.name] = outcome
                    context.log.error(str(outcome))
                else:
                    _log(context, table, outcome)
                    yield dg.MaterializeResult(asset_key=table.name, metadata=_metadata(outcome))
                    rejected_rows += _rejected_rows(table, outcome)
                    incomplete |= table.name in summed and bool(outcome.rejected_rows)
                if dg.AssetCheckKey(dg.AssetKey(table.name), SYNCED) in context.selected_asset_check_keys:
                    yield _check_result(table, outcome)
        if rejected.keys() & {*needed, *positions.sources(chosen)}:
            raise TablesRejected(
                f"{len(rejected)} of {len(wanted)} tables were rejected and keep their earlier rows: "
                + "; ".join([*map(str, rejected.values()), *rejected_rows])
            )
        if incomplete:
            raise TablesRejected("; ".join(rejected_rows))

    return servicing_tables


def _summed(conventions: Conventions) -> frozenset[str]:
    """Tables whose amounts are added up. If one of their rows is rejected, the sums are not complete."""
    interest = {"accruals"} & {*positions.sources(conventions)}
    return frozenset({"transactions", "journal_lines"} | interest)


def _spec(table: Table) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.name,
        description=table.description,
        group_name="servicing",
        owners=OWNERS,
        kinds={"deltalake"},
        metadata={**table_metadata(table.name), "sync": f"{table.load} by {table.watermark or 'key'}"},
    )


def _check_spec(name: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        SYNCED,
        asset=name,
        description="The last sync accepted the table; no row disappeared, changed unexpectedly or is in the future.",
    )


def _in_order(tables: Iterable[Table]) -> list[Table]:
    order = list(SERVICING)
    return sorted(tables, key=lambda table: order.index(table.name))


def _log(context: dg.AssetExecutionContext, table: Table, result: SyncResult) -> None:
    if result.absent:
        context.log.info(f"{table.name}: no data: the source does not have this table")
    else:
        context.log.info(f"{table.name}: {result.rows_read:,} rows read, {result.rows_added:,} added")
    for warning in (*result.warnings, *_rejected_rows(table, result)):
        context.log.warning(warning)


def _rejected_rows(table: Table, result: SyncResult) -> list[str]:
    """A sentence for each reference by which rows were rejected."""
    return [f"rejected rows: {table.name}.{finding}" for finding in result.rejected_rows]


def _check_result(table: Table, outcome: SyncResult | LendingError) -> dg.AssetCheckResult:
    """The check fails with severity ERROR for a rejected table or row, and with WARN for other warnings of the sync."""
    if isinstance(outcome, LendingError):
        rejected, told, rows = True, [str(outcome)], 0
    else:
        rows = sum(finding.rows for finding in outcome.rejected_rows)
        rejected, told = bool(outcome.rejected_rows), [*_rejected_rows(table, outcome), *outcome.warnings]
    return dg.AssetCheckResult(
        asset_key=table.name,
        check_name=SYNCED,
        passed=not told,
        severity=dg.AssetCheckSeverity.ERROR if rejected else dg.AssetCheckSeverity.WARN,
        description="; ".join(told) or None,
        metadata={ROWS_REJECTED: rows},
    )


def _metadata(result: SyncResult) -> dict[str, dg.MetadataValue | int | float | str]:
    metadata: dict[str, dg.MetadataValue | int | float | str] = {
        "rows_read": result.rows_read,
        "rows_added": result.rows_added,
        "rows_updated": result.rows_updated,
        "rows_removed": result.rows_removed,
        "watermark": result.watermark.isoformat(sep=" ") if result.watermark else "none",
        "delta_version": result.version,
        "seconds": round(result.seconds, 3),
    }
    if result.notes:
        metadata["notes"] = dg.MetadataValue.json(dict(result.notes))
    if result.absent:
        metadata["absent"] = "no data: the source does not have this table"
    if result.months_read_again:
        metadata["months_read_again"] = ", ".join(result.months_read_again)
    if result.loans_read is not None:
        metadata["loans_read"] = result.loans_read
    if result.rejected_rows:
        metadata[ROW_FINDINGS] = dg.MetadataValue.json([str(finding) for finding in result.rejected_rows])
    if result.warnings:
        metadata["warnings"] = dg.MetadataValue.json(list(result.warnings))
    return metadata
