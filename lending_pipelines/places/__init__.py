"""Places: where a file is put, by its fsspec URL or path, and how it gets there whole.

What is in the files, and who asked for them, is known elsewhere.
"""

from lending_pipelines.places.files import (
    PlacedFile,
    PlaceError,
    Sink,
    hash_in,
    hash_of,
    hide_password,
    opened,
    placing,
    placing_in,
    replace_folder,
)

__all__ = [
    "PlaceError",
    "PlacedFile",
    "Sink",
    "hash_in",
    "hash_of",
    "hide_password",
    "opened",
    "placing",
    "placing_in",
    "replace_folder",
]
