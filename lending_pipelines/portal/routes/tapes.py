"""Tapes: configurations, the calendar of due and delivered days, receipts and corrections; editing and pausing."""

from calendar import month_name
from datetime import date
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.views import own_tapes, tape_views
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.forms import Posted
from lending_pipelines.portal.web.pages import Section, render, url
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.investors import Investors
from lending_pipelines.register.models import BusinessDayConvention, LoanTapeConfig, TapeFormat
from lending_pipelines.register.portfolios import Portfolios
from lending_pipelines.register.tape_configs import TapeConfigs
from lending_pipelines.register.tape_deliveries import TapeDeliveries
from lending_pipelines.register.tape_faults import TapeFaults
from lending_pipelines.tapes import TapeError, TapeManifest, change_tape_config, template_names
from lending_pipelines.tapes.schedule import SCHEDULES
from lending_pipelines.url_secrets import hide_secrets

_TICKED = ("allow_pii", "allow_empty", "approve_corrections")
"""The settings of a tape that are true or false."""

router = APIRouter(include_in_schema=False)

SECTION = Section("Tapes", "/tapes", "tapes.read")

Reader = Annotated[Access, Depends(require("tapes.read"))]
Editor = Annotated[Access, Depends(require("tapes.edit"))]

_SHOWN = 50
_HIDDEN_REASON = "The reason concerns the whole lender. The lender's staff can read it."


@router.get("/tapes")
def tapes(request: Request, access: Reader) -> Response:
    """The configurations."""
    with access.reading() as session:
        rows = tape_views.tape_rows(session, access.grants, own_tapes.today(access))
    return render(request, "tapes.html", rows=rows)


@router.get("/tapes/{config_id}")
def tape(request: Request, access: Reader, config_id: str, month: str = "") -> Response:
    """A tape: its settings, a month of due and delivered days, and the latest receipts."""
    shown = _month(month) or own_tapes.today(access).replace(day=1)
    with access.reading() as session:
        config = own_tapes.covered_tape(session, access, config_id)
        every = TapeDeliveries(session).of_tape(config_id)
        faults = [each for each in TapeFaults(session).all() if each.config_id == config_id]
        investor = Investors(session).get(config.investor_id).name if config.investor_id else None
        context: dict[str, Any] = {
            "config": config,
            "state": tape_views.state_of(config),
            "settings": tape_views.settings_of(session, config),
            "portfolio": Portfolios(session).get(config.portfolio_id).name,
            "investor": investor,
            "folder": hide_secrets(config.delivery_url) if config.delivery_url else None,
            "faults": [(each.business_date, each.reason if access.lender_wide else _HIDDEN_REASON) for each in faults],
            "weeks": own_tapes.calendar_of(session, access, config, shown),
            "receipts": tape_views.receipts(every[:_SHOWN]),
            "count": len(every),
        }
        return render(
            request,
            "tapes_tape.html",
            month=shown,
            before=_shifted(shown, -1),
            after=_shifted(shown, 1),
            months=month_name[1:],
            may_edit=access.may("tapes.edit"),
            staff=own_tapes.is_staff(access),
            **context,
        )


@router.get("/tapes/{config_id}/days/{day}")
def tape_day(request: Request, access: Reader, config_id: str, day: date) -> Response:
    """The versions of a tape's day with their changes, and their receipts."""
    with access.reading() as session:
        config = own_tapes.covered_tape(session, access, config_id)
        found: list[TapeManifest] = []
        problem = ""
        try:
            found = own_tapes.versions(session, access, config, day)
        except TapeError as error:
            problem = own_tapes.why_unreadable(access, error)
        sent = TapeDeliveries(session).of_day(config_id, day)
        if not found and not sent and not problem:
            raise NotFound("There is no tape of that day.")
        return render(
            request,
            "tapes_day.html",
            config=config,
            day=day,
            versions=found,
            receipts=tape_views.receipts(sent),
            problem=problem,
            may_download=own_tapes.may_download(access, config),
            staff=own_tapes.is_staff(access),
        )


@router.get("/tapes/{config_id}/days/{day}/files/{file_name}")
def tape_file(request: Request, access: Reader, config_id: str, day: date, file_name: str) -> Response:
    """A tape's file, or the file with its changes."""
    with access.reading() as session:
        config = own_tapes.covered_tape(session, access, config_id)
        try:
            found = own_tapes.versions(session, access, config, day)
        except TapeError:
            found = []
    for manifest in found:
        if file_name == manifest.file_name:
            return own_tapes.tape_file(access, config, manifest)
        if manifest.changes and file_name == manifest.changes.file_name:
            return own_tapes.tape_file(access, config, manifest, changes=True)
    raise NotFound("There is no such file.")


@router.get("/tapes/{config_id}/edit")
def edit(request: Request, access: Editor, config_id: str) -> Response:
    """The form with all settings."""
    with access.reading() as session:
        config = own_tapes.covered_tape(session, access, config_id)
        return _form(request, access, session, config, tape_views.settings_of(session, config), {})


@router.post("/tapes/{config_id}/edit")
def save(request: Request, access: Editor, config_id: str, sent: Posted) -> Response:
    """Save the tape's settings, or show the form with its errors."""
    portfolio_id, settings, faults = tape_views.settings_from(sent)
    with access.reading() as session:
        config = own_tapes.covered_tape(session, access, config_id)
        name = config.name
        portfolios, investors = _owners(access, session, config)
        if portfolio_id not in portfolios:
            faults["portfolio"] = "choose a portfolio"
        if "investor_id" in settings and settings["investor_id"] not in investors:
            faults["investor"] = "choose an investor"
    if not faults:
        try:
            with access.register() as session:
                changed = change_tape_config(session, name, portfolio_id, settings)
                if not tape_views.is_covered(changed, access.grants):
                    raise RegisterError("the portfolio or the investor is outside of your scope")
                access.audit("allowed", resource=f"tape {name}", reason="settings changed", session=session)
        except (TapeError, RegisterError) as error:
            faults = tape_views.faults_by_field(error)
    if faults:
        with access.reading() as session:
            return _form(request, access, session, own_tapes.covered_tape(session, access, config_id), sent, faults)
    return RedirectResponse(url(request, f"/tapes/{config_id}"), 303)


@router.post("/tapes/{config_id}/pause")
def pause(request: Request, access: Editor, config_id: str) -> Response:
    """Neither make nor deliver the tape until it is resumed."""
    return _set_active(request, access, config_id, active=False)


@router.post("/tapes/{config_id}/resume")
def resume(request: Request, access: Editor, config_id: str) -> Response:
    """Make and deliver the tape again."""
    return _set_active(request, access, config_id, active=True)


def _set_active(request: Request, access: Access, config_id: str, *, active: bool) -> Response:
    with access.register() as session:
        name = own_tapes.covered_tape(session, access, config_id).name
        TapeConfigs(session).set_active(name, active)
        access.audit("allowed", resource=f"tape {name}", reason="resumed" if active else "paused", session=session)
    return RedirectResponse(url(request, f"/tapes/{config_id}"), 303)


def _owners(access: Access, session: Session, config: LoanTapeConfig) -> tuple[dict[str, str], dict[str, str]]:
    """The names by id of the portfolios and of the investors that the person may give to the tape."""
    portfolios = {each.portfolio_id: each.name for each in Portfolios(session).all()}
    investors = {each.investor_id: each.name for each in Investors(session).all()}
    if access.lender_wide:
        return portfolios, investors
    scopes = [grant.scope for grant in access.grants]
    own_portfolios = {config.portfolio_id}.union(*(each.portfolios for each in scopes if each.portfolios != "all"))
    own_investors = {config.investor_id}.union(*(each.investors for each in scopes if each.investors != "all"))
    return (
        {key: name for key, name in portfolios.items() if key in own_portfolios},
        {key: name for key, name in investors.items() if key in own_investors},
    )


def _form(
    request: Request,
    access: Access,
    session: Session,
    config: LoanTapeConfig,
    values: dict[str, Any],
    faults: dict[str, str],
) -> Response:
    portfolios, investors = _owners(access, session, config)
    ticked = {name: values.get(name) in (True, "true") for name in _TICKED}
    return render(
        request,
        "tapes_form.html",
        422 if faults else 200,
        config=config,
        values={**values, **ticked},
        faults=faults,
        portfolios=list(portfolios.items()),
        investors=[("", "All owners"), *investors.items()],
        formats=[(each, each) for each in get_args(TapeFormat)],
        templates=[("", "No template"), *((each, each) for each in template_names())],
        conventions=[(each, each.replace("_", " ")) for each in get_args(BusinessDayConvention)],
        schedules=SCHEDULES,
    )


def _month(text: str) -> date | None:
    """The first day of a month like 2025-03; None for other text."""
    try:
        return tape_views.month_from(text)
    except ValueError:
        return None


def _shifted(month: date, by: int) -> str:
    number = month.year * 12 + month.month - 1 + by
    return f"{number // 12:04}-{number % 12 + 1:02}"
