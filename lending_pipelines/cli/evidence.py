"""The commands on certificates of closes: `lending verify`, `certificate`, `export-evidence` and `signing-key`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lending_pipelines.cli import arguments
from lending_pipelines.cli.terminal import opened_lake
from lending_pipelines.settings import Settings

if TYPE_CHECKING:
    from lending_pipelines.evidence import Places, Verdict

Day = Annotated[
    datetime, typer.Option("--date", parser=arguments.day, metavar=arguments.DAY, help="The closed business date.")
]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--public-key",
        help="A public key that may have signed, in hexadecimal or as a PEM file. May be repeated. Default: that of"
        " LENDING_SIGNING_KEY.",
    ),
]


def verify(
    first: Annotated[
        datetime | None,
        typer.Option("--from", parser=arguments.day, metavar=arguments.DAY, help="First business date."),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", parser=arguments.day, metavar=arguments.DAY, help="Last business date.")
    ] = None,
    public_key: Keys = None,
) -> None:
    """Read all certified files and rows again, and print every difference from the certificates.

    Exit status: 0 if there is none, 1 otherwise.
    """
    from lending_pipelines import evidence

    with opened_home() as places:
        verdict = evidence.verify(
            places, first.date() if first else None, last.date() if last else None, _trusted(public_key)
        )
    for line in verdict.findings:
        typer.echo(f"  {line}")
    for line in verdict.notes:
        typer.echo(f"  note: {line}")
    typer.echo(_summary(verdict))
    raise typer.Exit(1 if verdict.findings else 0)


def certificate(
    day: Day,
    to: Annotated[Path, typer.Option(help="The folder for the two files; created if needed.")] = Path("."),
) -> None:
    """Write the certificate of a closed day as JSON and as a PDF of one page."""
    from lending_pipelines.evidence.page import write_certificate

    with opened_home() as places:
        for file in write_certificate(places, day.date(), to):
            typer.echo(str(file))


def export_evidence(
    day: Day,
    to: Annotated[
        Path | None, typer.Option(help="The archive to write. Default: evidence_DATE.zip in the current folder.")
    ] = None,
) -> None:
    """Pack what an auditor needs to check a closed day on another machine, with a script that checks it."""
    from lending_pipelines.evidence.pack import pack

    file = to or Path(f"evidence_{day.date()}.zip")
    with opened_home() as places:
        packed = pack(places, day.date(), file)
    typer.echo(
        f"{file}: certificate {packed.sequence} of {day.date()}, {packed.files} Parquet files, {packed.bytes:,} bytes"
    )
    typer.echo("Unpack it, and run `python check.py` in its folder; it needs the packages pyarrow and cryptography.")


def signing_key(
    file: Annotated[Path, typer.Argument(help="The PEM file to write; readable by its owner only.")],
) -> None:
    """Make the key that signs certificates. Set LENDING_SIGNING_KEY to the file, and give auditors the public key."""
    from lending_pipelines.evidence.keys import make_key, public_pem

    key = make_key(file)
    typer.echo(f"Private key: {file}. Keep it secret, and set LENDING_SIGNING_KEY={file.absolute()}")
    typer.echo(f"Public key: {key.public}")
    typer.echo(public_pem(key.public).decode(), nl=False)


COMMANDS = (verify, certificate, export_evidence, signing_key)


@contextmanager
def opened_home(upgrade: bool = True) -> "Iterator[Places]":
    """The data of the home. With `upgrade`, the register is first migrated to this version."""
    from lending_pipelines.evidence import Places
    from lending_pipelines.register import COMMAND_PATIENCE, Register

    settings = Settings.from_environment()
    register = Register(settings.register_url, COMMAND_PATIENCE)
    try:
        if upgrade:
            register.upgrade()
        with opened_lake() as lake:
            yield Places(lake, register, settings.exports_url.rstrip("/"))
    finally:
        register.dispose()


def _trusted(given: list[str] | None) -> list[str]:
    """The public keys that may have signed: those given, or that of the configured key."""
    from lending_pipelines.evidence.keys import SigningKey, public_key

    if given:
        return [public_key(each) for each in given]
    key = SigningKey.of(Settings.from_environment().signing_key)
    return [key.public] if key else []


def _summary(verdict: "Verdict") -> str:
    found = len(verdict.findings)
    said = f"{found:,} difference{'s' * (found != 1)}" if found else "No differences"
    read = (
        f"{verdict.certificates:,} certificates ({verdict.signed:,} signed), {verdict.files:,} files"
        f" ({verdict.bytes / 1e6:,.1f} MB) and {verdict.rows:,} rows of the register"
    )
    return f"{said}: {read} verified."
