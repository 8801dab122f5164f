"""Functions of the templates: URLs, drawings, tones of badges, and the icon and key of each section.

`install` adds them to a Jinja environment. The macros are in templates/components. Formats are in formats.py.
"""

from collections.abc import Mapping
from string import Formatter
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment

from lending_pipelines.portal.web.drawing import shade, shares, sparkline
from lending_pipelines.portal.web.static_files import static_path

SECTIONS: dict[str, tuple[str, str]] = {
    "Today": ("home", "t"),
    "Portfolios": ("layers", "p"),
    "Loans": ("file", "l"),
    "Managers": ("users", "m"),
    "Alerts": ("bell", "a"),
    "Reports": ("chart", "r"),
    "Tapes": ("package", "d"),
    "Ledger": ("book", "b"),
    "Data health": ("pulse", "h"),
    "Platform": ("globe", "f"),
    "My account": ("wallet", "y"),
    "Generate": ("play", "n"),
    "People": ("user", "e"),
}
"""By title, the icon of a section and the key that opens it after `g`."""

TONES: dict[str, str] = {
    # Loans
    "current": "good", "active": "good", "paid_off": "plain", "closed": "plain", "sold": "info", "modified": "info",
    "paid": "good", "late": "warn", "past due": "warn", "past_due": "warn",
    "delinquent": "warn", "default": "bad", "defaulted": "bad", "charged_off": "bad",
    # Health of managers and data
    "excellent": "good", "good": "info", "warning": "warn", "critical": "bad", "fresh": "good", "stale": "warn",
    # Runs, checks, reports, deliveries
    "completed": "good", "generating": "info", "delivering": "info",
    "succeeded": "good", "success": "good", "passed": "good", "delivered": "good", "done": "good", "complete": "good",
    "running": "info", "started": "info", "pending": "plain", "queued": "plain", "due": "plain", "scheduled": "plain",
    "warnings": "warn", "late delivery": "warn", "retrying": "warn", "failed": "bad", "failure": "bad", "error": "bad",
    # Alerts and accounts
    "open": "warn", "acknowledged": "info", "snoozed": "plain", "resolved": "good", "high": "bad", "medium": "warn",
    "low": "plain", "info": "info", "enabled": "good", "disabled": "plain", "paused": "plain", "locked": "bad",
}  # fmt: skip
"""The tone of a badge by its value in lower case; others are plain."""


def install(environment: Environment, root: str = "") -> None:
    """Add the functions and filters to an environment.

    Args:
        environment: The environment of the templates, with autoescape on.
        root: The path below which a proxy serves the portal, without a slash at its end.
    """

    def url(pattern: str, row: Any = None, **values: Any) -> str:
        return root + filled(pattern, row, **values)

    def static_url(name: str) -> str:
        return root + static_path(name)

    environment.globals.update(
        url=url,
        static_url=static_url,
        query_link=query_link,
        query_without=query_without,
        sections=SECTIONS,
        sparkline=sparkline,
        shares=shares,
        shade=shade,
    )
    environment.filters.update(tone=tone, words=words, text=text)


def filled(pattern: str, row: Any = None, **values: Any) -> str:
    """A path such as `/loans/{loan_id}` with its fields from `values` or the row, quoted; other values as its query.

    Values that are None or empty are left out of the query. KeyError for a field without a value.
    """
    fields = [name for _, name, _, _ in Formatter().parse(pattern) if name]
    path = pattern.format_map({name: quote(str(_field(name, row, values)), safe="") for name in fields})
    query = urlencode({name: value for name, value in values.items() if name not in fields and value not in (None, "")})
    return f"{path}?{query}" if query else path


def query_link(query: Mapping[str, Any], **changes: Any) -> str:
    """A link to the same page with some parameters changed; None removes one: `?status=late&sort=-balance`."""
    pairs = [(name, value) for name, value in _pairs(query) if name not in changes]
    pairs += [(name, value) for name, value in changes.items() if value is not None]
    return "?" + urlencode([(name, value) for name, value in pairs if value != ""], doseq=True)


def query_without(query: Mapping[str, Any], *names: str) -> list[tuple[str, Any]]:
    """The parameters without some names: the hidden fields of a form that changes those."""
    return [(name, value) for name, value in _pairs(query) if name not in names and value != ""]


def tone(value: Any) -> str:
    """The tone of a status, severity or category: good, warn, bad, info or plain."""
    return TONES.get(str(value).lower(), "plain")


def words(value: Any) -> str:
    """A code as words: `charged_off` is `Charged off`. Text that is not a code stays as it is."""
    text = str(value)
    code = text.replace("_", "").replace(" ", "").isalnum() and text == text.lower()
    return text.replace("_", " ").capitalize() if code else text


def text(value: Any) -> Any:
    """A value of a column of text; booleans as yes and no. Markup stays markup."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _field(name: str, row: Any, values: Mapping[str, Any]) -> Any:
    if name in values:
        return values[name]
    return row[name] if isinstance(row, Mapping) else getattr(row, name)


def _pairs(query: Any) -> list[tuple[str, Any]]:
    """All pairs of Starlette's query parameters, which may hold a name twice, or of a mapping."""
    return list(query.multi_items() if hasattr(query, "multi_items") else query.items())
