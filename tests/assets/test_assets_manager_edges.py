"""Managers at the edges of health and alerts, by the commands; manager_edges.py has the working of the numbers."""

import csv
import json
import re
from datetime import date
from pathlib import Path

import manager_edges
import pytest
from homes import DAILY_TABLES, Home, lending, materialise

EMPTY, OPENING = date(2025, 3, 31), date(2025, 5, 31)
MOVED, LAST = date(2025, 6, 20), date(2025, 6, 30)

AT_THRESHOLDS = """
[[rules]]
name = "Health at most 50"
metric = "manager_snapshots.health_score"
scope = "manager"
subjects = ["O8"]
operator = "<="
threshold = 50
severity = "critical"

[[rules]]
name = "PAR 30 at least 15 %"
metric = "manager_snapshots.par_30"
scope = "manager"
subjects = ["O8"]
operator = ">="
threshold = "15 %"
severity = "critical"
"""


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("edges"))
    manager_edges.build(home.folder / "servicing.db")
    rules = home.folder / "rules.toml"
    rules.write_text(AT_THRESHOLDS)
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        assert lending("alert-rules", "apply", str(rules)).returncode == 0
        # The days of the window, and the tables of a day before any loan.
        done = lending("close", "--from", str(OPENING), "--to", str(LAST))
        assert done.returncode == 0, done.stderr
        materialise(EMPTY, EMPTY, *DAILY_TABLES)
    return home


@pytest.fixture(autouse=True)
def entered(edges: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    edges.enter(monkeypatch)


def report(report_type: str, *settings: str, format: str = "json") -> str:
    options = [part for setting in settings for part in ("--set", setting)]
    done = lending("report", report_type, *options, "--format", format)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.partition("  (")[0]).read_text()


def rows_of(text: str, title: str) -> list[dict]:
    return next(table["rows"] for table in json.loads(text)["tables"] if table["title"] == title)


# health, collected, growth in percent (None: unknown), missing
SCORES = {
    ("O1", "USD"): (50.0, 25.0, 0.0, None),
    ("O1", "EUR"): (40.0, None, 0.0, "collection_rate"),
    ("O2", "USD"): (40.0, None, 0.0, "collection_rate"),
    ("O3", "USD"): (40.0, None, None, "collection_rate"),
    # 40 + 30 + 20 % of 40.90909091 + 10 % of 5 × 3,650,000 ÷ 781,000
    ("O4", "USD"): (80.51856594, 100.0, -100 / 11, None),
    ("O6", "USD"): (76.0, 100.0, -20.0, None),
    ("O7", "USD"): (10.0, None, None, "collection_rate, default_rate"),
    ("O8", "USD"): (50.0, 25.0, 0.0, None),
    ("T1", "USD"): (50.0, 25.0, 0.0, None),
    ("T1", "EUR"): (40.0, None, 0.0, "collection_rate"),
    ("T2", "EUR"): (40.0, None, 0.0, "collection_rate"),
    ("unassigned", "USD"): (40.0, None, 0.0, "collection_rate"),
}


def test_the_report_has_each_score_and_what_is_missing_of_it():
    printed = report("manager_performance", f"as_of={LAST}", "period=month")
    parts = {(row["manager_id"], row["currency"]): row for row in rows_of(printed, "Parts of the health score")}
    assert parts.keys() == SCORES.keys()
    for key, (health, collected, growth, missing) in SCORES.items():
        row = parts[key]
        assert (row["health_score"], row["collection_rate"], row["missing"]) == (health, collected, missing), key
        assert row["growth_rate"] == (growth if growth is None else pytest.approx(growth)), key
    team = next(row for row in rows_of(printed, "Managers") if (row["manager_id"], row["currency"]) == ("T1", "USD"))
    assert (team["total_outstanding"], team["active_loans"]) == ("47000.00", 5)
    assert "A rate is blank if its divisor is 0" in " ".join(json.loads(printed)["notes"])


def test_alerts_open_beyond_a_threshold_and_not_at_it():
    """A score of 50 is not below 50, and a PAR 30 of 15 % is not above 15 %; the rules of O8 include the edge."""
    done = lending("alerts")
    found = {}
    for line in done.stdout.splitlines()[1:]:
        text = line.partition("  -  ")[2].strip()
        found[re.sub(r"^(?:[A-Z]{3}|-)  +", "", text)] = line.split()[1]
    assert {text: severity for text, severity in found.items() if "manager O1 " in text or "manager O8 " in text} == {
        "Health score of manager O1 is 50.00, below 70.00.": "warning",
        "PAR 30 of manager O1 is 15.00 %, above 10.00 %.": "warning",
        "Collection rate of manager O1 is 25.00 %, below 80.00 %.": "warning",
        "Health score of manager O8 is 50.00, at or below 50.00.": "critical",
        "PAR 30 of manager O8 is 15.00 %, at or above 15.00 %.": "critical",
        "Collection rate of manager O8 is 25.00 %, below 80.00 %.": "warning",
    }
    # Nothing fell due: no alert on a collection rate that is not known. No loans or no active ones: no alert.
    assert "Health score of manager O3 is 40.00, below 50.00." in found
    for absent in ("Collection rate of manager O2 ", "Collection rate of manager O3 ", " O4 ", " O5 ", " O7 ", " T3 "):
        assert not [text for text in found if absent in text], absent


def test_an_alert_on_a_loan_moves_with_it_to_the_new_officer():
    """Growth was -20 % from 10 June on: of O5 until 19 June, of O6 from 20 June."""
    of_old = [line.split() for line in lending("alerts", "history", "--subject", "O5").stdout.splitlines()]
    assert [words[3:5] for words in of_old if "Growth" in words] == [["2025-06-10", str(MOVED)]]
    of_new = lending("alerts", "--subject", "O6").stdout
    assert str(MOVED) in of_new
    assert "Growth rate of manager O6 is -20.00 %, below -10.00 %." in of_new


def test_the_csv_of_a_manager_who_left_ends_on_the_last_day_with_loans():
    period = ("period=custom", "from_date=2025-06-18", f"to_date={LAST}", "contents=days")
    for manager, days in (("O5", ["2025-06-18", "2025-06-19"]), ("O6", [f"2025-06-{day}" for day in range(20, 31)])):
        text = report("manager_performance", *period, f"manager={manager}", format="csv")
        rows = list(csv.DictReader(text.splitlines()))
        assert [row["business_date"] for row in rows] == days
        assert {row["growth_rate"] for row in rows} == {"-20.000000"}


@pytest.mark.parametrize("manager", ["O5", "T3", "person t3"])
def test_staff_without_loans_have_an_empty_report_that_says_so(manager):
    printed = json.loads(report("manager_performance", f"as_of={LAST}", f"manager={manager}"))
    staff_id = "O5" if manager == "O5" else "T3"
    assert {table["no_data"] for table in printed["tables"]} == {f"{staff_id} has no loans on {LAST}"}


def test_an_unknown_manager_is_an_error_with_near_ids():
    done = lending("report", "manager_performance", "--set", f"as_of={LAST}", "--set", "manager=T9", "--format", "csv")
    assert done.returncode == 1
    assert "there is no manager 'T9'; use one of 'O1', 'O2', " in done.stderr


def test_branches_over_a_complete_month_are_compared_with_the_month_before():
    """The day before June is also the last day of May. USD of B2: the loans of O8. EUR of B2: J1."""
    printed = report("branch_comparison", f"as_of={LAST}", "period=month")
    rows = {(row["scope_id"], row["currency"]): row for row in rows_of(printed, "Branches")}
    assert {key: row["health_score"] for key, row in rows.items() if key[0] == "B2"} == {
        ("B2", "USD"): 50.0,
        ("B2", "EUR"): 40.0,
    }


def test_a_rule_names_any_manager(tmp_path):
    file = tmp_path / "rules.toml"
    file.write_text(AT_THRESHOLDS.replace('["O8"]', '["T1", "T3", "O5", "unassigned"]'))
    assert lending("alert-rules", "check", str(file)).returncode == 0
    file.write_text(AT_THRESHOLDS.replace('["O8"]', '["t1"]'))
    assert (
        "rule 'Health at most 50': subjects: there is no manager 't1': did you mean 'T1'"
        in lending("alert-rules", "check", str(file)).stderr
    )


def test_a_day_before_the_first_loan_has_no_rows():
    for report_type in ("manager_performance", "weekly_summary"):
        printed = json.loads(report(report_type, f"as_of={EMPTY}"))
        (managers,) = [table for table in printed["tables"] if table["title"] == "Managers"]
        assert (managers["rows"], f"on {EMPTY}" in managers["no_data"]) == ([], True)


def test_the_weekly_summary_of_leaders():
    """T1 leads two officers and is one too; T2 leads nobody; O1 is no leader, and T3 has no loans."""
    printed = report("weekly_summary", f"as_of={LAST}", "leader=T1")
    assert {row["manager_id"] for row in rows_of(printed, "Managers")} == {"O1", "O2", "T1"}
    ends = {row["currency"]: row for row in reversed(rows_of(printed, "Book at the end of the week"))}
    assert {currency: row["total_outstanding"] for currency, row in ends.items()} == {
        "USD": "47000.00",
        "EUR": "2000.00",
    }
    alone = report("weekly_summary", f"as_of={LAST}", "leader=T2")
    assert [row["manager_id"] for row in rows_of(alone, "Managers")] == ["T2"]
    for nobody in ("O1", "T3"):
        options = ("--set", f"as_of={LAST}", "--set", f"leader={nobody}", "--format", "json")
        assert f"no team leader '{nobody}' has loans on {LAST}" in lending("report", "weekly_summary", *options).stderr


def test_the_close_prints_a_manager():
    printed = lending("close", "--date", str(LAST), "--manager", "O1").stdout
    assert [
        line.split() for line in printed.splitlines() if line.startswith(("health_score", "par_30", "missing"))
    ] == [
        ["par_30", "0.00000000", "0.15000000"],
        ["health_score", "40.00000000", "50.00000000"],
        ["missing", "collection_rate", "-"],
    ]
    assert "O5 has no loans on 2025-06-30" in lending("close", "--date", str(LAST), "--manager", "O5").stdout
