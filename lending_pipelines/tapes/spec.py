"""What one loan tape holds: whose loans, which fields under which names, in which format."""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.register.tape_configs import tape_slug
from lending_pipelines.tables import Column
from lending_pipelines.tapes.catalogue import CATALOGUE, TapeCatalogueField
from lending_pipelines.tapes.template import TapeTemplate, TemplateField, coverage, template

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


KEY = "loan_id"
"""The field that every tape has: a tape and its correction are compared by it."""


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

    def value(self, loans: ir.Table) -> ir.Value:
        """The column's values, from loans that have the catalogue field."""
        return loans[self.field]


class TapeSpec(BaseModel):
    """One tape. Fields may be given as names or as {"field": name, "as": column}; TapeError names what is wrong.

    With a `template` the fields are the template's, `template_values` fill or override them by code, and `fields` stays
    empty. `allow_pii`: personal data may be in the tape.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    portfolio_id: str
    investor_id: str | None = None
    tape_format: Literal["csv", "xlsx", "parquet", "xml"] = "csv"
    fields: tuple[TapeField, ...] = ()
    template: str | None = None
    template_values: dict[str, str | dict[str, str]] = {}
    allow_pii: bool = False

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, values: Any, handler: ModelWrapValidatorHandler["TapeSpec"]) -> "TapeSpec":
        name = values.get("name") if isinstance(values, dict) else None
        try:
            spec = handler(_with_fields(values))
            spec._check()
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise TapeError(f"tape {name!r}: {problems}") from error
        except TapeError:
            raise
        except LendingError as error:
            raise TapeError(f"tape {name!r}: {error}") from error
        return spec

    def _check(self) -> None:
        if not self.slug:
            raise TapeError(f"tape {self.name!r}: its name must have a letter or a digit, for its file")
        for field in self.fields:
            if field.field not in CATALOGUE:
                raise TapeError(
                    f"tape {self.name!r}: there is no field {field.field!r}: {did_you_mean(field.field, CATALOGUE)}"
                )
            if field.catalogued.pii and not self.allow_pii:
                raise TapeError(
                    f"tape {self.name!r}: {field.field} is personal data: leave it out, or set allow_pii for this tape"
                )
        if repeated := [name for name, times in Counter(field.name for field in self.fields).items() if times > 1]:
            raise TapeError(f"tape {self.name!r}: two columns are named {repeated[0]!r}: rename one with `as`")
        if self.template and self.fields:
            raise TapeError(f"tape {self.name!r}: its template {self.template} says its fields: leave them out")
        if self.template_values and not self.template:
            raise TapeError(f"tape {self.name!r}: template_values belong to a template, and it names none")
        if self.tape_format == "xml" and (self.standard is None or self.standard.xml is None):
            raise TapeError(f"tape {self.name!r}: only a template with an XML schema is written as xml: choose csv")
        if KEY not in {output.field for output in self.outputs}:
            raise TapeError(f"tape {self.name!r}: it has no {KEY}, by which a correction names its loans: add it")

    @cached_property
    def standard(self) -> TapeTemplate | None:
        """The template."""
        return template(self.template) if self.template else None

    @cached_property
    def outputs(self) -> tuple[TapeField | TemplateField, ...]:
        """The tape's columns in order, each with where it comes from."""
        return self.standard.filled(self.template_values, self.allow_pii) if self.standard else self.fields

    @property
    def coverage(self) -> dict[str, int] | None:
        """How many of a template's fields hold what; None without a template."""
        fields = [output for output in self.outputs if isinstance(output, TemplateField)]
        return {str(filling): count for filling, count in coverage(fields).items()} if fields else None

    @property
    def key(self) -> str:
        """The tape's column that holds the loan's id."""
        return next(output.column.name for output in self.outputs if output.field == KEY)

    @property
    def sources(self) -> tuple[str, ...]:
        """The catalogue's fields that the tape is made of."""
        chosen = [self.standard.rows] if self.standard and self.standard.rows else []
        return tuple(dict.fromkeys([*(output.field for output in self.outputs if output.field), *chosen]))

    @property
    def slug(self) -> str:
        """The name as its folder and files have it."""
        return tape_slug(self.name)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The tape's columns in order."""
        return tuple(output.column for output in self.outputs)


def _with_fields(values: Any) -> Any:
    """The values with the default fields where neither fields nor a template are named."""
    if not isinstance(values, Mapping) or values.get("fields") or values.get("template"):
        return values
    return {**values, "fields": DEFAULT_FIELDS}
