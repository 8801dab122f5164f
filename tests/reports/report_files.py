"""The files of a report in every format, and what each must hold."""

import json
from pathlib import Path
from typing import get_args

from lending_pipelines.exports.export import WITH_FIRST_PAGE, export
from lending_pipelines.register.models import OutputFormat


def written(book, folder):
    """Write the book in every format; what its JSON says."""
    for output_format in get_args(OutputFormat):
        file = export(book, output_format, str(folder / book.report_type))
        assert Path(file.url).stat().st_size == file.bytes > 100
        tables = book.tables if output_format in WITH_FIRST_PAGE else book.for_programs().tables
        printed = [len(table.frame) if table.printed_rows is None else table.printed_rows for table in tables]
        most = printed if output_format == "pdf" else [len(table.frame) for table in tables]
        assert file.rows == sum(min(len(table.frame), rows) for table, rows in zip(tables, most, strict=True))
    found = json.loads((folder / f"{book.report_type}.json").read_text(encoding="utf-8"))
    for table in found["tables"]:
        assert bool(table["no_data"]) != bool(table["rows"]), table["title"]
    assert (found["no_data"] is None) == any(table["rows"] for table in found["tables"])
    return found
