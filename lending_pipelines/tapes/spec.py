"""The specification of a loan tape: the loans, the fields with their names, and the format."""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from lending_pipelines.bounds import Name, Text
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
"""The default fields: a loan's terms, balances, days past due, payments and losses."""


KEY = "loan_id"
"""The field that every tape must have: corrections are compared by it."""


class TapeError(LendingError):
    """A tape cannot be made as configured."""


class TapeField(BaseModel):
    """One column of a tape: a field of the catalogue, and the column's name if it differs (`as`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    field: Name
    renamed: Name | None = Field(None, alias="as")

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
        """The field of the catalogue."""
        return CATALOGUE[self.field]

    @property
    def column(self) -> Column:
        """The tape's column: name, type and meaning."""
        field = self.catalogued
        return Column(self.name, field.type, field.description, field.nullable)

    def value(self, loans: ir.Table) -> ir.Value:
        """The column's values, from loans with the catalogue field."""
        return loans[self.field]


class TapeSpec(BaseModel):
    """One tape. Fields are names or {"field": name, "as": column}. Raises TapeError that names every error.

    With a `template` the fields are those of the template, `template_values` set or override them by code, and `fields`
    stays empty. Personal data is allowed only with `allow_pii`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    portfolio_id: Name
    investor_id: Name | None = None
    tape_format: Literal["csv", "xlsx", "parquet", "xml"] = "csv"
    fields: tuple[TapeField, ...] = ()
    template: Name | None = None
    template_values: dict[Name, Text | dict[Text, Text]] = {}
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
            raise TapeError(f"tape {self.name!r}: the name needs a letter or a digit, because files are named after it")
        for field in self.fields:
            if field.field not in CATALOGUE:
                raise TapeError(
                    f"tape {self.name!r}: unknown field {field.field!r}: {did_you_mean(field.field, CATALOGUE)}"
                )
            if field.catalogued.pii and not self.allow_pii:
                raise TapeError(
                    f"tape {self.name!r}: {field.field} is personal data: remove it, or set allow_pii for this tape"
                )
        if repeated := [name for name, times in Counter(field.name for field in self.fields).items() if times > 1]:
            raise TapeError(f"tape {self.name!r}: two columns have the name {repeated[0]!r}: rename one with `as`")
        if self.template and self.fields:
            raise TapeError(f"tape {self.name!r}: template {self.template} defines the fields: remove required_fields")
        if self.template_values and not self.template:
            raise TapeError(f"tape {self.name!r}: template_values need a template: add `template` or remove them")
        if self.tape_format == "xml" and (self.standard is None or self.standard.xml is None):
            raise TapeError(f"tape {self.name!r}: xml needs a template with an XML schema: use csv or another template")
        if KEY not in {output.field for output in self.outputs}:
            raise TapeError(f"tape {self.name!r}: {KEY} is missing; corrections identify loans by it: add it")

    @cached_property
    def standard(self) -> TapeTemplate | None:
        """The template."""
        return template(self.template) if self.template else None

    @cached_property
    def outputs(self) -> tuple[TapeField | TemplateField, ...]:
        """The tape's columns in order, each with its source."""
        return self.standard.filled(self.template_values, self.allow_pii) if self.standard else self.fields

    @property
    def coverage(self) -> dict[str, int] | None:
        """The number of a template's fields by what they contain; None without a template."""
        fields = [output for output in self.outputs if isinstance(output, TemplateField)]
        return {str(filling): count for filling, count in coverage(fields).items()} if fields else None

    @property
    def key(self) -> str:
        """The tape's column with the loan id."""
        return next(output.column.name for output in self.outputs if output.field == KEY)

    @property
    def sources(self) -> tuple[str, ...]:
        """The catalogue fields that the tape uses."""
        chosen = [self.standard.rows] if self.standard and self.standard.rows else []
        return tuple(dict.fromkeys([*(output.field for output in self.outputs if output.field), *chosen]))

    @property
    def slug(self) -> str:
        """The name as used in its folder and files."""
        return tape_slug(self.name)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The tape's columns in order."""
        return tuple(output.column for output in self.outputs)


def _with_fields(values: Any) -> Any:
    """The values, with the default fields when neither fields nor a template are given."""
    if not isinstance(values, Mapping) or values.get("fields") or values.get("template"):
        return values
    return {**values, "fields": DEFAULT_FIELDS}
