"""Places: locations of files by fsspec URL or path, and complete writes to them.

The contents of the files are made elsewhere.
"""

from lending_pipelines.places.files import (
    LINK_DAYS,
    PlacedFile,
    PlaceError,
    Sink,
    hash_in,
    hash_of,
    opened,
    placing,
    placing_in,
    replace_folder,
    signed_link,
)
from lending_pipelines.places.sealed import SealBroken, canonical, sealed, unsealed

__all__ = [
    "LINK_DAYS",
    "PlaceError",
    "PlacedFile",
    "SealBroken",
    "Sink",
    "canonical",
    "hash_in",
    "hash_of",
    "opened",
    "placing",
    "placing_in",
    "replace_folder",
    "sealed",
    "signed_link",
    "unsealed",
]
