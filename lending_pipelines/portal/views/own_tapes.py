"""One tape as its pages and the API show it to a person: whether they may see it, its calendar, and its files."""

from datetime import date, timedelta

from fastapi.responses import Response
from sqlalchemy.orm import Session

from lending_pipelines.portal.access import Access, Denied
from lending_pipelines.portal.views.tape_views import CalendarDay, calendar, is_covered
from lending_pipelines.portal.web.downloads import download
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.register.models import LoanTapeConfig
from lending_pipelines.register.tape_deliveries import TapeDeliveries
from lending_pipelines.register.tape_faults import TapeFaults
from lending_pipelines.tapes import TapeError, TapeManifest, manifests_in, tape_folder, tape_spec


def covered_tape(session: Session, access: Access, config_id: str) -> LoanTapeConfig:
    """The configuration with that id. Raises NotFound when there is none in the scope of the person."""
    config = session.get(LoanTapeConfig, config_id)
    if config is None or not is_covered(config, access.grants):
        raise NotFound("There is no such tape, or you may not see it.")
    return config


def is_staff(access: Access) -> bool:
    """Whether the person belongs to the lender's staff: has a grant with another role than investor."""
    return any(grant.role != "investor" for grant in access.grants)


def today(access: Access) -> date:
    """The current business date, which has not ended yet."""
    return access.portal.last_ended() + timedelta(days=1)


def calendar_of(session: Session, access: Access, config: LoanTapeConfig, month: date) -> list[list[CalendarDay]]:
    """The weeks of the month whose first day is `month`, with what is due and what was delivered."""
    return calendar(
        config,
        month,
        TapeDeliveries(session).of_tape(config.config_id),
        [each for each in TapeFaults(session).all() if each.config_id == config.config_id],
        access.lake.days("loan_positions"),
        today(access),
    )


def versions(session: Session, access: Access, config: LoanTapeConfig, day: date) -> list[TapeManifest]:
    """The manifests of the versions of a tape's day, the latest first. An investor sees those that were delivered.

    Raises:
        TapeError: A manifest cannot be read. The message names the file.
    """
    found = list(reversed(manifests_in(_folder(access, config, day))))
    if is_staff(access):
        return found
    deliveries = TapeDeliveries(session).of_day(config.config_id, day)
    sent = {each.sha256 for each in deliveries if each.status == "delivered"}
    return [each for each in found if each.sha256 in sent]


def why_unreadable(access: Access, error: TapeError) -> str:
    """Why the files of a tape cannot be read, without the lender's paths for an investor."""
    return str(error) if is_staff(access) else "The lender's staff can read the reason."


def may_download(access: Access, config: LoanTapeConfig) -> bool:
    """Whether the person may have the tape's files: those with personal data are for the lender's staff."""
    return not config.allow_pii or (is_staff(access) and access.may("personal.show"))


def tape_file(access: Access, config: LoanTapeConfig, manifest: TapeManifest, *, changes: bool = False) -> Response:
    """The answer with the file of a version, or with the file of its changes, recorded in the audit log.

    Raises:
        NotFound: The version has no file of changes.
        Denied: The tape has personal data, or the role does not allow downloads.
        FileChanged: The file cannot be read, or is not the one that was made.
        TooOften: The person has downloaded too many files.
    """
    if not may_download(access, config):
        reason = "the tape has personal data, which your role does not allow"
        access.audit("denied", resource=f"tape {config.name} {manifest.business_date}", reason=reason)
        raise Denied(reason)
    made = manifest.changes if changes else manifest
    if made is None:
        raise NotFound("There is no file of changes: it is made for corrections of tapes with loan ids.")
    place = f"{_folder(access, config, manifest.business_date)}/{made.file_name}"
    resource = f"tape {config.name} {manifest.business_date} {made.file_name}"
    answer = download(access, place, made.sha256, resource=resource, rows=None if changes else manifest.row_count)
    if config.allow_pii:
        access.audit("allowed", action="personal.show", resource=resource)
    return answer


def _folder(access: Access, config: LoanTapeConfig, day: date) -> str:
    return f"{access.portal.settings.exports_url.rstrip('/')}/{tape_folder(tape_spec(config), day)}"
