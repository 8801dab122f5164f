"""The source `canonical`: a database that has the servicing tables as they are written in the contract."""

from lending_pipelines.sources.canonical.database import CanonicalDatabase as Adapter

__all__ = ["Adapter"]
