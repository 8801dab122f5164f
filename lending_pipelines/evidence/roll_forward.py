"""The roll-forward of principal outstanding from one closed day to the next, from the control totals of both."""

from decimal import Decimal

from lending_pipelines.evidence.totals import DayTotals
from lending_pipelines.metrics.movements import FLOWS

BALANCE = "principal_outstanding"

LINES = ("opening", *FLOWS, "closing", "unexplained")
"""The amounts of a roll-forward, in order."""

_ZERO = Decimal("0.00")


def roll_forward(before: DayTotals | None, day: DayTotals | None) -> dict[str, dict[str, str]]:
    """Per currency: opening, each flow with the sign of its effect, closing, and the difference that is not explained.

    Totals of flows are cumulative, and no loan leaves loan_positions, so the change of a total is the flow. Before the
    first closed day all totals are 0.00.
    """
    found = {}
    for currency, closes in sorted((day.sums if day else {}).items()):
        opens = before.sums.get(currency, {}) if before else {}
        flows = {name: (closes[column] - opens.get(column, _ZERO)) * sign for name, (column, sign) in FLOWS.items()}
        opening, closing = opens.get(BALANCE, _ZERO), closes[BALANCE]
        moved = {"opening": opening, **flows, "closing": closing}
        moved["unexplained"] = closing - opening - sum(flows.values(), _ZERO)
        # Adding 0 turns a negative zero into 0.
        found[currency] = {name: str(value + _ZERO) for name, value in moved.items()}
    return found
