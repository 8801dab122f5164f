"""What one loan tape holds: whose loans, which fields under which names, in which format."""

import re
import unicodedata
from collections import Counter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.tables import Column
from lending_pipelines.tapes.catalogue import CATALOGUE, TapeCatalogueField

DEFAULT_FIELDS = (
    "loan_id",
    "currency",
    "status",
    "product_name",
    "vintage",
    "disbursed_on",
    "matures_on",
    "original_principal",
    "term_count",
    "payment_frequency",
    "annual_rate",
    "principal_outstanding",
    "interest_receivable",
    "days_past_due",
    "bucket",
    "past_due_amount",
    "non_accrual",
    "total_collected",
    "last_payment_on",
    "last_payment_amount",
    "next_due_on",
    "next_due_amount",
    "principal_charged_off",
    "recovered",
)
"""What an investor usually wants to know of a loan: its terms, balance, lateness, payments and losses."""


class TapeError(LendingError):
    """A tape cannot be made as it is asked for."""


class TapeField(BaseModel):
    """One column of a tape: a field of the catalogue, and the column's name where it is another (`as`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    field: str
    renamed: str | None = Field(None, alias="as", min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"field": value} if isinstance(value, str) else value

    @property
    def name(self) -> str:
        """The column's name in the tape."""
        return self.renamed or self.field

    @property
    def catalogued(self) -> TapeCatalogueField:
        """The field in the catalogue."""
        return CATALOGUE[self.field]

    @property
    def column(self) -> Column:
        """The tape's column: its name, type and meaning."""
        field = self.catalogued
        return Column(self.name, field.type, field.description, field.nullable)


class TapeSpec(BaseModel):
    """One tape. Fields may be given as names or as {"field": name, "as": column}; TapeError names what is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    portfolio_id: str
    investor_id: str | None = None
    tape_format: Literal["csv", "xlsx", "parquet"] = "csv"
    fields: tuple[TapeField, ...] = Field(
        tuple(TapeField.model_validate(name) for name in DEFAULT_FIELDS), min_length=1
    )

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, values: Any, handler: ModelWrapValidatorHandler["TapeSpec"]) -> "TapeSpec":
        try:
            spec = handler(values)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            name = values.get("name") if isinstance(values, dict) else None
            raise TapeError(f"tape {name!r}: {problems}") from error
        if not spec.slug:
            raise TapeError(f"tape {spec.name!r}: its name must have a letter or a digit, for its file")
        for field in spec.fields:
            if field.field not in CATALOGUE:
                raise TapeError(
                    f"tape {spec.name!r}: there is no field {field.field!r}: {did_you_mean(field.field, CATALOGUE)}"
                )
        if repeated := [name for name, times in Counter(field.name for field in spec.fields).items() if times > 1]:
            raise TapeError(f"tape {spec.name!r}: two columns are named {repeated[0]!r}: rename one with `as`")
        return spec

    @property
    def slug(self) -> str:
        """The name as a file name has it: lower case letters and digits of any script, joined by hyphens."""
        return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFKC", self.name).lower()).strip("-")

    @property
    def columns(self) -> tuple[Column, ...]:
        """The tape's columns in order."""
        return tuple(field.column for field in self.fields)
