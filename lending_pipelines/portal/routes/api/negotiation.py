"""Which format an answer has: the parameter `format`, or else the header Accept."""

from fastapi import Request

from lending_pipelines.portal.web.encoded import MEDIA_TYPES, Format
from lending_pipelines.portal.web.problems import Problem


def format_of(request: Request, parameter: Format | None) -> Format:
    """The format of the answer; JSON if the client accepts any. Raises Problem (406)."""
    if parameter is not None:
        return parameter
    accepted = _by_preference(request.headers.get("accept", ""))
    if not accepted:
        return "json"
    for wanted in accepted:
        for name, media_type in MEDIA_TYPES.items():
            kind = media_type.partition(";")[0]
            if wanted in (kind, "*/*", f"{kind.partition('/')[0]}/*"):
                return name
    known = ", ".join(media_type.partition(";")[0] for media_type in MEDIA_TYPES.values())
    raise Problem(406, f"the header Accept is {', '.join(accepted)!r}: write one of {known}")


def _by_preference(header: str) -> list[str]:
    """The media types that a client accepts, the most preferred first."""
    wanted: list[tuple[float, str]] = []
    for part in header.split(","):
        kind, *settings = (each.strip() for each in part.split(";"))
        quality = next((each[2:] for each in settings if each.startswith("q=")), "1")
        try:
            weight = float(quality)
        except ValueError:
            weight = 1.0
        if kind and weight > 0:
            wanted.append((weight, kind.lower()))
    return [kind for _, kind in sorted(wanted, key=lambda each: -each[0])]
