"""Tape templates: a standard's fields, each filled from the catalogue, by a constant, or by a no-data code.

A configuration sets or overrides fields by code (`template_values`): a text is written in every row; a table of codes
maps each value of the catalogue field to the standard's code, for fields with a fixed list.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

import ibis
import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.tables import Column
from lending_pipelines.tapes.catalogue import CATALOGUE, TapeCatalogueField
from lending_pipelines.tapes.formats import format_of

_FOLDER = files(f"{__package__}.templates")

_NO_DATA = {"": (), "1-4": "1234", "5": "5", "1-5": "12345"}
"""The no-data codes that a standard allows in a field, by the name used in a template's file."""

Filling = Literal["filled", "to be given", "no data", "not applicable", "omitted"]
"""What a column contains: values; nothing until a configuration sets it; a no-data code; or no column at all."""


class TemplateField(BaseModel):
    """One field of a template.

    `no_data` are the no-data codes that the standard allows, `missing` the text written when there is no value; an
    `optional` field without a value is left out. `field` is the catalogue field. `codes` maps its values to the
    standard's codes (`else`: any other value); an empty `codes` must be set by a configuration. `constant` is a text
    for every row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_alias=True)

    code: str
    name: str
    format: str
    no_data: tuple[str, ...] = ()
    missing: str | None = None
    optional: bool = False
    field: str | None = Field(None, alias="from")
    codes: dict[str, str] | None = None
    constant: str | None = None

    @property
    def catalogued(self) -> TapeCatalogueField | None:
        """The catalogue field that fills it."""
        return CATALOGUE[self.field] if self.field else None

    @property
    def must_be_given(self) -> bool:
        """Whether the field is required and has no source, so that a configuration must set it."""
        return self.filling == "to be given"

    @property
    def filling(self) -> Filling:
        """What the field's column contains."""
        if self.constant or (self.field and self.codes != {}):
            return "filled"
        if not self.missing:
            return "omitted" if self.optional else "to be given"
        return "not applicable" if self.missing.endswith("5") else "no data"

    @property
    def pattern(self) -> str:
        """The pattern of valid values, including no-data codes."""
        produced = [*self.codes.values()] if self.codes else []
        own = "|".join(produced) if produced else format_of(self.format).pattern
        return f"^(?:{'|'.join([own, *self.no_data])})$"

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, apart from no-data codes."""
        return not self.codes and format_of(self.format).is_number

    @property
    def nullable(self) -> bool:
        """Whether a row can be empty in this field."""
        return self.optional and not self.no_data

    @property
    def column(self) -> Column:
        """The tape's column."""
        return Column(self.code, "string", self.name, self.nullable)

    def value(self, loans: ir.Table) -> ir.Value:
        """The column's values, from loans with the catalogue field."""
        text = ibis.literal(self.constant, "string") if self.constant else ibis.null("string")
        if self.filling == "filled" and self.field:
            text = self._written(loans[self.field])
        return ibis.coalesce(text, self.missing) if self.missing else text

    def _written(self, value: ir.Value) -> ir.StringValue:
        """The values as text in the standard's format or codes."""
        if not self.codes:
            return format_of(self.format).text(value)
        named = {code: answer for code, answer in self.codes.items() if code != "else"}
        other = ibis.null("string")
        if "else" in self.codes:
            other = value.notnull().ifelse(self.codes["else"], other)
        return ibis.cases(*((value == known, code) for known, code in named.items()), else_=other)


class TapeTemplate(BaseModel):
    """A standard's template. `rows` names a catalogue flag: only loans with it are in the tape.

    `xml` has the namespace, root element and row element of the XML format; None if the standard has no XML.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    source: str
    rows: str | None = None
    xml: dict[Literal["namespace", "root", "row"], str] | None = None
    fields: tuple[TemplateField, ...]

    def filled(self, values: Mapping[str, str | Mapping[str, str]], allow_pii: bool) -> tuple[TemplateField, ...]:
        """The fields with a configuration's values set by code.

        Without `allow_pii`, fields with personal data stay unfilled.

        Raises:
            LendingError: A value is not valid or a required value is missing.
        """
        known = {field.code: field for field in self.fields}
        if unknown := [code for code in values if code not in known]:
            raise LendingError(f"template {self.name} has no field {unknown[0]!r}: {did_you_mean(unknown[0], known)}")
        fields = tuple(_usable(_given(field, values.get(field.code)), allow_pii) for field in self.fields)
        if lacking := [f"{field.code} ({field.name})" for field in fields if field.must_be_given]:
            raise LendingError(
                f"template {self.name} requires {', '.join(lacking)}, which have no data: "
                "set them in template_values (or set allow_pii for borrower ids)"
            )
        return fields

    def coverage(self) -> dict[Filling, int]:
        """The number of fields by what they contain, before a configuration sets any."""
        return coverage(self.fields)


def coverage(fields: Iterable[TemplateField]) -> dict[Filling, int]:
    """The number of fields by what they contain."""
    counted = Counter(field.filling for field in fields)
    return {filling: counted[filling] for filling in get_args(Filling)}


def _given(field: TemplateField, value: str | Mapping[str, str] | None) -> TemplateField:
    """The field with the constant or the codes that a configuration sets; None sets nothing."""
    if value is None:
        return field
    if not isinstance(value, str):
        if field.codes is None:
            raise LendingError(f"template field {field.code} ({field.name}) must be a text, not a table of codes")
        for code in value.values():
            _check_format(field, code)
        return field.model_copy(update={"codes": dict(value)})
    _check_format(field, value)
    return field.model_copy(update={"constant": value, "field": None, "codes": None})


def _check_format(field: TemplateField, value: str) -> None:
    pattern = format_of(field.format).pattern
    if not re.fullmatch(pattern, value):
        raise LendingError(
            f"template field {field.code} ({field.name}): {value!r} does not match {field.format}: {pattern}"
        )


def _usable(field: TemplateField, allow_pii: bool) -> TemplateField:
    """The field, without its source if that is personal data and not allowed, or if its codes are not set."""
    personal = field.catalogued is not None and field.catalogued.pii and not allow_pii
    return field.model_copy(update={"field": None, "codes": None}) if personal or field.codes == {} else field


def _read(code: str, settings: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The values of a TemplateField from its settings in the template's file."""
    allowed = [f"{prefix}{option}" for option in _NO_DATA[settings.pop("no_data", "")]]
    return {"code": code, "no_data": allowed, "missing": next(iter(allowed), None), **settings}


def template_names() -> list[str]:
    """The names of the templates."""
    return sorted(path.name.removesuffix(".toml") for path in _FOLDER.iterdir() if path.name.endswith(".toml"))


@cache
def template(name: str) -> TapeTemplate:
    """The template with that name. Raises LendingError, with similar names, when there is none."""
    if name not in template_names():
        raise LendingError(f"unknown tape template {name!r}: {did_you_mean(name, template_names())}")
    content: dict[str, Any] = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    prefix = content.pop("no_data_prefix", "")
    fields = [_read(code, settings, prefix) for code, settings in content.pop("fields").items()]
    try:
        return TapeTemplate(name=name, fields=fields, **content)
    except ValidationError as error:
        raise LendingError(f"tape template {name} cannot be read: {error}") from error
