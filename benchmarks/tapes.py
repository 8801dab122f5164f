"""The tape of a whole book from its lake: seconds and peak memory, compared with other tools that write the same query.

Memory is constant if a tape of several times as many loans hardly needs more. A correction is compared with the tape
that it supersedes, by the asset's code and by pandas. exports.py measures writing only.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import ibis
from openpyxl import Workbook

from benchmarks.harness import Options, Row, compare
from benchmarks.sample_data import DAY, make_data
from lending_pipelines.assets.tape_files import write_tape
from lending_pipelines.conventions import Conventions
from lending_pipelines.exports.reading import read_batches
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics import positions
from lending_pipelines.resources import LakeReportSource
from lending_pipelines.tapes import TABLES_READ, Comparison, TapeSpec, tape_loans, tape_rows
from lending_pipelines.tapes.parts import POSITIONS

MEMORY, LITTLE = "6GB", "1GB"
BOOK = "book"
SCHEDULE_AL = {
    "template": "sec_schedule_al_auto_loans",
    "template_values": {"primaryLoanServicerName": "Bank", "originatorName": "Bank"},
}

Difference = list[int]
"""The numbers of added, removed and changed loans."""


def csv(lake: str, out: str, memory: str) -> int:
    """This project: the default fields."""
    return _write(lake, out, memory, TapeSpec(name="csv", portfolio_id=BOOK))


def parquet(lake: str, out: str, memory: str) -> int:
    """This project: the default fields."""
    return _write(lake, out, memory, TapeSpec(name="parquet", portfolio_id=BOOK, tape_format="parquet"))


def xlsx(lake: str, out: str, memory: str) -> int:
    """This project: the default fields."""
    return _write(lake, out, memory, TapeSpec(name="xlsx", portfolio_id=BOOK, tape_format="xlsx"))


def schedule_al(lake: str, out: str, memory: str) -> int:
    """This project: the SEC's template for auto loans as XML, from nine tables and every installment."""
    return _write(lake, out, memory, _schedule_al())


def duckdb_csv(lake: str, out: str, memory: str) -> int:
    """DuckDB's COPY of the same query."""
    return _copy(lake, memory, TapeSpec(name="csv", portfolio_id=BOOK), f"{out}/duckdb.csv", "format csv, header")


def duckdb_parquet(lake: str, out: str, memory: str) -> int:
    """DuckDB's COPY of the same query with the same compression."""
    how = "format parquet, compression zstd"
    return _copy(lake, memory, TapeSpec(name="parquet", portfolio_id=BOOK), f"{out}/duckdb.parquet", how)


def duckdb_schedule_al(lake: str, out: str, memory: str) -> int:
    """DuckDB's COPY of the same query as CSV, because it cannot write XML."""
    return _copy(lake, memory, _schedule_al(), f"{out}/duckdb_schedule_al.csv", "format csv, header")


def pandas_csv(lake: str, out: str, memory: str) -> int:
    """The same query in pandas, written with to_csv."""
    frame = _query(lake, memory, TapeSpec(name="csv", portfolio_id=BOOK)).to_arrow_table().to_pandas()
    frame.to_csv(f"{out}/pandas.csv", index=False)
    return len(frame)


def openpyxl_write_only(lake: str, out: str, memory: str) -> int:
    """The same query with openpyxl in its fastest mode, without formats."""
    query = _query(lake, memory, TapeSpec(name="xlsx", portfolio_id=BOOK))
    workbook = Workbook(write_only=True)
    worksheet = workbook.create_sheet("Tape")
    worksheet.append(query.columns)
    rows = 0
    for batch in query.to_arrow_reader(65_536):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            worksheet.append(row)
        rows += batch.num_rows
    workbook.save(f"{out}/openpyxl.xlsx")
    return rows


def correction(before: str, after: str) -> Difference:
    """This project: the list of changes between two tapes."""
    spec = TapeSpec(name="csv", portfolio_id=BOOK)
    types = {column.name: column.type for column in spec.columns}
    comparison = Comparison(types, spec.key, types, spec.key)
    for _ in comparison.rows(*(read_batches(path, "csv", list(types)) for path in (before, after))):
        pass
    found = comparison.summary("changes.csv", "")
    return [found.loans_added, found.loans_removed, found.loans_changed]


def pandas_merge(before: str, after: str) -> Difference:
    """pandas: both tapes read as text, merged by loan and compared."""
    import pandas as pd

    old, new = (pd.read_csv(path, dtype=str).set_index("loan_id") for path in (before, after))
    both = new.index.intersection(old.index)
    was, now = old.loc[both], new.loc[both]
    changed = ((was != now) & ~(was.isna() & now.isna())).any(axis=1)
    return [len(new.index.difference(old.index)), len(old.index.difference(new.index)), int(changed.sum())]


def run(options: Options) -> list[Row]:
    """100,000 loans; with `--full` 250,000, 500,000 and 1,000,000."""
    found: list[Row] = []
    for loans in (250_000, 500_000, 1_000_000) if options.full else (100_000,):
        lake, out = str(make_lake(loans, options.folder)), options.folder / f"tapes-{loans}-out"
        out.mkdir(exist_ok=True)
        work: dict[str, Any] = {"amount": loans, "unit": "loans", "rounds": 1}
        for contenders in (
            [csv, duckdb_csv, pandas_csv],
            [parquet, duckdb_parquet],
            [xlsx, openpyxl_write_only],
            [schedule_al, duckdb_schedule_al],
        ):
            case = f"{contenders[0].__name__}, {loans:,} loans"
            found += compare("tapes", case, contenders, lake, str(out), MEMORY, **work)
        _same(f"{out}/csv.csv", f"{out}/duckdb.csv")
        for contender in (csv, schedule_al):
            case = f"{contender.__name__}, {loans:,} loans, {LITTLE}"
            found += compare("tapes", case, [contender], lake, str(out), LITTLE, **work)
        tapes = _superseded(f"{out}/csv.csv"), f"{out}/csv.csv"
        found += compare("tapes", f"correction, {loans:,} loans", [correction, pandas_merge], *tapes, **work)
    return found


def make_lake(loans: int, folder: Path) -> Path:
    """A lake of the generated lender in one portfolio, with DAY and the previous month end closed; created once."""
    path = folder / f"tapes-{loans}"
    if path.exists():
        return path
    data = make_data(loans, folder)
    building = path.with_name(f"{path.name}.filling")
    lake = Lake(str(building), DuckDBEngine())
    for name in dict.fromkeys((*positions.SOURCES, *TABLES_READ)):
        if name != POSITIONS:
            rows = lake.engine.read_parquet([f"{data}/{name}/*.parquet"])
            whole = {"portfolio_id": ibis.literal(BOOK)} if name == "portfolio_membership" else {}
            lake.replace(name, rows.mutate(**whole))
    for day in (DAY.replace(day=1) - timedelta(days=1), DAY):
        lake.replace_days(POSITIONS, positions.loan_positions(lake.table, day, day, Conventions()), day, day)
    return building.rename(path)


def _schedule_al() -> TapeSpec:
    return TapeSpec.model_validate(
        {"name": "schedule_al", "portfolio_id": BOOK, "tape_format": "xml", "allow_pii": True, **SCHEDULE_AL}
    )


def _source(lake: str, memory: str) -> LakeReportSource:
    return LakeReportSource(Lake(lake, DuckDBEngine(memory)), Conventions())


def _write(lake: str, out: str, memory: str, spec: TapeSpec) -> int:
    return write_tape(spec, DAY, _source(lake, memory), f"{out}/{spec.name}")[0].rows


def _query(lake: str, memory: str, spec: TapeSpec) -> Any:
    """The tape's rows as a DuckDB query."""
    held = Lake(lake, DuckDBEngine(memory))
    backend = held.engine.backend
    return backend.con.sql(backend.compile(tape_rows(spec, tape_loans(spec, held.table, DAY))))


def _copy(lake: str, memory: str, spec: TapeSpec, target: str, how: str) -> int:
    held = Lake(lake, DuckDBEngine(memory))
    backend = held.engine.backend
    query = backend.compile(tape_rows(spec, tape_loans(spec, held.table, DAY)))
    backend.con.execute(f"copy ({query}) to '{target}' ({how})")
    return backend.con.fetchall()[0][0]


def _superseded(tape: str) -> str:
    """The tape before its correction: 0.1 % of loans added, 0.1 % removed, 1 % of balances changed."""
    path = tape.replace(".csv", "_before.csv")
    balance = "if(hash(loan_id) % 100 = 3, '1.00', principal_outstanding) as principal_outstanding"
    query = f"select * replace ({balance}) from read_csv('{tape}', all_varchar = true) where hash(loan_id) % 1000 <> 1"
    further = "select * replace (loan_id || '+' as loan_id) from read_csv('{}', all_varchar = true) where {}"
    more = further.format(tape, "hash(loan_id) % 1000 = 2")
    duckdb.execute(f"copy (from ({query} union all {more}) order by loan_id) to '{path}' (format csv, header)")
    return path


def _same(ours: str, theirs: str) -> None:
    """Stop if two files have different rows, because the comparison is then invalid."""

    def checksum(file: str) -> Any:
        return duckdb.execute(f"select count(*), sum(hash(row)) from '{file}' as row").fetchall()

    if checksum(ours) != checksum(theirs):
        sys.exit(f"{ours} and {theirs} hold different rows")
