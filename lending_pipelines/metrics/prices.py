"""Splits the price of many loans over the loans. investors.py computes the returns."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

from lending_pipelines.errors import LendingError

CENT = Decimal("0.01")


class PriceError(LendingError):
    """A price cannot be split over the loans."""


def split_price(price: Decimal, principal: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Split a price over loans by principal outstanding. The shares add up to the price.

    Shares are rounded down to the cent. The remainder, less than a cent per loan, goes to the loan with the largest
    principal; of several such loans, to the first by loan_id. A loan with no principal outstanding or a credit balance
    gets 0.00.

    Args:
        price: The price.
        principal: The principal outstanding by loan_id.

    Returns:
        The share of each loan by loan_id.

    Raises:
        PriceError: The price is negative or has fractions of a cent, or no loan has principal outstanding.
    """
    if price < 0 or price != price.quantize(CENT):
        raise PriceError(f"a price of {price} cannot be split: write an amount of at least 0 with at most two decimals")
    weights = {loan_id: max(amount, Decimal(0)) for loan_id, amount in principal.items()}
    total = sum(weights.values(), Decimal(0))
    if not total:
        raise PriceError(f"a price of {price} cannot be split: no loan has principal outstanding")
    # Use whole numbers: a quotient of decimals is rounded before it can be rounded down.
    cents, total_cents = int(price / CENT), int(total / CENT)
    shares = {
        loan_id: (cents * int(weight / CENT) // total_cents * CENT).quantize(CENT, ROUND_DOWN)
        for loan_id, weight in weights.items()
    }
    largest = min(weights, key=lambda loan_id: (-weights[loan_id], loan_id))
    shares[largest] += price - sum(shares.values(), Decimal(0))
    return shares
