"""The query parameters of table resources, as a pydantic model per resource. Other parameters are rejected."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from lending_pipelines.portal.lake.keyset import MOST_ROWS
from lending_pipelines.portal.lake.scoped_lake import ScopedLake
from lending_pipelines.portal.lake.table_rules import STAFF_COLUMNS
from lending_pipelines.portal.queries.resources import DAY, Condition, TableResource, label
from lending_pipelines.portal.web.encoded import Format
from lending_pipelines.tables.schema import MONEY, Column

PAGE_ROWS = 50


def _iso(value: Any) -> Any:
    """Accept ISO dates only: pydantic would also accept times and numbers of seconds."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("write a date like 2025-01-31")
    return value


IsoDate = Annotated[date, BeforeValidator(_iso)]
"""A date like 2025-01-31."""

Text = Annotated[str, Field(max_length=200)]

_NUMBERS: Mapping[str, Any] = {
    MONEY: Annotated[Decimal, Field(max_digits=18, decimal_places=2)],
    "int64": Annotated[int, Field(ge=-(10**15), le=10**15)],
    "float64": Annotated[float, Field(allow_inf_nan=False)],
}


class PageParameters(BaseModel):
    """The parameters of every list."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(
        None, max_length=4000, description="Where the page begins: `next` or `previous` of an earlier answer."
    )
    limit: int | None = Field(
        None, ge=1, le=MOST_ROWS, description=f"The number of rows of a page; {PAGE_ROWS} in JSON."
    )
    format: Format | None = Field(
        None,
        description="json, csv or arrow (a stream); by default what the header Accept asks for. CSV and Arrow have all"
        " rows, unless `limit` or `cursor` asks for a page.",
    )


def parameters_of(resource: TableResource) -> type[PageParameters]:
    """The query parameters of a resource."""
    fields: dict[str, Any] = {}
    if resource.daily:
        fields |= {
            "date": (IsoDate | Literal["latest"] | None, Field(None, description="A business date, or latest.")),
            "from": (IsoDate | None, Field(None, description="The first business date.")),
            "to": (IsoDate | None, Field(None, description="The last business date.")),
        }
    for name in resource.filters:
        fields[name] = _filter(resource.lake_table.column(name))
    for name in resource.ranges:
        type_ = _NUMBERS[str(resource.lake_table.column(name).type)]
        fields[f"{name}_min"] = (type_ | None, Field(None, description=f"The smallest {name}."))
        fields[f"{name}_max"] = (type_ | None, Field(None, description=f"The largest {name}."))
    orders = [sign + name for name in resource.orders for sign in ("", "-")]
    fields["sort"] = (
        Literal[tuple(orders)],
        Field(orders[0], description="The order of the rows; with a minus, descending. Nulls come last."),
    )
    if has_borrowers(resource):
        described = "Show the personal data of borrowers. It is recorded."
        fields["personal"] = (bool, Field(False, description=described))
    name = "".join(part.title() for part in resource.path.replace("/", "-").split("-"))
    return create_model(f"{name}Parameters", __base__=PageParameters, **fields)


def has_borrowers(resource: TableResource) -> bool:
    """Whether a resource has personal data of borrowers."""
    return any(column.personal and (resource.table, column.name) not in STAFF_COLUMNS for column in resource.shown)


def conditions_of(
    resource: TableResource, given: PageParameters, lake: ScopedLake
) -> tuple[tuple[Condition, ...], dict[str, Any]]:
    """The conditions of the parameters, and their values. Without a date: the last closed day."""
    found = dict(_conditions(resource, given, lake))
    return tuple(found), {label(condition): value for condition, value in found.items()}


def _conditions(resource: TableResource, given: PageParameters, lake: ScopedLake) -> Iterator[tuple[Condition, Any]]:
    """The conditions with their values."""
    wanted = given.model_dump(exclude_none=True)
    if resource.daily:
        on = wanted.get("date", "latest")
        if "date" in wanted or not wanted.keys() & {"from", "to"}:
            yield (DAY, "is"), lake.last_day or date.min if on == "latest" else on
        for bound in ("from", "to"):
            if bound in wanted:
                yield (DAY, bound), wanted[bound]
    for name in resource.filters:
        values = wanted.get(name)
        if isinstance(values, list) and len(values) == 1:
            yield (name, "is"), values[0]
        elif values is not None:
            yield (name, "in" if isinstance(values, list) else "is"), values
    for name in resource.ranges:
        for bound, ending in (("from", "_min"), ("to", "_max")):
            if name + ending in wanted:
                yield (name, bound), wanted[name + ending]


def _filter(column: Column) -> tuple[Any, Any]:
    """A parameter that takes one value of a column, or several."""
    described = column.description or f"The {column.name.replace('_', ' ')}"
    if str(column.type) == "boolean":
        return bool | None, Field(None, description=described)
    allowed: Any = Literal[column.values] if column.values and not column.of_buckets else Text
    described += ". Repeat it for several values."
    return list[allowed] | None, Field(None, max_length=100, description=described)
