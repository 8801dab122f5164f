"""The mapping file: which tables and columns of a lender are which servicing tables and columns.

A mapping is checked completely when it is read: names against the servicing tables, settings against their types.
Faults that only the lender's data can show, such as a column that does not exist, are found in adapter.py.
"""

import codecs
from collections.abc import Collection, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import ibis
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lending_pipelines.bounds import parse_toml, read_text
from lending_pipelines.errors import did_you_mean, first_of
from lending_pipelines.sources.convert import REFUSED, to_arrow
from lending_pipelines.sources.mapped.lines import line_of
from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables import SERVICING, Column
from lending_pipelines.tables.schema import MONEY, RATE

Constant = str | int | float | Decimal | bool | date | datetime


NUMBERS = (MONEY, RATE, "int64")
"""The types of servicing columns that hold numbers."""


class ColumnRule(BaseModel):
    """How a servicing column is read. Exactly one of `column`, `coalesce`, `sum` and `constant` is given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    column: str | None = None
    """The lender's column."""
    coalesce: list[str] = Field(default=[], max_length=20)
    """Columns of the lender, of which the first with a value counts."""
    summed: list[str] = Field(default=[], max_length=20, alias="sum")
    """Columns with numbers, which are added. A missing value counts as 0; if all values are missing, so is the sum."""
    constant: Constant | None = None
    """A value for every row."""
    split: str = Field(default="", max_length=20)
    """Text that separates the parts of a value."""
    part: int = Field(default=1, ge=1, le=100)
    """The part to take, from 1."""
    codes: dict[str, Constant] = {}
    """The value of each code. A code that is not listed is an error."""
    scale: Decimal = Decimal(1)
    """The factor by which a number is multiplied: 0.01 for a rate in percent."""
    formats: list[str] = Field(default=[], max_length=20, alias="date")
    """How dates or timestamps are written, as in Python's strptime, such as %d.%m.%Y."""
    zone: str = ""
    """The IANA time zone of timestamps that have none. Without this setting, they are read as UTC."""
    prefix: str = Field(default="", max_length=50)
    """Text in front of a value."""
    default: Constant | None = None
    """The value of rows that have none."""

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, given: Any) -> Any:
        """Convert the short forms of `date` and `scale`: one format instead of a list, a number as text."""
        if isinstance(given, dict):
            given = dict(given)
            if isinstance(given.get("date"), str):
                given["date"] = [given["date"]]
            if isinstance(given.get("scale"), str | int | float):
                given["scale"] = _decimal(given["scale"])
        return given

    @property
    def columns(self) -> list[str]:
        """The lender's columns that are read."""
        return [self.column] if self.column is not None else [*self.coalesce, *self.summed]


class TableRule(BaseModel):
    """A table or file of the lender that gives rows of a servicing table."""

    model_config = ConfigDict(extra="forbid", strict=True)

    origin: str = Field(alias="from", min_length=1)
    """The table, view or file."""
    sheet: str = ""
    """The worksheet of an XLSX file. By default, the first one."""
    decimal_comma: bool = False
    """Whether numbers in text are written as 1.234,56."""
    encoding: str = "utf-8"
    """The encoding of a CSV file."""
    where: dict[str, bool | list[str]] = {}
    """The rows that count, by column: true for rows with a value, false for rows without, or the accepted values."""
    columns: dict[str, ColumnRule]

    @property
    def used(self) -> list[str]:
        """The lender's columns that are read, in order."""
        names = [name for rule in self.columns.values() for name in rule.columns]
        return list(dict.fromkeys([*names, *self.where]))


class Mapping(BaseModel):
    """A mapping file. A servicing table can come from several tables of the lender."""

    model_config = ConfigDict(extra="forbid", strict=True)

    origin: str = Field(alias="from", min_length=1)
    """A SQLAlchemy URL, or a folder of files, relative to the mapping file."""
    tables: dict[str, list[TableRule]]


def read_mapping(file: Path) -> Mapping:
    """Read and check a mapping file.

    Raises:
        SourceError: The file cannot be read, or has faults. All faults are named, each with its line.
    """
    what = "mapped: the mapping file"
    text = read_text(file, what, SourceError)
    content = _normal(parse_toml(text, f"{what} {file}", SourceError))
    faults = list(_name_faults(content))
    try:
        mapping = Mapping.model_validate(content)
    except ValidationError as error:
        faults += [(tuple(each["loc"]), _words(each)) for each in error.errors(include_url=False)]
    else:
        faults += _faults(mapping)
        if not faults:
            return mapping
    told = sorted((line_of(text, place), f"{_name(place)}: {problem}") for place, problem in faults)
    raise SourceError(f"mapped: {file}: {first_of([f'line {line}: {problem}' for line, problem in told])}")


def _normal(content: dict[str, Any]) -> dict[str, Any]:
    """The content with every table as a list of rules, and every column as a table of settings."""
    tables = content.get("tables")
    if not isinstance(tables, dict):
        return content
    return content | {"tables": {name: _rules(given) for name, given in tables.items()}}


def _rules(given: Any) -> Any:
    rules = given if isinstance(given, list) else [given]
    return [
        rule | {"columns": {name: _column(value) for name, value in rule["columns"].items()}}
        if isinstance(rule, dict) and isinstance(rule.get("columns"), dict)
        else rule
        for rule in rules
    ]


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _decimal(value: str | int | float) -> Any:
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return value
    return number if number.is_finite() else value


def _words(error: Any) -> str:
    """The message for an error of pydantic."""
    match error["type"]:
        case "extra_forbidden":
            known = {"from", *Mapping.model_fields, *TableRule.model_fields} - {"origin"}
            if len(error["loc"]) > 4:
                known = {"date", "sum", *ColumnRule.model_fields} - {"formats", "summed"}
            return f"there is no such setting; {did_you_mean(str(error['loc'][-1]), known)}"
        case "missing":
            return "is missing"
        case _:
            return f"{error['msg'].lower()}, found {str(error['input'])[:200]!r}"


def _name_faults(content: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Servicing tables and columns that do not exist, and required columns that the mapping lacks.

    These faults are also found if other settings have the wrong type.
    """
    tables = content.get("tables")
    for name, rules in tables.items() if isinstance(tables, dict) else ():
        if name not in SERVICING:
            yield ("tables", name, 0), f"there is no such servicing table; {did_you_mean(name, SERVICING)}"
            continue
        table = SERVICING[name]
        for number, rule in enumerate(rules):
            place = ("tables", name, number, "columns")
            given = rule.get("columns") if isinstance(rule, dict) else None
            if not isinstance(given, dict):
                continue
            if lacking := [c.name for c in table.columns if not c.nullable and c.name not in given]:
                yield place, f"{name} must also have {', '.join(lacking)}"
            for column in given.keys() - set(table.names):
                yield (*place, column), f"{name} has no such column; {did_you_mean(column, table.names)}"


def _faults(mapping: Mapping) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The faults of a mapping whose settings have the right types: (place, problem)."""
    for name in mapping.tables.keys() & SERVICING.keys():
        table = SERVICING[name]
        for number, rule in enumerate(mapping.tables[name]):
            place = ("tables", name, number)
            if not rule.used:
                yield (*place, "columns"), f"no column of {rule.origin} is used; rows need at least one"
            if not _is_encoding(rule.encoding):
                yield (*place, "encoding"), f"there is no encoding {rule.encoding!r}; write one such as latin-1"
            for column in rule.columns.keys() & set(table.names):
                yield from _column_faults(table.column(column), rule.columns[column], (*place, "columns", column))


def _column_faults(
    column: Column, rule: ColumnRule, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    name = column.name
    ways = {"column": rule.column, "coalesce": rule.coalesce, "sum": rule.summed, "constant": rule.constant}
    given = [setting for setting, value in ways.items() if value not in (None, [])]
    if len(given) != 1:
        yield place, f"give exactly one of {', '.join(ways)}, found {' and '.join(given) or 'none'}"
    if rule.formats and not _is_timed(column):
        yield (*place, "date"), f"{name} is not a date or a timestamp"
    if rule.zone and not column.type.startswith("timestamp"):
        yield (*place, "zone"), f"{name} is not a timestamp"
    if rule.zone and rule.zone not in available_timezones():
        yield (*place, "zone"), f"there is no time zone {rule.zone!r}; {did_you_mean(rule.zone, available_timezones())}"
    for setting, is_given in (("scale", rule.scale != 1), ("sum", bool(rule.summed))):
        if is_given and column.type not in NUMBERS:
            yield (*place, setting), f"{name} is not a number"
    if rule.scale == 0:
        yield (*place, "scale"), "must not be 0"
    for wanted in rule.formats:
        if not _is_date_format(wanted):
            yield (*place, "date"), f"{wanted!r} is not a date format with a year, such as %d.%m.%Y"
    if rule.constant is not None and (others := rule.model_fields_set - {"constant", "column", "coalesce", "summed"}):
        named = sorted(ColumnRule.model_fields[each].alias or each for each in others)
        yield place, f"a constant is used as it is: leave out {', '.join(named)}"
    if rule.part != 1 and not rule.split:
        yield (*place, "part"), "needs `split`, the text between the parts"
    yield from _value_faults(column, rule, place)


def _value_faults(
    column: Column, rule: ColumnRule, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Constants that the column does not accept."""
    given: dict[str, Collection[Any]] = {
        "constant": [rule.constant],
        "default": [rule.default],
        "codes": rule.codes.values(),
    }
    for setting, values in given.items():
        for value in values:
            if column.values and value is not None and value not in column.values:
                yield (
                    (*place, setting),
                    f"{value!r} is not a value of {column.name}; {did_you_mean(str(value), column.values)}",
                )
            elif setting != "codes" and value is not None and not _fits(column, value):
                yield (*place, setting), f"{str(value)!r} is not of the type {column.type}"


def _fits(column: Column, value: Constant) -> bool:
    """Whether a constant converts to the type of the column."""
    try:
        to_arrow([value], ibis.dtype(column.type).to_pyarrow())
    except REFUSED:
        return False
    return True


def _is_date_format(wanted: str) -> bool:
    """Whether Python can write a date with the format and read it back, including the year."""
    moment = datetime(2001, 2, 3)
    try:
        return datetime.strptime(moment.strftime(wanted), wanted).year == moment.year
    except ValueError:
        return False


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True


def _is_timed(column: Column) -> bool:
    return column.type == "date" or column.type.startswith("timestamp")


def _name(place: tuple[str | int, ...]) -> str:
    """The name of a place in messages: without the numbers of tables."""
    return ".".join(str(part) for part in place if not isinstance(part, int))
