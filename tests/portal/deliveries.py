"""Deliveries of the tapes of a home, and the files that they sent."""

from datetime import date
from pathlib import Path

from homes import Home


def file_of(home: Home, slug: str, day: date) -> Path:
    """The file of a tape's day."""
    (file,) = (
        each for each in (home.folder / "exports" / "tapes" / slug / str(day)).iterdir() if each.suffix != ".json"
    )
    return file


def deliver(home: Home, config_id: str, day: date, sha256: str, rows: int) -> None:
    """Record that a tape's day was delivered."""
    from lending_pipelines.register import TapeDeliveries
    from lending_pipelines.register.models import LoanTapeConfig

    with home.register() as session:
        config = session.get(LoanTapeConfig, config_id)
        config.delivery_url, config.recipient_email = "sftp://bank@files.example.com/in", "fund@example.com"
        deliveries = TapeDeliveries(session)
        deliveries.open(config, day)
        for each in deliveries.claim(config_id, day, "run"):
            deliveries.send(each.delivery_id, sha256, rows)
            deliveries.complete(each.delivery_id)
            # As an earlier release recorded it.
            each.destination = each.destination.replace("bank@", "bank:secret@")
