"""The mirror of the servicing tables in the lake, brought in by the sync."""

from collections.abc import Iterator

import dagster as dg

from lending_pipelines.assets.describe import OWNERS, table_metadata
from lending_pipelines.resources import ConventionsResource, LakeResource, SourceResource
from lending_pipelines.sources.sync import SyncResult, sync_table
from lending_pipelines.tables import SERVICING


class SyncConfig(dg.Config):
    """How the servicing tables are read."""

    full: bool = False
    """Read every table whole, instead of what was posted or changed since the last sync."""


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            table.name,
            description=table.description,
            group_name="servicing",
            owners=OWNERS,
            kinds={"deltalake"},
            metadata={**table_metadata(table.name), "sync": f"{table.load} by {table.watermark or 'key'}"},
        )
        for table in SERVICING.values()
    ],
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
    # The lender's live database: deploy/ lets one run at a time read it.
    pool="servicing_database",
)
def servicing_tables(
    context: dg.AssetExecutionContext,
    config: SyncConfig,
    source: SourceResource,
    lake: LakeResource,
    conventions: ConventionsResource,
) -> Iterator[dg.MaterializeResult]:
    """Each table is one commit: what came in before an error stays, and the failing table keeps what it had."""
    opened = source.open()
    for name, table in SERVICING.items():
        if dg.AssetKey(name) in context.selected_asset_keys:
            result = sync_table(opened, table, lake.lake, config.full, conventions.get())
            context.log.info(f"{name}: {result.rows_read:,} rows read, {result.rows_added:,} added")
            yield dg.MaterializeResult(asset_key=name, metadata=_metadata(result))


def _metadata(result: SyncResult) -> dict[str, dg.MetadataValue | int | float | str]:
    return {
        "rows_read": result.rows_read,
        "rows_added": result.rows_added,
        "rows_updated": result.rows_updated,
        "rows_removed": result.rows_removed,
        "watermark": result.watermark.isoformat(sep=" ") if result.watermark else "none",
        "delta_version": result.version,
        "seconds": round(result.seconds, 3),
        **result.notes,
    }
