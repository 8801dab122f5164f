"""Which reports a person with a limited scope may have: those that a parameter limits to the scope.

A report that is not in LIMITS prints numbers of the complete lender, so it is for scopes without limits. The branch of
a loan is the same on all days. Its portfolio and investor change, so a report that reads earlier days cannot be limited
to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lending_pipelines.portal.access import Access
from lending_pipelines.portal.policy import Action
from lending_pipelines.portal.scope import Grant
from lending_pipelines.register.models import Report
from lending_pipelines.reports.parameters import OneScope
from lending_pipelines.reports.registry import get, report_types


@dataclass(frozen=True)
class Limit:
    """How a report is limited: the parameter for each dimension of a scope, and required values of other parameters."""

    parameters: Mapping[str, str]
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Offer:
    """Whether a person may have a report.

    Attributes:
        allowed: Whether they may.
        reason: Why not; empty if they may.
        limits: The ids that a parameter must have, one of them; empty for a scope without limits.
        fixed: The values that other parameters must have.
    """

    allowed: bool
    reason: str = ""
    limits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)

    def faults(self, values: Mapping[str, Any]) -> dict[str, str]:
        """What is outside of the offer, by parameter."""
        found = {
            name: f"choose one of {', '.join(ids)}: your role is limited to them"
            for name, ids in self.limits.items()
            if values.get(name) not in ids
        }
        return found | {
            name: f"your role is limited to {value}" for name, value in self.fixed.items() if values.get(name) != value
        }


_BRANCH = Limit({"branches": "branch"})
_ON_A_DAY = Limit({"branches": "branch", "portfolios": "portfolio", "investors": "investor"})

LIMITS: Mapping[str, Limit] = {
    **dict.fromkeys(
        (
            "borrowing_base",
            "delinquency_aging",
            "loan_tape",
            "portfolio_returns",
            "portfolio_summary",
            "roll_rates",
        ),
        _ON_A_DAY,
    ),
    **dict.fromkeys(
        (
            "charge_off_recovery",
            "collection_performance",
            "combined_revenue",
            "compliance_summary",
            "fee_revenue",
            "interest_analytics",
            "interest_income",
            "loan_profitability",
            "modification_summary",
            "payment_activity",
            "processing_fees",
            "vintage_analysis",
        ),
        _BRANCH,
    ),
    # The report itself compares a manager with the branch; the table of days does not. Its parameter branch is that of
    # the member of staff, whose loans can be of other branches.
    "manager_performance": Limit({"officers": "manager"}, {"contents": "days"}),
}
"""How each report is limited to a scope."""

_HIDDEN_REASON = "The report was not made. The reason concerns the whole lender: an administrator can read it."

assert set(LIMITS) <= set(report_types())


NEEDED: Mapping[str, Action] = {"platform_activity": "platform.read"}
"""Actions that a role must allow for a report, in addition to reports.read."""


def offer(report_type: str, access: Access) -> Offer:
    """Whether the person may have the report, by the first of their grants that allows it."""
    if report_type in NEEDED and not access.may(NEEDED[report_type]):
        return Offer(False, "It is about the lending platform, which your role does not include.")
    offers = [_offer(report_type, grant) for grant in access.grants]
    return next((each for each in offers if each.allowed), offers[0] if offers else Offer(False, "No role allows it."))


def visible(report_type: str, parameters: Mapping[str, Any], access: Access) -> bool:
    """Whether the person may see a report with these parameters: it is within the scope of one of their grants."""
    if report_type in NEEDED and not access.may(NEEDED[report_type]):
        return False
    if report_type not in report_types():
        return access.lender_wide
    offers = [_offer(report_type, grant) for grant in access.grants]
    return any(each.allowed and not each.faults(parameters) for each in offers)


def error_shown(report: Report, access: Access) -> str | None:
    """Why a request has no file. The reason of a failure can name other loans, so a limited scope does not see it."""
    return report.error_message if access.lender_wide or report.status != "failed" else _HIDDEN_REASON


def _offer(report_type: str, grant: Grant) -> Offer:
    """Whether a grant allows the report, and the limits that it sets."""
    restricted = grant.scope.restricted
    if not restricted:
        return Offer(True)
    limit = LIMITS.get(report_type)
    words = " and ".join(restricted)
    if limit is None:
        return Offer(False, f"It has numbers of the whole lender and cannot be limited to your {words}.")
    if missing := [name for name in restricted if name not in limit.parameters]:
        return Offer(False, f"It cannot be limited to your {' and '.join(missing)}.")
    if len(restricted) > 1 and issubclass(get(report_type).parameters, OneScope):
        return Offer(False, f"It takes one filter and cannot be limited to your {words} at once.")
    limits = {limit.parameters[name]: sorted(getattr(grant.scope, name)) for name in restricted}
    return Offer(True, limits=limits, fixed=limit.fixed)
