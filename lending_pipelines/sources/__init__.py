"""Servicing data: one folder per servicing system, and the sync that copies its tables into the lake.

An adapter converts a system's data to the servicing tables. It contains no definitions of numbers; those are in
metrics/. To add a servicing system, add a folder whose package has an `Adapter` (see protocol.py).
"""

from lending_pipelines.sources.protocol import Reader, Source, SourceError
from lending_pipelines.sources.registry import open_source, source_names
from lending_pipelines.sources.results import Preview, SyncError, SyncResult
from lending_pipelines.sources.sync import OVERLAP, preview_reload, sync_tables

__all__ = [
    "OVERLAP",
    "Preview",
    "Reader",
    "Source",
    "SourceError",
    "SyncError",
    "SyncResult",
    "open_source",
    "preview_reload",
    "source_names",
    "sync_tables",
]
