"""Mappings of a lender's tables for tests, and how a servicing table is read by one."""

from pathlib import Path

import pyarrow as pa
import pytest

from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.tables import SERVICING

PROGRAMS = """
from = "exports"

[tables.programs]
from = "{file}"
[tables.programs.columns]
program_id = "Code"
name = "Name"
"""


PAYMENTS = """
from = "exports"
[[tables.transactions]]
from = "payments.csv"
decimal_comma = true
where = {{ Kind = ["P", "X"] }}
[tables.transactions.columns]
transaction_id = "No"
loan_id = {{ coalesce = ["Loan", "Old loan"], default = "none" }}
type = {{ column = "Kind", codes = {{ P = "repayment"{more} }} }}
effective_on = {{ column = "Day", date = ["%d.%m.%Y", "%d.%m.%y"] }}
posted_at = {{ column = "Day", date = ["%d.%m.%Y", "%d.%m.%y"] }}
amount = {{ sum = ["Capital", "Interest"] }}
principal = {{ column = "Capital", default = 0 }}
interest = {{ column = "Interest", default = 0 }}
fees = {{ constant = 0 }}
"""

CSV = """No;Loan;Old loan;Kind;Day;Capital;Interest
1;L1;;P;31.01.2025;1.000,50;2,25
2;;A7;P;01.02.25;;3
3;;;X;02.02.2025;1;
4;L1;;C;03.02.2025;1;1
"""


def read(tmp_path: Path, mapping: str, table: str) -> list[dict]:
    file = tmp_path / "mapping.toml"
    file.write_text(mapping, encoding="utf-8")
    with open_source("mapped", str(file)).snapshot() as reader:
        return pa.Table.from_batches(reader.read(SERVICING[table]), SERVICING[table].arrow_schema).to_pylist()


def refusal(tmp_path: Path, mapping: str, table: str = "programs") -> str:
    with pytest.raises(SourceError) as error:
        read(tmp_path, mapping, table)
    return str(error.value)
