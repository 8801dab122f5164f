"""Every report type, generated and written as a workbook, one after another in one process.

There is no alternative to compare with. The target is one minute for all reports at 100,000 loans, with a peak memory
that hardly depends on the number of loans.
"""

import json
import time
from pathlib import Path

from benchmarks import close
from benchmarks.harness import Options, Row, compare
from lending_pipelines.conventions import Conventions
from lending_pipelines.exports.export import export
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.reports.parameters import parse_parameters
from lending_pipelines.reports.registry import get, report_types
from lending_pipelines.resources import LakeReportSource


def all_reports(lake: str, out: str) -> int:
    """Generate all reports and return their number. The seconds of each are written next to them."""
    engine = DuckDBEngine()
    seconds = {}
    for report_type in report_types():
        started = time.monotonic()
        source = LakeReportSource(Lake(lake, engine), Conventions())
        generator = get(report_type)
        book = generator.generate(parse_parameters(report_type, generator.parameters, {}), source)
        export(book, "xlsx", f"{out}/{report_type}")
        seconds[report_type] = round(time.monotonic() - started, 2)
    Path(out, "seconds.json").write_text(json.dumps(seconds, indent=1))
    return len(seconds)


def run(options: Options) -> list[Row]:
    """10,000 and 100,000 loans, with the previous month closed; with `--full` also 1,000,000."""
    rows = []
    for loans in (10_000, 100_000, 1_000_000) if options.full else (10_000, 100_000):
        lake = str(close.make_lake(loans, options.folder))
        for table in close.TABLES:
            close.month(lake, table)
        out = options.folder / f"reports-{loans}"
        out.mkdir(exist_ok=True)
        case, number = f"all reports, {loans:,} loans", len(report_types())
        rows += compare("reports", case, [all_reports], lake, str(out), amount=number, unit="reports", rounds=1)
    return rows
