"""Posted forms, read before a route runs: routes that write are not async, so that none blocks the others."""

from typing import Annotated

from fastapi import Depends, Request

MOST_FIELDS = 200
"""The maximum number of fields of a form. A form with more is refused."""


async def _posted(request: Request) -> dict[str, str]:
    sent = await request.form(max_files=0, max_fields=MOST_FIELDS)
    return {name: str(value) for name, value in sent.items()}


Posted = Annotated[dict[str, str], Depends(_posted)]
"""The fields of a posted form, without files. Of fields with the same name the last one counts."""
