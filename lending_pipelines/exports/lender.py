"""The lender that a report names on its first page: name and logo."""

from dataclasses import dataclass
from pathlib import Path

from lending_pipelines.exports.error import ExportError

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Lender:
    """The lender's name and logo. An empty name or a missing logo is not printed."""

    name: str = ""
    logo: bytes | None = None

    @classmethod
    def of(cls, name: str, logo_file: str | None) -> "Lender":
        """The lender of the settings. ExportError if the logo's file cannot be read or is neither PNG nor SVG."""
        if logo_file is None:
            return cls(name)
        try:
            lender = cls(name, Path(logo_file).read_bytes())
        except OSError as error:
            raise ExportError(f"LENDING_LOGO is {logo_file!r}: it cannot be read: {error.strerror}") from error
        if not lender.logo_format:
            raise ExportError(f"LENDING_LOGO is {logo_file!r}: it is neither a PNG nor an SVG file")
        return lender

    @property
    def logo_format(self) -> str:
        """`png` or `svg`; empty without a logo, or when it is neither."""
        logo = self.logo or b""
        if logo.startswith(_PNG):
            return "png"
        return "svg" if b"<svg" in logo[:4096] else ""

    def logo_png(self) -> bytes | None:
        """The logo as PNG, which a workbook can hold; None without one."""
        if self.logo is None or self.logo_format == "png":
            return self.logo
        import vl_convert

        return bytes(vl_convert.svg_to_png(self.logo.decode("utf-8"), scale=2))


UNNAMED = Lender()
"""The lender if nothing is set: no name, no logo."""
