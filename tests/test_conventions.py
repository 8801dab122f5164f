"""The conventions file: what it changes, and one line for what is wrong in it."""

import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError


def test_a_file_changes_what_it_names_and_leaves_the_rest(tmp_path):
    file = tmp_path / "conventions.toml"
    file.write_text('bucket_edges = [1, 16, 31]\npar_operator = ">"\n')

    conventions = Conventions.load(file)

    assert conventions.buckets == ("current", "1-15", "16-30", "31+")
    assert conventions.stamp() == {
        "bucket_edges": "1, 16, 31",
        "dpd_method": "rolling",
        "delinquency_method": "MBA",
        "paused_days": "stand_still",
        "par_operator": ">",
        "interest_accrual": "scheduled",
        "non_accrual_interest": "stop",
        "transition_step": "month",
        "non_accrual_days": "90",
        "recovery_dating": "receipt",
        "negative_journal_lines": "false",
        "health_window_days": "30",
        "default_days": "90",
        "health_weights": "40, 30, 20, 10",
        "health_thresholds": "50, 70, 80",
        "timezone": "UTC",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"par_operator = '>>'", "par_operator: Input should be '>=' or '>'"),
        (b"bucket_edges = [30, 60]", "bucket edges must start at 1 and increase"),
        (b"bucket_edges = [1, 60, 30]", "bucket edges must start at 1 and increase"),
        (b"non_accrual_days = 0", "non_accrual_days: "),
        (b"health_window_days = 0", "health_window_days: "),
        (b"default_days = 0", "default_days: "),
        (b"health_weights = [40, 30, 20]", "write four whole percentages from 0 that add up to 100"),
        (b"health_weights = [40, 30, 20, 11]", "found 40, 30, 20, 11, which add up to 101"),
        (b"health_weights = [140, -40, 0, 0]", "write four whole percentages from 0 that add up to 100"),
        (b"health_thresholds = [50, 50, 80]", "write three increasing scores above 0 and up to 100"),
        (b"health_thresholds = [0, 70, 80]", "write three increasing scores above 0 and up to 100"),
        (b"health_thresholds = [50, 70, 101]", "found 50, 70, 101"),
        (b"grace_days = 5", "grace_days: "),
        (b"timezone = 'Asia/Singapore'", "timezone: remove it and set LENDING_TIMEZONE instead"),
        (b"par_operator = ", "cannot be read: "),
        (b"par_operator = '\xff'", "cannot be read: "),
    ],
)
def test_a_wrong_file_is_refused_in_a_line_that_names_it(tmp_path, content, told):
    file = tmp_path / "conventions.toml"
    file.write_bytes(content)

    with pytest.raises(LendingError) as refused:
        Conventions.load(file)

    assert str(refused.value).startswith(f"conventions file {file}")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_are_overridden_by_text():
    theirs = Conventions(non_accrual_days=60).overridden("par_operator=>; bucket_edges=1,45, 90 ;transition_step=week")
    assert (theirs.par_operator, theirs.bucket_edges, theirs.transition_step) == (">", (1, 45, 90), "week")
    assert theirs.non_accrual_days == 60


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("par_operater=>", "there is no convention 'par_operater'; .*par_operator"),
        ("par_operator", "convention par_operator: write it like par_operator=>="),
        ("bucket_edges=30,1", "bucket edges must start at 1 and increase"),
        ("dpd_method=loose", "dpd_method: Input should be 'rolling' or 'strict'"),
    ],
)
def test_a_wrong_override_is_refused(text, problem):
    with pytest.raises(LendingError, match=problem):
        Conventions().overridden(text)


def test_a_record_of_an_earlier_version_has_the_defaults_of_later_settings():
    recorded = Conventions.recorded({"par_operator": ">"})

    assert recorded == Conventions(par_operator=">").stamp()
