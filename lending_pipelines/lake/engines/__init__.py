"""The engines that compute Ibis expressions and write their rows as Parquet: one file an engine."""

from lending_pipelines.lake.engines.duckdb import DuckDBEngine
from lending_pipelines.lake.engines.protocol import Engine

__all__ = ["DuckDBEngine", "Engine"]
