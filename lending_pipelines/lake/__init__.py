"""The lake: Delta tables that engines read and write as Parquet.

What a table contains is decided in tables/ and metrics/; when it is written, in assets/.
"""

from lending_pipelines.lake.files import LakeError
from lending_pipelines.lake.lake import Lake, TableNotMade, TableVersion, Written

__all__ = ["Lake", "LakeError", "TableNotMade", "TableVersion", "Written"]
