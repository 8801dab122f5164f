"""Where servicing data comes from: one folder per servicing system, and the sync that brings its tables into the lake.

An adapter translates a system into the servicing tables and nothing more; what the numbers mean is decided in metrics/.
To add a servicing system, add a folder here whose package has an `Adapter` (protocol.py says what that is).
"""

from lending_pipelines.sources.protocol import Reader, Source, SourceError
from lending_pipelines.sources.registry import open_source, source_names
from lending_pipelines.sources.sync import OVERLAP, SyncError, SyncResult, preview_reload, sync_tables

__all__ = [
    "OVERLAP",
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
