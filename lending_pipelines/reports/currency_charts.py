"""Charts of tables with several currencies: one per currency, because their amounts are not comparable."""

from lending_pipelines.reports.book import Chart, ReportTable


def bars(title: str, table: ReportTable, x: str, *y: str) -> list[Chart]:
    """Bars of the columns `y` over `x`, one chart per currency of the table's rows."""
    currencies = sorted(table.frame["currency"].unique())
    return [Chart(f"{title}, {each}", table.title, "bar", x, y, currency=each) for each in currencies]
