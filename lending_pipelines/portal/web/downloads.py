"""Downloads of files under the exports: checked against the recorded SHA-256, limited in number, and recorded."""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from urllib.parse import quote

import fsspec
from fastapi.responses import Response, StreamingResponse

from lending_pipelines.places import PlaceError
from lending_pipelines.portal.access import Access
from lending_pipelines.portal.web.problems import Problem

_CHUNK = 1 << 20
_IN_MEMORY = 8 << 20
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
}


class FileChanged(Problem):
    """A file is gone, is not under the exports, or is not the one that was recorded. It is not sent."""

    def __init__(self, detail: str) -> None:
        super().__init__(409, detail)


def download(access: Access, url: str, sha256: str, *, resource: str, rows: int | None = None) -> Response:
    """The answer with a file under the exports.

    Args:
        access: Who downloads it.
        url: The recorded place of the file.
        sha256: Its recorded SHA-256.
        resource: What it is, for the audit log.
        rows: The number of its rows, for the audit log.

    Raises:
        FileChanged: The file is not under the exports, cannot be read, or has another SHA-256.
        Denied: The role does not allow downloads.
        TooOften: The person has downloaded too many files.
    """
    access.count_export()
    try:
        content = _checked(url, access.portal.settings.exports_url, sha256)
    except FileChanged as error:
        access.audit("failed", resource=resource, reason=str(error), sha256=sha256)
        raise
    access.audit("allowed", resource=resource, rows=rows, sha256=sha256)
    name = PurePosixPath(url).name
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}", "X-Content-SHA256": sha256}
    kind = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    return StreamingResponse(_chunks(content), headers=headers, media_type=kind)


def _checked(url: str, exports_url: str, sha256: str) -> "SpooledTemporaryFile[bytes]":
    """A copy of the file, whose hash is that of what will be sent, even if the file changes meanwhile."""
    root = exports_url.rstrip("/") + "/"
    if not url.startswith(root) or ".." in PurePosixPath(url.removeprefix(root)).parts:
        raise FileChanged("the file is not in the folder of exports")
    digest = hashlib.sha256()
    copy: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - it is returned
    try:
        with fsspec.open(url, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
    except (OSError, ValueError, PlaceError) as error:
        copy.close()
        raise FileChanged("the file cannot be read: it may have been moved or removed") from error
    if digest.hexdigest() != sha256:
        copy.close()
        raise FileChanged("the file is not the one that was made: its SHA-256 differs from the recorded one")
    copy.seek(0)
    return copy


def _chunks(content: "SpooledTemporaryFile[bytes]") -> Iterator[bytes]:
    with content:
        while chunk := content.read(_CHUNK):
            yield chunk
