"""The source `fineract`: a tenant database of Apache Fineract (Mifos), read from PostgreSQL, MariaDB or MySQL."""

from lending_pipelines.sources.fineract.adapter import Fineract as Adapter

__all__ = ["Adapter"]
