"""How the price of many loans is split over them. What became of it is in investors.py."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

from lending_pipelines.errors import LendingError

CENT = Decimal("0.01")


class PriceError(LendingError):
    """A price cannot be split over the loans."""


def split_price(price: Decimal, principal: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Each loan's share of a price, by loan_id: pro rata of principal outstanding, and together exactly the price.

    Shares are rounded down to the cent; what is left, less than a cent a loan, goes to the loan with the largest
    principal (of equal ones, the first by loan_id). A loan with nothing outstanding, or a credit balance, has 0.00.
    PriceError when the price is negative or has fractions of a cent, or no loan has anything outstanding.
    """
    if price < 0 or price != price.quantize(CENT):
        raise PriceError(f"a price of {price} cannot be split: write an amount of at least 0 with at most two decimals")
    weights = {loan_id: max(amount, Decimal(0)) for loan_id, amount in principal.items()}
    total = sum(weights.values(), Decimal(0))
    if not total:
        raise PriceError(f"a price of {price} cannot be split: no loan has principal outstanding")
    # In whole numbers: a quotient of decimals would be rounded before it is rounded down.
    cents, whole = int(price / CENT), int(total / CENT)
    shares = {
        loan_id: (cents * int(weight / CENT) // whole * CENT).quantize(CENT, ROUND_DOWN)
        for loan_id, weight in weights.items()
    }
    largest = min(weights, key=lambda loan_id: (-weights[loan_id], loan_id))
    shares[largest] += price - sum(shares.values(), Decimal(0))
    return shares
