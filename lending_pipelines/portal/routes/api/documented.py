"""The OpenAPI document of the API: schemas and errors of the answers. The endpoints add summaries and parameters."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel

from lending_pipelines.portal.web.encoded import MEDIA_TYPES
from lending_pipelines.portal.web.problems import MEDIA_TYPE
from lending_pipelines.tables.schema import MONEY, RATE, Column

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

_ERRORS = {
    400: "The request cannot be answered: a cursor of another order, or a value that the data does not allow.",
    401: "No token or session, or one that is not valid.",
    403: "The role, or the token, does not allow it.",
    404: "It does not exist, it is outside your scope, or there is no data yet.",
    406: "The header Accept names no available format.",
    409: "Its current state does not allow it.",
    410: "The file was removed.",
    422: "A parameter or field is wrong: `errors` names each, what was found, and what to write.",
    429: "Too many requests of this kind: the header Retry-After says when to try again.",
}

PROBLEM: Schema = {
    "type": "object",
    "description": "What is wrong (RFC 9457).",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reference": {"type": "string", "description": "Identifies the failure in the server's log."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "in", "found", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "in": {"type": "string", "description": "query, path, header or body"},
                    "found": {},
                    "message": {"type": "string"},
                },
            },
        },
    },
}

_TYPES: Mapping[str, Schema] = {
    "string": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "timestamp(6)": {"type": "string", "format": "date-time"},
    "boolean": {"type": "boolean"},
    "int64": {"type": "integer"},
    "float64": {"type": "number"},
    MONEY: {"type": "string", "pattern": r"^-?\d+\.\d{2}$"},
    RATE: {"type": "string", "pattern": r"^-?\d+\.\d{8}$"},
}
_EXAMPLES: Mapping[str, Any] = {
    "string": "text",
    "date": date(2025, 3, 31).isoformat(),
    "timestamp(6)": datetime(2025, 4, 1, 2, 15).isoformat() + "Z",
    "boolean": False,
    "int64": 12,
    "float64": 0.125,
    MONEY: "1250.00",
    RATE: "0.12500000",
}
_NAMED_EXAMPLES: Mapping[str, Any] = {"currency": "EUR", "scope": "portfolio", "scope_id": "P01", "bucket": "1-30"}


FILE_ANSWER: dict[str, Any] = {
    "description": "The file.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


def answers(answer: dict[str, Any], *errors: int, status: int = 200, unchanged: bool = False) -> Responses:
    """The documentation of an endpoint's answers: the successful one, and errors."""
    not_modified: Responses = {304: {"description": "The rows are those of the ETag in the request."}}
    return {status: answer, **(not_modified if unchanged else {}), **{each: _problem(each) for each in errors}}


def schema_of(model: type[BaseModel]) -> Schema:
    """The schema of an answer, complete in itself: the models that it names are written where they are named."""
    schema = model.model_json_schema(mode="serialization")
    return _without_references(schema, schema.pop("$defs", {}))


def _without_references(part: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_without_references(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    named = definitions[part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else {}
    own = {name: value for name, value in part.items() if name != "$ref"}
    return {name: _without_references(value, definitions) for name, value in {**named, **own}.items()}


def json_answer(description: str, schema: Schema, example: Any) -> dict[str, Any]:
    """The documentation of an answer in JSON."""
    return {"description": description, "content": {MEDIA_TYPES["json"]: {"schema": schema, "example": example}}}


def row_of(columns: Sequence[Column], embedded: Sequence[str] = ()) -> Schema:
    """The schema of a row; `embedded` are columns with any JSON."""
    return {
        "type": "object",
        "required": [column.name for column in columns],
        "properties": {column.name: _column(column, embedded) for column in columns},
    }


def rows_answer(columns: Sequence[Column], embedded: Sequence[str] = ()) -> dict[str, Any]:
    """The documentation of an answer with rows; `embedded` are columns with any JSON."""
    row = row_of(columns, embedded)
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        "description": "A page of rows; in CSV and Arrow all rows, without `limit` and `cursor`.",
        "headers": _HEADERS,
        "content": {
            MEDIA_TYPES["json"]: {
                "schema": page_of(row),
                "example": {"data": [example_of(columns, embedded)], "next": None, "previous": None},
            },
            "text/csv": {"schema": {"type": "string"}},
            MEDIA_TYPES["arrow"]: binary,
        },
    }


def page_of(row: Schema) -> Schema:
    """The schema of a page."""
    cursor = {"type": ["string", "null"]}
    return {
        "type": "object",
        "required": ["data", "next", "previous"],
        "properties": {
            "data": {"type": "array", "items": row},
            "next": {**cursor, "description": "The cursor of the next page; null on the last one."},
            "previous": {**cursor, "description": "The cursor of the previous page; null on the first one."},
        },
    }


_HEADERS: Schema = {
    "ETag": {"schema": {"type": "string"}, "description": "Identifies the rows: send it as If-None-Match."},
    "Link": {"schema": {"type": "string"}, "description": "The addresses of the next and the previous page."},
}


def _problem(status: int) -> dict[str, Any]:
    example = {"type": "about:blank", "title": "…", "status": status, "detail": _ERRORS[status]}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    return {"description": _ERRORS[status], "content": content}


def _column(column: Column, embedded: Sequence[str]) -> Schema:
    if column.name in embedded:
        return {"description": column.description}
    schema = dict(_TYPES[str(column.type)])
    if column.nullable or column.personal:
        schema["type"] = [schema["type"], "null"]
    return schema | ({"description": column.description} if column.description else {})


def example_of(columns: Sequence[Column], embedded: Sequence[str] = ()) -> dict[str, Any]:
    """An example of a row."""
    examples = {column.name: _EXAMPLES[str(column.type)] for column in columns}
    named = {name: value for name, value in _NAMED_EXAMPLES.items() if name in examples}
    return examples | named | {name: {} for name in embedded}
