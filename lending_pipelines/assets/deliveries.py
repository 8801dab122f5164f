"""Delivers tapes. This is an op and not an asset, because a delivered tape cannot be materialized again.

delivery/ sends files; register/ records deliveries. Before a tape is sent, its blocking checks are evaluated again.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg
from pydantic import Field

from lending_pipelines.assets.reports import ChecksFailed, require_checks
from lending_pipelines.assets.tape_days import OutdatedDay, require_current
from lending_pipelines.assets.tape_files import EmptyTape, made_tape, make_tape, require_loans
from lending_pipelines.bounds import day_from
from lending_pipelines.delivery import (
    DeliveryError,
    EmailChannel,
    Parcel,
    ParcelFile,
    PlaceChannel,
    UncertainDelivery,
)
from lending_pipelines.delivery.parcel import Channel
from lending_pipelines.places import hash_of
from lending_pipelines.register import Register, TapeConfigs, TapeDeliveries
from lending_pipelines.register.models import LoanTapeConfig, TapeDelivery
from lending_pipelines.resources import (
    ConventionsResource,
    ExportsResource,
    LakeReportSource,
    LakeResource,
    MailResource,
    RegisterResource,
    message_first,
)
from lending_pipelines.tapes import TapeManifest, manifests_in, tape_folder, tape_spec
from lending_pipelines.tapes.parts import POSITIONS


class DeliveryConfig(dg.Config):
    """The tape to deliver."""

    tape: str = Field("", description="Name of the tape's configuration.")
    date: str = Field("", description="The business date of the tape, like 2025-03-31. It must be closed.")
    failed: bool = Field(
        True,
        description="Also retry failed deliveries, including emails that may have been sent.",
    )


@dg.op(description="Deliver the tape of a closed day to each destination that has not received it yet.")
@message_first
def deliver(
    context: dg.OpExecutionContext,
    config: DeliveryConfig,
    lake: LakeResource,
    register: RegisterResource,
    exports: ExportsResource,
    conventions: ConventionsResource,
    mail: MailResource,
) -> None:
    """Deliver the tape and record each result. Raises DeliveryError when a destination was not reached."""
    day = _day(config.date)
    tape, claimed = _claim(register.register, config, day, context.run_id)
    source = LakeReportSource(lake.lake, conventions.get())
    try:
        manifest = _checked_tape(tape, day, source, exports, register.register)
        parcels = [_parcel(tape, delivery, manifest, exports, register.register) for delivery in claimed]
    except BaseException as error:
        _hold_back(register.register, claimed, error)
        raise
    problems = {}
    for delivery, parcel in zip(claimed, parcels, strict=True):
        if problem := _send(register.register, delivery, parcel, mail):
            problems[delivery.destination] = problem
    context.add_output_metadata(
        {
            "file": manifest.file_name,
            "sha256": manifest.sha256,
            "dagster/row_count": manifest.row_count,
            "delivered_to": ", ".join(each.destination for each in claimed if each.destination not in problems),
        }
    )
    if problems:
        raise DeliveryError("; ".join(problems.values()))


def _claim(
    register: Register, config: DeliveryConfig, day: date, run_id: str
) -> tuple[LoanTapeConfig, list[TapeDelivery]]:
    """The tape's configuration, and its deliveries now reserved for this run.

    Raises DeliveryError if there is nothing to deliver, RegisterError if the tape is paused or retired.
    """
    with register.session() as session:
        tape = TapeConfigs(session).in_use(config.tape)
        TapeDeliveries(session).open(tape, day)
        claimed = TapeDeliveries(session).claim(tape.config_id, day, run_id, failed=config.failed)
        why = "" if claimed else _nothing_to_deliver(TapeDeliveries(session).of_day(tape.config_id, day))
    if why:
        raise DeliveryError(f"tape {tape.name!r} of {day}: nothing to deliver: {why}")
    return tape, claimed


def _nothing_to_deliver(deliveries: Sequence[TapeDelivery]) -> str:
    """Why none of a day's deliveries can be sent now: the status of the latest delivery to each destination."""
    if not deliveries:
        return "no destination is configured: set delivery_url or recipient_email with `lending tapes edit`"
    latest = {delivery.destination: delivery for delivery in deliveries}
    return "; ".join(f"{destination}: {_status_text(delivery)}" for destination, delivery in latest.items())


def _status_text(delivery: TapeDelivery) -> str:
    match delivery.status:
        case "delivered":
            return f"delivered at {delivery.delivered_at:%Y-%m-%d %H:%M} UTC"
        case "delivering":
            return "another run is delivering it"
        case _:
            return delivery.error_message or delivery.status


def _checked_tape(
    tape: LoanTapeConfig, day: date, source: LakeReportSource, exports: ExportsResource, register: Register
) -> TapeManifest:
    """The manifest of the tape, which is made if needed. Raises if the day or the tape must not be delivered."""
    if day not in source.days(POSITIONS):
        raise DeliveryError(source.absent(POSITIONS, day))
    require_checks(source, (POSITIONS,), [day], f"tape {tape.name!r} of {day}")
    require_current(tape, day, source, register)
    manifest = made_tape(tape, day, source, exports) or make_tape(tape, day, source, exports, register)
    require_loans(tape, day, manifest.row_count)
    return manifest


def _parcel(
    tape: LoanTapeConfig, delivery: TapeDelivery, manifest: TapeManifest, exports: ExportsResource, register: Register
) -> Parcel:
    """The tape for one destination. A correction has the changes of every version since the one that arrived there.

    A receiver who did not get the earlier tape does not get it as a correction.
    """
    folder = exports.place(tape_folder(tape_spec(tape), delivery.business_date))
    earlier = [each for each in manifests_in(folder) if each.version < manifest.version]
    arrived = _arrived(delivery, earlier, register)
    since = [manifest, *(each for each in reversed(earlier) if arrived and each.version > arrived.version)]
    hashes = {manifest.file_name: manifest.sha256}
    hashes |= {each.changes.file_name: each.changes.sha256 for each in since if each.changes}
    own = f"{folder}/{manifest.own_name}"
    files = [ParcelFile(name, f"{folder}/{name}", sha256) for name, sha256 in hashes.items()]
    return Parcel(
        delivery.delivery_id,
        tape.name,
        delivery.business_date,
        manifest.row_count,
        arrived.file_name if arrived else None,
        (*files, ParcelFile(manifest.own_name, own, hash_of(own))),
    )


def _arrived(delivery: TapeDelivery, versions: Sequence[TapeManifest], register: Register) -> TapeManifest | None:
    """The version that a correction supersedes at its destination: the last one that was delivered there."""
    if delivery.supersedes_id is None:
        return None
    with register.session() as session:
        sha256 = TapeDeliveries(session).get(delivery.supersedes_id).sha256
    return next((each for each in reversed(versions) if each.sha256 == sha256), None)


def _send(register: Register, delivery: TapeDelivery, parcel: Parcel, mail: MailResource) -> str | None:
    """Deliver to one destination and record the result. Returns the reason if it failed."""
    with register.session() as session:
        TapeDeliveries(session).send(delivery.delivery_id, parcel.files[0].sha256, parcel.rows)
    try:
        _channel(delivery, mail).deliver(parcel)
    except Exception as error:
        _record_failure(register, delivery, error)
        return str(error)
    except BaseException as interruption:
        mailed = delivery.channel == "email"
        _record_failure(register, delivery, UncertainDelivery("the run was ended") if mailed else interruption)
        raise
    with register.session() as session:
        TapeDeliveries(session).complete(delivery.delivery_id)
    return None


def _channel(delivery: TapeDelivery, mail: MailResource) -> Channel:
    if delivery.channel == "place":
        return PlaceChannel(delivery.destination)
    return EmailChannel(delivery.destination, mail.server)


def _hold_back(register: Register, deliveries: list[TapeDelivery], error: BaseException) -> None:
    """Record the error for all deliveries, and notify the tape's owner if the day's data is the reason."""
    for delivery in deliveries:
        _record_failure(register, delivery, error)
    of_the_day = isinstance(error, ChecksFailed | OutdatedDay | EmptyTape)
    if of_the_day and not any(delivery.delayed_at for delivery in deliveries):
        with register.session() as session:
            TapeDeliveries(session).delay([delivery.delivery_id for delivery in deliveries], str(error))


def _record_failure(register: Register, delivery: TapeDelivery, error: BaseException) -> None:
    """Schedule a retry, or mark the delivery failed if the tape may have arrived."""
    reason = str(error) or type(error).__name__
    with register.session() as session:
        if isinstance(error, UncertainDelivery):
            TapeDeliveries(session).give_up(delivery.delivery_id, f"it may have been delivered: {reason}")
        else:
            waits = isinstance(error, OutdatedDay | EmptyTape)
            TapeDeliveries(session).schedule_retry(delivery.delivery_id, reason, waits=waits)


def _day(text: str) -> date:
    try:
        return day_from(text)
    except ValueError:
        raise DeliveryError(f"date is {text!r}: write the tape's business date like 2025-03-31") from None
