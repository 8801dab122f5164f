"""The evidence of a closed day in one archive, to be checked on another machine without this package.

The archive has the certificate as JSON and PDF, the complete chain, the Parquet files with the day's rows, the
definitions, the public key, and check.py, which checks all of it.
"""

from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from lending_pipelines.evidence.chain import Certificate, certificates
from lending_pipelines.evidence.inventory import EvidenceError, Places
from lending_pipelines.evidence.keys import public_pem
from lending_pipelines.evidence.page import as_json, as_pdf, certificate_of
from lending_pipelines.evidence.program import shipped

DEFINITIONS = "docs/definitions.md"


@dataclass(frozen=True)
class Packed:
    """What was packed: the certificate's place in the chain, the number of Parquet files, and their bytes."""

    sequence: int
    files: int
    bytes: int


def pack(places: Places, day: date, file: Path) -> Packed:
    """Write the archive of a day.

    Args:
        places: The home.
        day: The closed day.
        file: The archive; an existing one is replaced when the new one is complete.

    Returns:
        What is in it.

    Raises:
        EvidenceError: The day has no certificate, a certified file is gone, or the archive cannot be written.
    """
    certificate = certificate_of(places, day)
    paths = sorted({path for table in certificate.content["tables"].values() for path in table["files"]})
    partial = file.with_name(f".{file.name}.part")
    try:
        with ZipFile(partial, "w", ZIP_DEFLATED) as archive:
            for name, content in _documents(places, certificate).items():
                archive.writestr(name, content)
            size = sum(_add(archive, places, path) for path in paths)
        partial.replace(file)
    except OSError as error:
        raise EvidenceError(f"the evidence of {day} cannot be packed: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return Packed(certificate.sequence, len(paths), size)


def _documents(places: Places, certificate: Certificate) -> dict[str, bytes]:
    """The archive's files other than the data, by name."""
    chain = b"".join(as_json(each) + b"\n" for each in certificates(places.lake))
    documents = {
        "certificate.json": as_json(certificate),
        "certificate.pdf": as_pdf(certificate),
        "chain.jsonl": chain,
        "check.py": resources.files("lending_pipelines.evidence").joinpath("check.py").read_bytes(),
    }
    if definitions := shipped(DEFINITIONS):
        documents["definitions.md"] = definitions
    if certificate.signed_by:
        documents["public_key.pem"] = public_pem(certificate.signed_by)
    return documents


def _add(archive: ZipFile, places: Places, path: str) -> int:
    """Add a certified file under `data/`. Returns its size."""
    filesystem, file = places.opened(path)
    if not filesystem.exists(file):
        raise EvidenceError(
            f"{path} is gone: housekeeping removes the files of earlier versions, and of thinned days; `lending verify`"
            " finds other causes"
        )
    content = filesystem.cat_file(file)
    archive.writestr(f"data/{path}", content)
    return len(content)
