import textwrap
from pathlib import Path

import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.reports import registry, types


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose modules belong to the package of report types for one test."""
    monkeypatch.setattr(types, "__path__", [*types.__path__, str(tmp_path)])
    registry._generators.cache_clear()
    yield tmp_path
    registry._generators.cache_clear()


def _report(report_type):
    return textwrap.dedent(f"""
        class Report:
            report_type = "{report_type}"
        generator = Report()
    """)


def test_every_file_with_a_generator_is_found_under_its_own_name():
    files = Path(types.__file__).parent.glob("*.py")
    with_generator = [file.stem for file in files if "\ngenerator = " in file.read_text(encoding="utf-8")]
    assert registry.report_types() == sorted(with_generator)
    assert {"delinquency_aging", "general_ledger", "loan_tape", "portfolio_summary"} < set(with_generator)


def test_a_new_file_is_a_new_report(folder):
    (folder / "vintage_curve.py").write_text(_report("vintage_curve"), encoding="utf-8")
    assert "vintage_curve" in registry.report_types()
    assert registry.get("vintage_curve").report_type == "vintage_curve"


def test_two_files_cannot_be_the_same_report(folder):
    (folder / "zz_again.py").write_text(_report("loan_tape"), encoding="utf-8")
    with pytest.raises(LendingError, match="zz_again: report type loan_tape already exists"):
        registry.report_types()


def test_an_unknown_report_gets_near_names():
    with pytest.raises(LendingError, match="unknown report 'trail_balance'; did you mean 'trial_balance'"):
        registry.get("trail_balance")
    with pytest.raises(LendingError, match=r"unknown report 'xyz'; use one of '[a-z_]+', '[a-z_]+'"):
        registry.get("xyz")
