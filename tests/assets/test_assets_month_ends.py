"""A lender that closes month ends only, by the close's own assets."""

from datetime import date

from homes import Home, materialise
from oddities import Database

from lending_pipelines.assets import NEEDED_TABLES
from lending_pipelines.metrics.payment_history import month_ends


def test_it_gets_the_transitions_of_every_month(empty_home: Home):
    """100.00 are due on 20 January and never paid: 11, 39, 70, 100 and 131 days past due at the ends of the months.

    Half a year, with ends on the 28th, 30th and 31st: each month costs a run.
    """
    empty_home.folder.mkdir()
    database = Database(empty_home.folder / "servicing.db")
    database.loan("L1", [("2025-01-20", "100.00", "1.00")], disbursed_on="2024-12-20")
    database.transact("T1", "L1", "disbursement", "2024-12-20", "100.00")
    database.close()
    ends = sorted(month_ends(date(2025, 6, 30), 7))
    materialise(ends[0], ends[0], *NEEDED_TABLES, "portfolio_membership", "loan_ownership")
    for day in ends:
        materialise(day, day, "loan_positions", "aging_transitions")

    moves = [row for row in empty_home.rows("aging_transitions") if row["scope"] == "all"]
    assert [(row["business_date"], row["from_date"]) for row in moves] == list(zip(ends[1:], ends[:-1], strict=True))
    assert (moves[1]["business_date"], moves[1]["from_date"]) == (date(2025, 2, 28), date(2025, 1, 31))
    assert [(row["from_bucket"], row["to_bucket"]) for row in moves] == [
        ("current", "1-29"),
        ("1-29", "30-59"),
        ("30-59", "60-89"),
        ("60-89", "90-119"),
        ("90-119", "120+"),
        ("120+", "120+"),
    ]
