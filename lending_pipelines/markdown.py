"""Names and other texts from data, written so that Markdown shows them as they are."""

import re
from html import escape

_SPECIAL = re.compile(r"[\\`*\[\]|!~#]|(?<!\w)_|_(?!\w)")


def escaped(text: object) -> str:
    """The text on one line, without links, images, HTML, emphasis or further table cells."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", escape(" ".join(str(text).split(" ")), quote=False)).replace(
        "\n", " "
    )


def fenced(text: str) -> str:
    """The text as a block of code, which shows every character as it is."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
