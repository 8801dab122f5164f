"""The rules of a borrowing facility as configuration: eligibility, concentration limits, advance rate, covenants.

borrowing_base.py applies the rules. The caller reads them from a file. The defaults are those of a typical
consumer-loan facility; replace them with the terms of the agreement.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lending_pipelines.bounds import MOST_DAYS, Days

Amount = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=2)]
Share = Annotated[Decimal, Field(ge=0, le=10_000, max_digits=18)]
Grouping = Literal["borrower", "product", "program", "branch", "region", "officer", "vintage", "bucket"]
Metric = Literal[
    "par_30",
    "par_60",
    "par_90",
    "cumulative_net_loss",
    "charge_off_rate",
    "net_charge_off_rate",
    "weighted_avg_rate",
]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Eligibility(_Rules):
    """The rules for eligible loans. A loan without a recorded value for a rule is not eligible."""

    currencies: tuple[str, ...] = Field((), description="The loan's currency is one of these. Empty: any.")
    max_days_past_due: Days | None = Field(30, description="Days past due, at most.")
    exclude_non_accrual: bool = Field(True, description="The loan is not on non-accrual.")
    exclude_modified: bool = Field(False, description="The loan's terms were never modified.")
    min_balance: Amount | None = Field(None, description="Principal outstanding, at least.")
    max_balance: Amount | None = Field(None, gt=0, description="Principal outstanding, at most.")
    min_annual_rate: Share | None = Field(None, description="Annual rate in force, at least: 0.08 is 8 %.")
    max_annual_rate: Share | None = Field(None, description="Annual rate in force, at most: 0.36 is 36 %.")
    max_original_term_months: int | None = Field(
        None, ge=1, le=MOST_DAYS, description="Months from disbursement to maturity."
    )
    max_remaining_term_months: int | None = Field(
        None, ge=1, le=MOST_DAYS, description="Months from the day to maturity."
    )
    min_seasoning_days: Days | None = Field(None, ge=1, description="Days since disbursement, at least.")
    min_credit_score: int | None = Field(None, ge=0, le=100_000, description="Credit score at origination, at least.")
    max_loan_to_value: Share | None = Field(
        None, gt=0, description="Principal outstanding ÷ collateral value, at most: 0.9 is 90 %."
    )
    products: tuple[str, ...] = Field((), description="The loan's product_id is one of these. Empty: any.")
    branches: tuple[str, ...] = Field((), description="The loan's branch_id is one of these. Empty: any.")
    regions: tuple[str, ...] = Field((), description="The loan's region is one of these. Empty: any.")


class ConcentrationLimit(_Rules):
    """The largest share of eligible principal of one group, such as a borrower. Loans without a value form a group."""

    by: Grouping = Field(description="What loans are grouped by.")
    max_share: Decimal = Field(
        gt=0, le=1, decimal_places=4, description="A group's share of eligible principal, at most."
    )
    only: tuple[str, ...] = Field((), description="The groups that are limited. Empty: every group.")


class Covenant(_Rules):
    """A limit on the book of the facility: either `max` or `min`."""

    metric: Metric = Field(description="What is watched.")
    max: Decimal | None = Field(None, max_digits=18, description="It is breached above this.")
    min: Decimal | None = Field(None, max_digits=18, description="It is breached below this.")

    @model_validator(mode="after")
    def _one_bound(self) -> "Covenant":
        if (self.max is None) == (self.min is None):
            raise ValueError(f"covenant {self.metric}: write either max or min, not both")
        return self

    @property
    def limit(self) -> float:
        """The value of the limit."""
        return float(self.min or 0) if self.max is None else float(self.max)

    def headroom(self, actual: float | None) -> float | None:
        """The distance of the actual value to the limit: negative if breached, null if the actual value is unknown."""
        if actual is None:
            return None
        return actual - self.limit if self.max is None else self.limit - actual

    def status(self, actual: float | None) -> str:
        """Whether the covenant is `met` or `breached`; `no data` if the actual value is unknown."""
        headroom = self.headroom(actual)
        return "no data" if headroom is None else "breached" if headroom < 0 else "met"


class FacilityRules(_Rules):
    """All rules of a facility."""

    advance_rate: Decimal = Field(
        Decimal("0.85"), gt=0, le=1, decimal_places=4, description="The share of net eligible principal that is lent."
    )
    commitment: dict[str, Amount] = Field(
        {}, description="The most that is lent, by currency. Empty: only the borrowing base limits."
    )
    covenant_months: int = Field(
        3, ge=1, le=60, description="Months up to the day over which charge-off rates are annualised."
    )
    eligibility: Eligibility = Eligibility()
    concentration_limits: tuple[ConcentrationLimit, ...] = (
        ConcentrationLimit(by="borrower", max_share=Decimal("0.05")),
    )
    covenants: tuple[Covenant, ...] = (
        Covenant(metric="par_30", max=Decimal("0.10")),
        Covenant(metric="par_90", max=Decimal("0.05")),
        Covenant(metric="cumulative_net_loss", max=Decimal("0.08")),
        Covenant(metric="net_charge_off_rate", max=Decimal("0.06")),
    )
