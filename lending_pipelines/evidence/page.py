"""The certificate of a day as files for people: JSON as it was signed, and a PDF of one page.

This module defines the content, certificate.typ the layout. Texts are passed to the template as JSON, never as markup.
"""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from lending_pipelines.evidence.chain import Certificate, certificates
from lending_pipelines.evidence.inventory import EvidenceError, Places
from lending_pipelines.evidence.roll_forward import LINES
from lending_pipelines.places import canonical

_TEMPLATE = resources.files("lending_pipelines.evidence").joinpath("certificate.typ")
_FAILED_SHOWN = 6
_BREAKS_SHOWN = 6
_MESSAGE_LETTERS = 160


def certificate_of(places: Places, day: date) -> Certificate:
    """The latest certificate of a day. Raises EvidenceError when it has none."""
    found = certificates(places.lake, day)
    if not found:
        raise EvidenceError(f"{day} has no certificate: close it with `lending close --date {day} --force`")
    return found[-1]


def write_certificate(places: Places, day: date, folder: Path) -> list[Path]:
    """Write the latest certificate of a day as JSON and as PDF into a folder.

    Returns:
        The two files.

    Raises:
        EvidenceError: The day has no certificate, or a file cannot be written.
    """
    found = certificate_of(places, day)
    stem = folder / f"certificate_{day}_{found.sequence}"
    contents = {stem.with_suffix(".json"): as_json(found), stem.with_suffix(".pdf"): as_pdf(found)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            file.write_bytes(content)
    except OSError as error:
        raise EvidenceError(f"the certificate cannot be written: {error}") from error
    return list(contents)


def as_json(certificate: Certificate) -> bytes:
    """The statement with its hash and signature. The text in `statement` is exactly what was hashed and signed."""
    return canonical(
        {
            "statement": certificate.statement,
            "sha256": certificate.sha256,
            "signature": certificate.signature,
            "signed_by": certificate.signed_by,
        }
    )


def as_pdf(certificate: Certificate) -> bytes:
    """One page with what an auditor needs first."""
    import typst

    said = {"document": json.dumps(_document(certificate), ensure_ascii=False)}
    template = _TEMPLATE.read_bytes()
    try:
        return typst.compile(template, format="pdf", sys_inputs=said, pdf_standards="a-2a", ignore_system_fonts=True)
    except typst.TypstError:
        # PDF/A needs a font for every character. If the embedded fonts lack one, use the fonts of this machine, without
        # PDF/A.
        return typst.compile(template, format="pdf", sys_inputs=said)


def _document(certificate: Certificate) -> dict[str, Any]:
    said = certificate.content
    failed, program = said["checks"]["failed"], said["program"]
    breaks = [row for row in said["tieouts"] if Decimal(row["difference"])]
    return {
        "lender": said["lender"],
        "day": said["business_date"],
        "facts": [
            ["Certificate", f"{certificate.sequence:,}"],
            ["Made at", said["made_at"]],
            ["Run", f"{said['run']['id']}, {' to '.join(dict.fromkeys(said['run']['days']))}"],
            ["Source", f"{said['source']['name']}, {_watermark(said['source']['tables'])}"],
            [
                "Program",
                f"lending_pipelines {said['program']['lending_pipelines']}, Python {said['program']['python']}",
            ],
            ["Lock file", program["lock_sha256"] or "none"],
        ],
        "roll_forward": _roll_forward(said["roll_forward"]),
        "previous_day": said["previous_day"] or "the beginning",
        "tables": [
            [name, f"{table['delta_version']:,}", f"{table['rows']:,}", f"{len(table['files']):,}"]
            for name, table in sorted(said["tables"].items())
        ],
        "tieouts": f"{len(said['tieouts']) - len(breaks)} of {len(said['tieouts'])} control accounts tie."
        if said["tieouts"]
        else "No control account is compared.",
        "breaks": [
            f"{row['control_for']}: {_amount(row['difference'])} {row['currency']}" for row in breaks[:_BREAKS_SHOWN]
        ]
        + _more(len(breaks), _BREAKS_SHOWN),
        "checks": f"{len(said['checks']['passed'])} checks passed, {len(failed)} failed.",
        "failed": [f"{name}: {_cut(message)}" for name, message in list(failed.items())[:_FAILED_SHOWN]]
        + _more(len(failed), _FAILED_SHOWN),
        "conventions": ", ".join(f"{name} {value}" for name, value in said["conventions"].items()),
        "proof": [
            ["SHA-256", certificate.sha256],
            ["Certificate before", said["previous_sha256"] or "none: this is the first"],
            ["Signature", certificate.signature or "none"],
            ["Signed by", certificate.signed_by or "nobody"],
        ],
    }


def _roll_forward(moved: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """A header with the currencies, and a line for each movement."""
    lines = [
        [name.replace("_", " ").capitalize(), *(_amount(amounts[name]) for amounts in moved.values())] for name in LINES
    ]
    return [["", *moved], *lines]


def _watermark(tables: Mapping[str, Mapping[str, Any]]) -> str:
    latest = max((each["watermark"] for each in tables.values() if each["watermark"]), default=None)
    return f"with rows up to {latest}" if latest else "without timestamps"


def _amount(text: str) -> str:
    return f"{Decimal(text):,.2f}"


def _cut(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= _MESSAGE_LETTERS else f"{text[:_MESSAGE_LETTERS]}…"


def _more(found: int, shown: int) -> list[str]:
    return [f"and {found - shown:,} more"] if found > shown else []
