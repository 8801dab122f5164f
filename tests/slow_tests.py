"""Which tests are slow: `make quick` leaves them out.

A test is slow if it needs a close, a server, a browser, Java or real data, if it takes more than two seconds of CPU
time, or if the tests of its file take more than 0.3 seconds each on average. Slow tests are named only
here. `make quick` prints the slowest tests that it ran; add those that are slow by this rule.

Two slow files belong to the quick tests: every number depends on positions (`test_metrics_positions.py`), and the
summary of a close has no faster tests (`test_close_summary_changes.py`).
"""

import pytest

FIXTURES = (
    "java",
    "case",
    "lender_homes",
    "empty_home",
    "shared_dir",
    "mariadb_server",
    "postgres_server",
    "object_store",
    "sftp",
)
"""Every test that uses one of these is slow: a close, a server, Java, or real data. The slowest first."""

SERVERS = {"postgresql": "postgres_server", "postgres": "postgres_server", "mariadb": "mariadb_server"}
"""The fixtures of the servers whose names, or the fixtures of whose URLs, are parameters of tests."""

FILES = (
    "test_alerts_killed.py",
    "test_alerts_notices.py",
    "test_alerts_record.py",
    "test_assets_*.py",
    "test_checks_restatements.py",
    "test_cli.py",
    "test_definitions.py",
    "test_deploy_code_server.py",
    "test_event_log.py",
    "test_expectations_client.py",
    "test_exports_names.py",
    "test_fuzz.py",
    "test_lake_at_once.py",
    "test_lake_fast_ibis.py",
    "test_lake_kept.py",
    "test_lake_upkeep.py",
    "test_metrics_accruals.py",
    "test_metrics_charge_offs.py",
    "test_metrics_delinquency.py",
    "test_metrics_interest.py",
    "test_metrics_investors.py",
    "test_metrics_ledger.py",
    "test_metrics_managers.py",
    "test_metrics_managers_past.py",
    "test_metrics_money.py",
    "test_metrics_movements.py",
    "test_metrics_past_due.py",
    "test_metrics_pauses.py",
    "test_metrics_platform.py",
    "test_metrics_portfolios.py",
    "test_metrics_properties.py",
    "test_metrics_terms.py",
    "test_portal_look.py",
    "test_portal_oidc.py",
    "test_portal_sign_in.py",
    "test_reports_branch_comparison.py",
    "test_reports_charge_off_recovery.py",
    "test_reports_combined_revenue.py",
    "test_reports_cut.py",
    "test_reports_delinquency_aging.py",
    "test_reports_interest_analytics.py",
    "test_reports_interest_income.py",
    "test_reports_loan_tape.py",
    "test_reports_manager_performance.py",
    "test_reports_modification_summary.py",
    "test_reports_odd_data.py",
    "test_reports_payment_activity.py",
    "test_reports_processing_fees.py",
    "test_reports_restatement.py",
    "test_reports_returns.py",
    "test_reports_vintage_analysis.py",
    "test_reports_weekly_summary.py",
    "test_reports_whole_lender.py",
    "test_resources_reported_source.py",
    "test_restatements_detect.py",
    "test_restatements_programs.py",
    "test_run_history.py",
    "test_sample_healthy.py",
    "test_sample_tieout.py",
    "test_sample_writers.py",
    "test_schedules_close.py",
    "test_sources_by_loan.py",
    "test_sources_complete.py",
    "test_sources_orphans.py",
    "test_unchecked_days.py",
)
"""Slow files: Dagster's runs, processes of their own, a browser, whole reports, or positions computed in each test."""

TESTS = (
    "test_checks_whole.py::test_every_check_passes_on_a_world_in_order",
    "test_checks_whole.py::test_some_days_fail_as_they_do_among_all_days",
    "test_cli_setup.py::test_doctor_tells_all_faults_of_all_tables_and_goes_on",
    "test_cli_setup.py::test_doctor_tells_in_one_run_what_only_a_comparison_of_tables_shows",
    "test_cli_setup.py::test_init_writes_what_every_command_then_finds",
    "test_metrics_assignments.py::test_a_range_chooses_what_its_days_choose_one_after_the_other",
    "test_metrics_loan_returns.py::test_flows_after_the_day_do_not_count",
    "test_metrics_revenue.py::test_charge_offs_are_what_the_roll_forward_leaves",
    "test_register_database.py::test_processes_may_upgrade_at_once",
    "test_register_portfolios.py::test_whatever_is_tried_no_loan_is_in_two_portfolios",
    "test_reports_roll_rates.py::test_three_months_go_from_the_first_day_to_the_last",
)
"""Slow tests of other files."""


def fixtures_of(item: pytest.Item) -> set[str]:
    """The fixtures that the test uses, with those that a parameter names."""
    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    names = {value.removesuffix("_url") for value in parameters if isinstance(value, str)}
    return {SERVERS[name] for name in names & SERVERS.keys()}.union(getattr(item, "fixturenames", ()))


def in_slow_file(item: pytest.Item) -> bool:
    """Whether the test's file is one of the slow files."""
    return any(item.path.match(pattern) for pattern in FILES)


def is_slow(item: pytest.Item) -> bool:
    """Whether `make quick` leaves the test out."""
    name = f"{item.path.name}::{getattr(item, 'originalname', item.name)}"
    return in_slow_file(item) or name in TESTS or not fixtures_of(item).isdisjoint(FIXTURES)
