"""Charts of the rows of a query. A chart is made once for its rows, because Altair takes too long for a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pandas as pd

from lending_pipelines.portal.lake.scoped_lake import Result
from lending_pipelines.portal.web.charts import WebChart, web_chart
from lending_pipelines.reports.book import Chart, ReportColumn, ReportTable

_NOTHING = "there are no values"


@dataclass(frozen=True)
class _Drawing:
    """A chart of rows that the ETag identifies."""

    etag: str
    chart: Chart
    columns: tuple[ReportColumn, ...]
    rows: Sequence[Mapping[str, Any]] = field(compare=False)


def figure(result: Result, chart: Chart, columns: Sequence[ReportColumn], rows: Any = None) -> WebChart:
    """The chart of the rows of a query, or of `rows` that were made from them."""
    return _drawn(_Drawing(result.etag, chart, tuple(columns), result.rows if rows is None else rows))


@lru_cache(maxsize=1000)
def _drawn(drawing: _Drawing) -> WebChart:
    names = [column.name for column in drawing.columns]
    frame = pd.DataFrame([[row[name] for name in names] for row in drawing.rows], columns=names, dtype=object)
    return web_chart(drawing.chart, ReportTable(drawing.chart.table, drawing.columns, frame, no_data=_NOTHING))
