"""The source `canonical`: a database that has the servicing tables under their own names and columns."""

from lending_pipelines.sources.canonical.database import CanonicalDatabase as Adapter

__all__ = ["Adapter"]
