"""The files that a browser loads once: styles, scripts, icons, and the chart library.

Each has a URL with a hash of its content, so browsers cache it for good. The parts of the style sheet are joined into
one file here; there is no build step. The chart library is Vega-Embed with Vega and Vega-Lite as vl-convert bundles
them. What pages show is in templates/.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version as installed
from pathlib import Path

from fastapi import Response

FOLDER = Path(__file__).parents[1] / "static"

STYLES = ("tokens", "base", "shell", "parts", "overlays", "tables", "forms", "charts", "pages", "print")
"""The parts of portal.css in their order, each a file in static/styles."""

CHARTS = "charts.js"
"""The name of the chart library."""

_SNIPPET = "window.vegaEmbed = vegaEmbed;"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """A file of the portal: its name, the hash in its URL, and how it is sent."""

    name: str
    version: str

    @cached_property
    def content(self) -> bytes:
        """The file's bytes. The first use of the chart library takes about two seconds."""
        if self.name == CHARTS:
            import vl_convert

            return vl_convert.javascript_bundle(_SNIPPET).encode()
        return _read(self.name)

    @cached_property
    def compressed(self) -> bytes:
        """The bytes compressed with gzip, once per process."""
        return gzip.compress(self.content, 9, mtime=0)

    @property
    def media_type(self) -> str:
        """The content type with its charset."""
        return _MEDIA_TYPES[Path(self.name).suffix]


@cache
def static_files() -> dict[str, StaticFile]:
    """All files by name."""
    names = ["portal.css", *(path.name for path in FOLDER.iterdir() if path.suffix in _MEDIA_TYPES)]
    files = {name: StaticFile(name, hashlib.sha256(_read(name)).hexdigest()[:12]) for name in names}
    # Hash what the bundle is made from, because building the bundle takes seconds.
    of_library = hashlib.sha256((installed("vl-convert-python") + _SNIPPET).encode()).hexdigest()[:12]
    return files | {CHARTS: StaticFile(CHARTS, of_library)}


def static_path(name: str) -> str:
    """The path of a file below the portal's root: `/static/4f0c…/portal.css`. KeyError for an unknown name."""
    return f"/static/{static_files()[name].version}/{name}"


def static_response(version: str, name: str, accept_encoding: str) -> Response | None:
    """A file, compressed if the browser accepts it; None for an unknown name.

    Another version's URL, from a page made before an upgrade, gets the current file, which the browser revalidates.
    """
    found = static_files().get(name)
    if found is None:
        return None
    headers = {"Cache-Control": _FOR_GOOD if version == found.version else "no-cache", "Vary": "Accept-Encoding"}
    if "gzip" not in accept_encoding:
        return Response(found.content, media_type=found.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(found.compressed, media_type=found.media_type, headers=headers)


def _read(name: str) -> bytes:
    if name == "portal.css":
        return b"\n".join((FOLDER / "styles" / f"{part}.css").read_bytes() for part in STYLES)
    return (FOLDER / name).read_bytes()
