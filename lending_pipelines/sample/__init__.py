"""A generated lender: every servicing table from a seed, with a ledger that ties out to the loans.

`generate` returns a stream of tables; `fill_database` and `fill_parquet` write it. Nothing here reads data.
"""

from lending_pipelines.sample.database import fill_database
from lending_pipelines.sample.lender import officers_in_trouble
from lending_pipelines.sample.parquet import fill_parquet
from lending_pipelines.sample.spec import SampleError, SampleSpec
from lending_pipelines.sample.stream import generate

__all__ = ["SampleError", "SampleSpec", "fill_database", "fill_parquet", "generate", "officers_in_trouble"]
