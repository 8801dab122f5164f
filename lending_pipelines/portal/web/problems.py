"""Errors of the API as problem+json (RFC 9457): what is wrong, and for each field what was found and what to write."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, get_type_hints

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from lending_pipelines.errors import LendingError, did_you_mean

MEDIA_TYPE = "application/problem+json"

_LONGEST_FOUND = 200
"""The maximum number of letters of a value in an error."""


class Problem(LendingError):
    """An error with its HTTP status, and the faults of fields if there are any."""

    def __init__(self, status: int, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors


def problem(status: int, detail: str = "", errors: Sequence[Mapping[str, Any]] = (), **more: Any) -> JSONResponse:
    """The error as an answer."""
    content: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    content |= {"detail": detail} if detail else {}
    content |= {"errors": list(errors)} if errors else {}
    content |= {name: value for name, value in more.items() if value is not None}
    return JSONResponse(content, status, media_type=MEDIA_TYPE)


def fault(field: str, found: Any, message: str, where: str = "body") -> dict[str, Any]:
    """What is wrong with one field."""
    return {"field": field, "in": where, "found": _shown(found), "message": message}


def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """The answer to a request whose parameters or body the endpoint does not accept."""
    errors = [_fault(request, each) for each in error.errors()]
    return problem(422, "; ".join(f"{each['field']}: {each['message']}" for each in errors), errors)


def _fault(request: Request, error: Mapping[str, Any]) -> dict[str, Any]:
    where, *path = (str(part) for part in error["loc"])
    # The numbers of list items and the names of a union's members are not fields.
    name = path[0] if path and where != "body" else ".".join(path)
    found: Any = None if error["type"] == "missing" else error.get("input")
    return fault(name or where, found, _message(request, error, name), where)


def _message(request: Request, error: Mapping[str, Any], name: str) -> str:
    """What is wrong with a field and what to write."""
    match error["type"]:
        case "extra_forbidden":
            return f"there is no such field; {did_you_mean(name, _fields(request))}"
        case "missing":
            return "it is missing: write it"
        case "literal_error":
            return did_you_mean(str(error["input"]), _expected(error["ctx"]["expected"]))
        case "json_invalid":
            return "the body is not JSON"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


def _expected(text: str) -> Iterable[str]:
    """The values that pydantic names in a message."""
    return re.findall(r"'([^']*)'", text)


def _fields(request: Request) -> list[str]:
    """The fields of the models that the endpoint of a request accepts."""
    hints = get_type_hints(request.scope["endpoint"])
    models = [each for each in hints.values() if isinstance(each, type) and issubclass(each, BaseModel)]
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def _shown(value: Any) -> Any:
    """What was found, as a JSON value, shortened."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST_FOUND else f"{text[:_LONGEST_FOUND]}…"
