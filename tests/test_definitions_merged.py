"""build_definitions() inside another Dagster project, as docs/operations.md has it."""

import dagster as dg
from homes import LAST

from lending_pipelines.definitions import build_definitions


def test_the_definitions_work_inside_another_project(home):
    found = {}

    @dg.asset(deps=["loan_positions"])
    def risk_export() -> None:
        found["loans"] = len(home.rows("loan_positions", LAST, LAST))

    defs = dg.Definitions.merge(build_definitions(), dg.Definitions(assets=[risk_export]))

    dg.Definitions.validate_loadable(defs)
    assert defs.resolve_job_def("daily_close").name == "daily_close"
    with dg.DagsterInstance.get() as instance:
        done = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey("risk_export")], instance=instance
        )
    assert done.success
    assert found["loans"] > 0
    synced = defs.resolve_job_def("sync").execute_in_process(
        asset_selection=[dg.AssetKey("branches")], instance=dg.DagsterInstance.ephemeral()
    )
    assert synced.success
