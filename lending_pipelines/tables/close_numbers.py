"""The numbers of a close summary, which alert rules watch. They are not stored in a table of the lake."""

from lending_pipelines.tables.schema import Table, count

CLOSE_SUMMARY = Table(
    "close_summary",
    "Numbers of the summary that a close makes last. A number that is not known is null.",
    (),
    (
        count("errors", "findings that are errors"),
        count("warnings", "findings that are warnings"),
        count("checks_failed", "checks that failed as an error, without those of the sync"),
        count("checks_warned", "checks that failed as a warning; the sync's remarks on a table are one"),
        count("tables_rejected", "servicing tables that the last sync rejected; their earlier rows are used"),
        count("rows_rejected", "servicing rows that the last sync rejected, because their owner does not exist"),
        count("days_missing", "days from the first closed day to the last ended one that are not closed"),
        count("tieout_breaks", "control accounts of the day that do not tie out; null without a general ledger"),
        count("tapes_not_made", "days of tapes that could not be made"),
        count("tapes_waiting", "deliveries of tapes that wait after a failed attempt"),
        count("tapes_late", "deliveries of tapes that are late"),
        count("tapes_failed", "deliveries of tapes that did not arrive"),
        count("seconds", "seconds of the run of the last close, up to the summary"),
    ),
)
