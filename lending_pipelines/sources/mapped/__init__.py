"""The source `mapped`: a lender's own tables or files, and a TOML file that says which column is which."""

from lending_pipelines.sources.mapped.adapter import MappedSource as Adapter

__all__ = ["Adapter"]
