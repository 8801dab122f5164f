"""The format of a lake: a number in a file at its root. A program refuses a lake of a later format than its own.

Add 1 to FORMAT with a change of table schemas that an earlier program would misread. Lakes of releases without this
file have format 1.
"""

import fsspec

from lending_pipelines import __version__
from lending_pipelines.lake.files import LakeError
from lending_pipelines.places import placing, sealed, unsealed

FORMAT = 1
"""The format that this program writes."""

FILE = "_lake.json"


def lake_format(url: str) -> int | None:
    """The format of the lake at the URL; None for a lake without the file. Raises SealBroken when it is damaged."""
    filesystem, root = fsspec.url_to_fs(url, use_listings_cache=False)
    try:
        content = filesystem.cat_file(f"{root}/{FILE}")
    except FileNotFoundError:
        return None
    return int(unsealed(content, f"{url}/{FILE}")["format"])


def require_known_format(url: str) -> None:
    """Raises LakeError when a later version of this program has written the lake."""
    found = lake_format(url)
    if found is not None and found > FORMAT:
        raise LakeError(
            f"the lake {url} has format {found}, and lending_pipelines {__version__} knows formats up to {FORMAT}:"
            " install the version that wrote the lake, or a later one"
        )


def stamp_format(url: str) -> None:
    """Write this program's format to the lake, unless the lake has it already."""
    if lake_format(url) != FORMAT:
        with placing(f"{url}/{FILE}") as file:
            file.write(sealed({"format": FORMAT, "written_by": f"lending_pipelines {__version__}"}))
