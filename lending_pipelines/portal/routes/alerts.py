"""Alerts: lists by priority, type and state, one alert with its history and steps, and what people do about it."""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Form, Header, Request
from fastapi.responses import RedirectResponse, Response

from lending_pipelines.alerts.words import capitalized, subject
from lending_pipelines.bounds import instant_from
from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.queries.names import names
from lending_pipelines.portal.views import alert_views
from lending_pipelines.portal.web import filters
from lending_pipelines.portal.web.pages import Section, render, url
from lending_pipelines.register import Notifications
from lending_pipelines.register.alert_models import OPEN_STATES, Alert, AlertSeverity, AlertState
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import NotificationType, Priority
from lending_pipelines.register.types import utc_now

router = APIRouter(include_in_schema=False)

SECTION = Section("Alerts", "/alerts", "alerts.read")
Reader = Annotated[Access, Depends(require(SECTION.action))]
Actor = Annotated[Access, Depends(require("alerts.act"))]
Reason = Annotated[str, Form(max_length=2000)]

STATES: dict[str, tuple[AlertState, ...]] = {
    "unresolved": OPEN_STATES,
    **{state: (state,) for state in get_args(AlertState)},
}
"""The states by the name of the filter."""

TYPES = get_args(NotificationType)

_DONE = {
    "acknowledge": "The alert is acknowledged.",
    "snooze": "The alert is snoozed.",
    "reopen": "The alert is open again.",
    "read": "Marked as read.",
    "acted": "The action is recorded.",
}
_MARKS = {"read": "read", "act": "acted"}
"""The entry of the audit log, and the key of _DONE, by what is recorded of a notification."""

_SHOWN = 100
_AGAIN_AFTER = 15_000
"""The milliseconds after which the browser asks for new alerts again."""


@router.get("/alerts")
def alerts(
    request: Request,
    access: Reader,
    state: filters.Text = None,
    priority: filters.Text = None,
    type: filters.Text = None,
    unread: filters.Text = None,
    page: filters.Text = None,
) -> Response:
    """The alerts that are not resolved, or those of one state."""
    chosen = filters.one_of("state", state, STATES, "unresolved")
    severity = filters.one_of("priority", priority, ("", *get_args(AlertSeverity)), "") or None
    kind = filters.one_of("type", type, ("", *TYPES), "") or None
    among = alert_views.listed_alerts(access, STATES[chosen], severity=severity, unread=bool(unread))
    found = [each for each in among if kind in (None, each.kind)]
    known = _names(access)
    number = max(1, int(page) if page and page.isascii() and page.isdigit() and len(page) < 6 else 1)
    return render(
        request,
        "alerts.html",
        query=request.query_params,
        rows=[_listed(each, known) for each in found[(number - 1) * _SHOWN : number * _SHOWN]],
        found=len(found),
        number=number,
        has_next=len(found) > number * _SHOWN,
        kinds=alert_views.by_kind(among),
        unread_messages=len(alert_views.messages(access, unread=True)),
    )


@router.get("/alerts/events")
def events(
    access: Reader, request: Request, last_event_id: Annotated[str | None, Header(max_length=100)] = None
) -> Response:
    """New alerts as server-sent events. A response has the new alerts and ends; the browser asks again after a while.

    A response that stays open would keep an old snapshot of the lake and an old scope of the person.
    """
    since = _instant(last_event_id)
    lines = [f"retry: {_AGAIN_AFTER}", f"id: {utc_now().isoformat()}"]
    if since is not None and (new := alert_views.opened_since(access, since)):
        text = new[0].text if len(new) == 1 else f"{len(new)} new alerts"
        lines += ["event: alert", f"data: {' '.join(text.split())}"]
    return Response("\n".join([*lines, "", ""]), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/alerts/messages")
def messages(
    request: Request,
    access: Reader,
    priority: filters.Text = None,
    type: filters.Text = None,
    unread: filters.Text = None,
    done: filters.Text = None,
) -> Response:
    """The notifications to the person; for a person with an unrestricted scope, those to everybody."""
    wanted = filters.one_of("priority", priority, ("", *get_args(Priority)), "") or None
    kind = filters.one_of("type", type, ("", *TYPES), "") or None
    found = alert_views.messages(access, priority=wanted, kind=kind, unread=bool(unread))
    return render(
        request,
        "alert_messages.html",
        query=request.query_params,
        rows=found[:_SHOWN],
        found=len(found),
        types=TYPES,
        priorities=get_args(Priority),
        may_act=access.may("alerts.act"),
        toasts=_toasts(done),
    )


@router.post("/alerts/messages/{notification_id}/{mark}")
def mark_message(request: Request, access: Actor, notification_id: str, mark: Literal["read", "act"]) -> Response:
    """Mark a notification as read, or record that its action was taken."""
    with access.register() as session:
        found = alert_views.message(access, session, notification_id)
        notifications = Notifications(session)
        (notifications.read if mark == "read" else notifications.act)(found.notification_id)
        access.audit("allowed", resource=f"notification {notification_id}", reason=_MARKS[mark], session=session)
    return RedirectResponse(url(request, f"/alerts/messages?done={_MARKS[mark]}"), 303)


@router.get("/alerts/{alert_id}")
def alert(request: Request, access: Reader, alert_id: str, done: filters.Text = None) -> Response:
    """One alert."""
    return _page(request, access, alert_id, toasts=_toasts(done))


@router.post("/alerts/{alert_id}/notifications/{mark}")
def marked(request: Request, access: Actor, alert_id: str, mark: Literal["read", "act"]) -> Response:
    """Mark the notifications of an alert as read, or record that the action that it requires was taken."""
    done = _MARKS[mark]
    with access.register() as session:
        alert_views.mark(access, session, alert_id, mark)
        access.audit("allowed", resource=f"alert {alert_id}", reason=done, session=session)
    return RedirectResponse(url(request, f"/alerts/{alert_id}?done={done}"), 303)


@router.post("/alerts/{alert_id}/{step}")
def step(
    request: Request,
    access: Actor,
    alert_id: str,
    step: alert_views.PersonsStep,
    reason: Reason = "",
    until: Annotated[filters.Day, Form()] = None,
) -> Response:
    """Acknowledge, snooze or reopen an alert, and go back to it; a refused step shows why."""
    if step == "snooze" and until is None:
        return _page(request, access, alert_id, 422, errors={"until": "Write the last day of the snooze."})
    try:
        alert_views.take_step(access, alert_id, step, reason, until)
    except RegisterError as error:
        return _page(request, access, alert_id, 422, errors={"reason": str(error)})
    return RedirectResponse(url(request, f"/alerts/{alert_id}?done={step}"), 303)


def _page(
    request: Request,
    access: Access,
    alert_id: str,
    status_code: int = 200,
    errors: dict[str, str] | None = None,
    toasts: Any = (),
) -> Response:
    """The page of an alert."""
    detail = alert_views.alert_detail(access, alert_id)
    return render(
        request,
        "alert.html",
        status_code,
        detail=detail,
        alert=detail.alert,
        loans=(detail.alert.details or {}).get("loans", []),
        about=_about(detail.alert, _names(access)),
        may_act=access.may("alerts.act") and detail.alert.state != "resolved",
        may_see_managers=access.may("managers.read"),
        errors=errors or {},
        toasts=toasts,
    )


def _names(access: Access) -> dict[str, dict[str, str]]:
    """The names of the subjects of alerts by kind and id."""
    officers = names(access.lake, "officer")
    return {
        "manager": officers,
        "officer": officers,
        **{kind: names(access.lake, kind) for kind in ("branch", "product", "portfolio")},
    }


def _about(alert: Alert, known: dict[str, dict[str, str]]) -> str:
    """The subject of an alert in words."""
    name = known.get(alert.subject_kind, {}).get(alert.subject_id)
    return subject(alert.subject_kind, alert.subject_id, name)


def _listed(each: alert_views.ListedAlert, known: dict[str, dict[str, str]]) -> dict[str, Any]:
    """An alert as a row of the list."""
    alert = each.alert
    return {
        "alert_id": alert.alert_id,
        "text": alert.text,
        "about": capitalized(_about(alert, known)),
        "severity": alert.severity,
        "state": alert.state,
        "snoozed_until": alert.snoozed_until,
        "opened_on": alert.opened_on,
        "last_on": alert.last_on,
        "resolved_on": alert.resolved_on,
        "by": alert.acknowledged_by,
        "kind": each.kind,
        "is_unread": each.is_unread,
    }


def _instant(text: str | None) -> datetime | None:
    """The time in the id of an event; None for an id that is not from a response."""
    try:
        found = instant_from(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else None


def _toasts(done: str | None) -> list[dict[str, str]]:
    return [{"text": _DONE[done], "tone": "good"}] if done in _DONE else []
