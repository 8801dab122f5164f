"""The engines that compute Ibis expressions and write their rows as Parquet: one file per engine."""

from importlib.util import find_spec

from lending_pipelines.lake.engines.duckdb import DuckDBEngine
from lending_pipelines.lake.engines.protocol import Engine, EngineError
from lending_pipelines.settings import Settings

__all__ = ["DuckDBEngine", "Engine", "EngineError", "open_engine"]


def open_engine(settings: Settings, lake_url: str, memory_limit: str) -> Engine:
    """The engine set by LENDING_ENGINE, for the lake at that URL. Raises EngineError when packages are missing."""
    if settings.engine == "duckdb":
        return DuckDBEngine(memory_limit, sql_file=settings.home / "compiled_sql.json")
    if find_spec("pyspark") is None:
        raise EngineError("LENDING_ENGINE spark needs the package pyspark: install lending_pipelines[spark]")
    from lending_pipelines.lake.engines.spark import SparkEngine

    return SparkEngine(lake_url, settings.spark_master, memory_limit)
