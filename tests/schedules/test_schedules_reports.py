"""Reports by schedule: from a file, on the day before the tick, and a wrong file says what to write."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.schedules.reports import report_schedules

BOARD = """
[[report]]
name = "board_pack"
report_type = "portfolio_summary"
cron = "0 7 1 * *"
output_format = "pdf"
requested_by = "board"
parameters = { by = "product", history = 6 }

[[report]]
name = "march"
report_type = "trial_balance"
cron = "30 6 * * 1"
requested_by = "audit"
parameters = { as_of = "2024-03-31" }
"""


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "reports.toml"


def config(schedule, at):
    context = dg.build_schedule_context(scheduled_execution_time=at)
    (request,) = schedule.evaluate_tick(context).run_requests
    (op,) = request.run_config["ops"].values()
    return op["config"]


def test_a_report_is_on_the_day_before_its_tick_unless_it_names_another(file):
    file.write_text(BOARD, encoding="utf-8")
    board, march = report_schedules(file, "America/New_York")

    assert (board.name, board.job_name, board.cron_schedule) == (
        "board_pack_schedule",
        "report_portfolio_summary",
        "0 7 1 * *",
    )
    assert board.execution_timezone == "America/New_York"
    # 07:00 in New York on 1 March; the same instant read in UTC is the same day.
    asked = config(board, datetime(2025, 3, 1, 12, tzinfo=UTC))
    assert (asked["as_of"], asked["by"], asked["history"]) == ("2025-02-28", "product", 6)
    assert (asked["output_format"], asked["requested_by"]) == ("pdf", "board")
    # 22:30 in New York is the next day in UTC.
    assert config(board, datetime(2025, 3, 2, 3, 30, tzinfo=UTC))["as_of"] == "2025-02-28"
    assert config(march, datetime(2025, 3, 3, 11, tzinfo=UTC))["as_of"] == "2024-03-31"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[report", "reports.toml cannot be read"),
        ("[report]", r"write each report as a table \[\[report\]\]"),
        (BOARD.replace("portfolio_summary", "portfolio_sumary"), "report 1: .*did you mean 'portfolio_summary'"),
        (BOARD.replace('"pdf"', '"docx"'), "report 1: .*unknown format 'docx'; write csv or xlsx"),
        (BOARD.replace("history = 6", "history = 0"), "report 1: .*history is 0"),
        (BOARD.replace('requested_by = "board"', ""), "report 1: requested_by: Field required"),
        (BOARD.replace('name = "march"', 'name = "board_pack"'), "two reports have the name board_pack"),
        (BOARD.replace("0 7 1 * *", "monthly"), "report board_pack: cron is 'monthly': write a cron expression"),
    ],
)
def test_a_wrong_file_says_what_to_write(file, text, problem):
    file.write_text(text, encoding="utf-8")
    with pytest.raises(LendingError, match=problem):
        report_schedules(file, "UTC")


def test_a_file_that_is_not_there_is_not_no_schedules(file):
    with pytest.raises(LendingError, match=r"reports\.toml cannot be read"):
        report_schedules(file, "UTC")
