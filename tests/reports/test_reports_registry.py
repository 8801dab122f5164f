import textwrap

import pytest

from lending_pipelines import reports
from lending_pipelines.errors import LendingError
from lending_pipelines.reports import registry


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose modules belong to the reports package for one test."""
    monkeypatch.setattr(reports, "__path__", [*reports.__path__, str(tmp_path)])
    registry._generators.cache_clear()
    yield tmp_path
    registry._generators.cache_clear()


def _report(report_type):
    return textwrap.dedent(f"""
        class Report:
            report_type = "{report_type}"
        generator = Report()
    """)


def test_the_five_reports_are_found():
    assert registry.report_types() == [
        "delinquency_aging",
        "general_ledger",
        "loan_tape",
        "portfolio_summary",
        "trial_balance",
    ]


def test_a_new_file_is_a_new_report(folder):
    (folder / "vintage_curve.py").write_text(_report("vintage_curve"), encoding="utf-8")
    assert "vintage_curve" in registry.report_types()
    assert registry.get("vintage_curve").report_type == "vintage_curve"


def test_two_files_cannot_be_the_same_report(folder):
    (folder / "zz_again.py").write_text(_report("loan_tape"), encoding="utf-8")
    with pytest.raises(LendingError, match="zz_again: report type loan_tape exists already"):
        registry.report_types()


def test_an_unknown_report_gets_near_names():
    with pytest.raises(LendingError, match="no report 'trail_balance'; did you mean 'trial_balance'"):
        registry.get("trail_balance")
    with pytest.raises(LendingError, match="no report 'xyz'; there is 'delinquency_aging', 'general_ledger'"):
        registry.get("xyz")
