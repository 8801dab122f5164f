"""The lake: Delta tables that engines read and write as Parquet.

tables/ and metrics/ define what a table contains; assets/ decide when it is written.
"""

from lending_pipelines.lake.files import LakeError
from lending_pipelines.lake.lake import Lake, TableVersion
from lending_pipelines.lake.store import TableNotMade, Written

__all__ = ["Lake", "LakeError", "TableNotMade", "TableVersion", "Written"]
