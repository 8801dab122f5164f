"""The lake's records about reported numbers: which closed days changed, where their first numbers are, what was sent.

The tables of the close are in derived.py.
"""

from lending_pipelines.tables.schema import Column, Table, day, instant, text

EVERY_LOAN = "*"
"""The loan_id of a restatement that concerns all loans of the day."""

RESTATEMENTS = Table(
    "restatements",
    "Closed days that differ from what is known now: each value of loan_positions that changed, with its cause. Rows"
    " are only added. The latest row of a value that was found after the day was last closed is in force.",
    ("detected_at", "business_date", "loan_id", "column"),
    (
        instant("detected_at", "when a close found the difference, UTC"),
        day("business_date", "the closed day"),
        text("loan_id", f"{EVERY_LOAN}: all loans of the day"),
        text("column", "the column of loan_positions, or conventions"),
        text("currency", f"of the loan; null for {EVERY_LOAN}", nullable=True),
        text(
            "caused_by",
            "what changed since the day was closed, such as `transaction T-17`, separated by semicolons",
        ),
        instant("posted_at", "the latest posted_at of these events; null where events have none", nullable=True),
        text("reported", "the value as closed; null if there is none", nullable=True),
        text("restated", "the value as known at detected_at; null if there is none", nullable=True),
        Column(
            "difference",
            "decimal(24, 8)",
            "restated − reported of amounts, rates and days past due; null for other columns",
            nullable=True,
        ),
        day("locked_until", "the end of the locked period that the day was in at detected_at", nullable=True),
    ),
)

REPORTED_DAYS = Table(
    "reported_days",
    "The days that were closed again: the version of each daily table with the rows of the first close.",
    ("table_name", "business_date"),
    (
        text("table_name", "the daily table"),
        day("business_date"),
        Column(
            "delta_version",
            "int64",
            "a version of the table with the rows of the first close; null if they were thinned before",
            nullable=True,
        ),
        instant("closed_at", "when the day was first closed, UTC"),
        instant("known_until", "the latest posted_at among the rows of the first close", nullable=True),
        text("conventions", "JSON: the conventions of the first close"),
    ),
)

PUBLISHED = Table(
    "published",
    "The tapes and reports that went out, a row for each recipient, as of the latest report that reads them.",
    ("kind", "output_id", "recipient"),
    (
        text("kind", values=("tape", "report")),
        text("output_id", "the delivery_id of a tape, the report_id of a report"),
        text("name", "the tape's name or the report type"),
        day("business_date", "the tape's day, or the last day of the report"),
        text("portfolio_id", "the tape's portfolio; null for reports", nullable=True),
        text("recipient", "an address or folder; for a report without recipients, who requested it"),
        instant("sent_at", "when it was delivered or made, UTC"),
        text("sha256", "of the file", nullable=True),
    ),
)

PERIOD_LOCKS = Table(
    "period_locks",
    "The locks of periods that are in force, as of the latest report that reads them.",
    ("period_end",),
    (
        day("period_end", "the last locked day; all days up to it are locked"),
        text("locked_by", personal=True),
        instant("locked_at", "UTC"),
    ),
)

RESTATEMENT_RECORDS = (RESTATEMENTS, REPORTED_DAYS, PUBLISHED, PERIOD_LOCKS)
