"""close_certificates: a certificate for each day of a close, and a statement for each other run that writes the lake.

evidence/ defines their content. An error while a certificate is made is reported and does not stop the close, because
the numbers do not depend on it.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from lending_pipelines.assets.checks import check_keys
from lending_pipelines.assets.close_summary import CERTIFICATES, DAILY
from lending_pipelines.assets.describe import OWNERS, table_metadata
from lending_pipelines.errors import LendingError
from lending_pipelines.evidence import Places, SigningKey, append
from lending_pipelines.evidence.statement import CloseFacts, close_statements, step_statement
from lending_pipelines.evidence.totals import previous_day
from lending_pipelines.partitions import BUSINESS_DATES, business_days, first_and_last
from lending_pipelines.resources import (
    ConventionsResource,
    ExportsResource,
    LakeResource,
    RegisterResource,
    message_first,
)
from lending_pipelines.settings import Settings
from lending_pipelines.tables import RECORDS

_WRITERS = ("servicing_tables", "portfolio_membership")
"""The last step that writes the lake in each job with the hook. All later steps of these jobs are checks."""


@dg.asset(
    name=CERTIFICATES,
    description=RECORDS[CERTIFICATES].description,
    deps=[*DAILY, "loan_tapes"],
    partitions_def=BUSINESS_DATES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="close",
    owners=OWNERS,
    kinds={"deltalake"},
    metadata=table_metadata(CERTIFICATES),
    # This asset runs after the checks of the run, because the certificate contains their results.
    op_tags={"dagster/priority": "-7"},
)
@message_first
def close_certificates(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    register: RegisterResource,
    exports: ExportsResource,
    conventions: ConventionsResource,
) -> dg.MaterializeResult:
    """Certify the days of the run."""
    days = business_days(*first_and_last(context.partition_key_range))
    try:
        settings = Settings.from_environment()
        facts = CloseFacts(
            lender=settings.lender_name,
            source=settings.source,
            run_id=context.run.run_id,
            days=days,
            before=previous_day(lake.lake, days[0]),
            conventions=conventions.get().stamp(),
            checks=_checks(context.instance, context.run.run_id),
        )
        places = _places(lake, register, exports)
        key = SigningKey.of(settings.signing_key)
        inventory = append(places, lambda inventory: close_statements(places, facts, inventory), key)
    except Exception as error:
        context.log.exception("the close has no certificate")
        return dg.MaterializeResult(metadata={"fault": _fault_line(error, days)})
    return dg.MaterializeResult(
        metadata={
            "certificates": len(days),
            "sequence": inventory.sequence,
            "sha256": str(inventory.sha256),
            "signed_by": key.public if key else "nobody: LENDING_SIGNING_KEY is not set",
        }
    )


@dg.success_hook(required_resource_keys={"lake", "register", "exports"})
def certify_run(context: dg.HookContext) -> None:
    """Add a statement about the files that a run other than a close wrote. A run that wrote none has no statement."""
    if context.op.name not in _WRITERS:
        return
    resources = context.resources
    try:
        key = SigningKey.of(Settings.from_environment().signing_key)
        places = _places(resources.lake, resources.register, resources.exports)
        about = {"run": {"id": context.run_id, "job": context.job_name}}
        append(places, lambda inventory: step_statement(places, "run", about, inventory), key)
    except Exception:
        context.log.exception("the run is not certified; the next close certifies what it wrote")


def _places(lake: LakeResource, register: RegisterResource, exports: ExportsResource) -> Places:
    return Places(lake.lake, register.register, exports.place("").rstrip("/"))


def _checks(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    """The results of the checks that the run evaluated."""
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(check_keys())
    results = [each.evaluation for each in latest.values() if each.run_id == run_id and each.evaluation]
    named = {f"{each.asset_key.path[-1]}.{each.check_name}": each for each in results}
    return {
        "passed": sorted(name for name, each in named.items() if each.passed),
        "failed": {name: each.description or "" for name, each in sorted(named.items()) if not each.passed},
    }


def _fault_line(error: Exception, days: Sequence[date]) -> str:
    """The fault in one line, with the days that have no certificate."""
    what = str(error) if isinstance(error, LendingError) else f"{type(error).__name__}: {error}"
    return f"{days[0]} to {days[-1]}: {' '.join(what.split())}"
