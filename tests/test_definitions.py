"""The shape of what Dagster loads, and that loading it touches nothing."""

import os
import subprocess
import sys
from collections import defaultdict

import dagster as dg
import pytest

from lending_pipelines.definitions import build_definitions, definitions
from lending_pipelines.tables import DERIVED, SERVICING, TABLES

REPORTS = [
    "alert_log",
    "balance_sheet",
    "borrower_statement",
    "borrowing_base",
    "branch_comparison",
    "charge_off_recovery",
    "collection_performance",
    "combined_revenue",
    "compliance_summary",
    "delinquency_aging",
    "fee_revenue",
    "general_ledger",
    "income_statement",
    "interest_analytics",
    "interest_income",
    "loan_profitability",
    "loan_tape",
    "manager_performance",
    "modification_summary",
    "payment_activity",
    "platform_activity",
    "portfolio_returns",
    "portfolio_summary",
    "processing_fees",
    "restatement",
    "roll_rates",
    "trial_balance",
    "vintage_analysis",
    "weekly_summary",
]

GROUPS = {
    "servicing": sorted(SERVICING),
    "assignments": ["loan_ownership", "portfolio_assignments", "portfolio_membership"],
    "positions": ["loan_positions"],
    "delinquency": ["aging_buckets", "aging_transitions"],
    "portfolios": ["manager_snapshots", "portfolio_snapshots"],
    "ledger": ["ledger_tieouts", "trial_balance"],
    "platform": ["platform_activity"],
    "tapes": ["loan_tapes"],
    "close": ["alerts", "close_certificates", "close_summary", "restatements"],
    "operations": ["operations/housekeeping"],
    "reports": [f"reports/{name}" for name in REPORTS],
}

BLOCKING = {
    "transactions": ["amounts_split", "references_exist", "reversals_mirror"],
    "portfolio_membership": [],
    "loan_ownership": [],
    "loan_positions": [
        "paid_without_disbursement",
        "positions_complete",
        "positions_consistent",
        "positions_equal_transactions",
        "roll_forward",
    ],
    "aging_buckets": ["aging_equals_positions"],
    "aging_transitions": ["transition_rates_add_up", "transitions_open_with_positions"],
    "portfolio_snapshots": ["snapshots_equal_positions"],
    "manager_snapshots": ["managers_add_up", "managers_equal_positions"],
    "trial_balance": ["balances_add_up", "ledger_balanced"],
    "ledger_tieouts": ["principal_is_tied", "tieouts_add_up"],
    "platform_activity": [],
}

# Settings that would fail if anything looked: nothing listens there, and no such file may be read.
UNREACHABLE = {
    "LENDING_SERVICING_URL": "postgresql://reader:secret@127.0.0.1:1/servicing",
    "LENDING_REGISTER_URL": "postgresql://owner:secret@127.0.0.1:1/register",
    "LENDING_LAKE": "s3://nowhere/lake",
    "LENDING_EXPORTS": "sftp://nowhere/exports",
    "LENDING_CONVENTIONS": "/nowhere/conventions.toml",
    "LENDING_SOURCE": "no_such_adapter",
}

LOADED = "loaded"

WATCHED_LOAD = f"""
import sys

loads = True

def watch(event, arguments):
    if loads and event in ("socket.connect", "socket.getaddrinfo", "sqlite3.connect"):
        raise AssertionError(f"{{event}} {{arguments}} while the definitions load")

sys.addaudithook(watch)
import lending_pipelines.definitions
assert "great_expectations" not in sys.modules, "it takes seconds to import"
loads = False
print({LOADED!r}, file=sys.stderr)

from dagster._cli import main

sys.argv = ["dagster", "definitions", "validate", "-m", "lending_pipelines.definitions"]
main()
"""


def specs() -> list[dg.AssetSpec]:
    return list(definitions.resolve_all_asset_specs())


def test_the_shape_of_the_definitions():
    groups, blocking = defaultdict(list), defaultdict(list)
    for spec in specs():
        groups[spec.group_name].append(spec.key.to_user_string())
    checks = [spec for made in definitions.asset_checks for spec in made.check_specs]
    for check in checks:
        if check.blocking:
            blocking[check.asset_key.to_user_string()].append(check.name)
    repository = definitions.get_repository_def()

    assert {group: sorted(keys) for group, keys in groups.items()} == GROUPS
    # Every derived table's suite blocks: the sync has refused what the suites of servicing tables would find.
    own = {table: sorted(set(names) - {"great_expectations"}) for table, names in blocking.items()}
    assert own == BLOCKING
    assert {table for table, names in blocking.items() if "great_expectations" in names} == set(DERIVED)
    # Every table has its Great Expectations suite.
    assert {c.asset_key.path[-1] for c in checks if c.name == "great_expectations"} == {*SERVICING, *DERIVED}
    assert sorted(name for name in repository.job_names if not name.startswith("__")) == sorted(
        [
            "sync",
            "daily_close",
            "assign_portfolios",
            "sell_portfolio",
            "deliver_tape",
            "housekeeping",
            *(f"report_{name}" for name in REPORTS),
        ]
    )
    assert [(s.name, s.job_name, s.cron_schedule, s.execution_timezone) for s in repository.schedule_defs] == [
        ("assign_portfolios_schedule", "assign_portfolios", "0 5 * * *", "UTC"),
        ("daily_close_schedule", "daily_close", "0 1 * * *", "UTC"),
        ("housekeeping_schedule", "housekeeping", "0 2 * * 0", "UTC"),
        ("weekly_summary_schedule", "report_weekly_summary", "0 9-23 * * 1", "UTC"),
    ]
    assert sorted(repository.get_top_level_resources()) == sorted(
        ["source", "lake", "io_manager", "register", "exports", "expectations", "mail", "conventions"]
    )


def test_every_asset_says_what_it_is_whose_and_of_which_kind():
    assert [spec.key for spec in specs() if len(spec.description or "") < 10] == []
    assert [spec.key for spec in specs() if not spec.owners or not spec.kinds] == []


def test_every_table_shows_its_columns_and_every_daily_one_is_backfilled_in_one_run():
    graph = definitions.resolve_asset_graph()
    tables = {spec.key.path[-1]: spec for spec in specs() if spec.key.path[-1] in TABLES and len(spec.key.path) == 1}

    assert tables.keys() == {*SERVICING, *DERIVED, "close_certificates", "restatements"}
    for name, spec in tables.items():
        schema = spec.metadata["dagster/column_schema"]
        assert [column.name for column in schema.columns] == list(TABLES[name].names)
    for name in (*DERIVED, "loan_tapes"):
        node = graph.get(dg.AssetKey(name))
        assert node.backfill_policy == dg.BackfillPolicy.single_run()
        assert node.is_partitioned == (name == "loan_tapes" or TABLES[name].daily)


def test_a_report_hangs_on_the_tables_that_it_reads():
    graph = definitions.resolve_asset_graph()

    assert graph.get(dg.AssetKey(["reports", "trial_balance"])).parent_keys == {
        dg.AssetKey("trial_balance"),
        dg.AssetKey("journal_lines"),
        dg.AssetKey("gl_accounts"),
        dg.AssetKey("branches"),
    }
    assert dg.AssetKey("staff") in graph.get(dg.AssetKey("loan_tapes")).parent_keys


def test_resources_can_be_replaced():
    other = build_definitions({"exports": dg.ResourceDefinition.hardcoded_resource("elsewhere")})

    assert other.resources["exports"] is not definitions.resources["exports"]
    assert other.resources.keys() == definitions.resources.keys()


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """A process that loads the definitions and then does `dagster definitions validate`."""
    home = str(tmp_path_factory.mktemp("dagster"))
    return subprocess.run(
        [sys.executable, "-c", WATCHED_LOAD],
        env=os.environ | UNREACHABLE | {"DAGSTER_HOME": home, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_loading_opens_no_connection_reads_no_file_and_imports_nothing_heavy(validated):
    told, loaded, _ = validated.stderr.partition(LOADED)

    assert (loaded, told) == (LOADED, "")


def test_dagster_validates_the_definitions_without_a_warning_of_ours(validated):
    assert validated.returncode == 0, validated.stderr
    told = (validated.stdout + validated.stderr).splitlines()
    assert any("Validation successful for code location lending_pipelines.definitions" in line for line in told)
    assert [line for line in told if "lending_pipelines/" in line] == []


def test_every_step_fails_with_its_message_first():
    # The tables of daily.py only build expressions; the IO manager, which computes them, is decorated itself.
    # platform_activity computes its rows in the step.
    steps = {
        asset.node_def.name: asset.node_def.compute_fn.decorated_fn
        for asset in definitions.assets
        if isinstance(asset, dg.AssetsDefinition) and asset.is_executable
    }
    steps |= {check.node_def.name: check.node_def.compute_fn.decorated_fn for check in definitions.asset_checks}
    undecorated = {name for name, function in steps.items() if not hasattr(function, "__wrapped__")}
    assert len(steps) > 40
    assert undecorated == {name for name, table in DERIVED.items() if table.daily} - {"platform_activity"}
