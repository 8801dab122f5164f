"""The contrast of the tokens, by the formula of WCAG 2.2: 4.5:1 for text, 3:1 for borders of fields and marks."""

import re

import pytest

from lending_pipelines.portal.web.static_files import FOLDER

TOKENS = {
    name: pair
    for name, *pair in re.findall(
        r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (FOLDER / "styles" / "tokens.css").read_text(encoding="utf-8")
    )
}
SURFACES = ("page", "surface", "raised", "sunken", "hover")
MEANINGS = ("good", "warn", "bad", "info", "plain", "accent")


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_gives_published_values():
    # Black on white is 21:1; #767676 is the lightest grey that reaches 4.5:1 on white.
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") >= 4.5 > contrast("#777777", "#ffffff")


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_is_readable_on_every_surface(theme):
    pairs = [(name, surface) for name in ("text", "muted", "faint", *MEANINGS) for surface in SURFACES]
    pairs += [(name, f"{name}-soft") for name in MEANINGS] + [("text", f"{name}-soft") for name in MEANINGS]
    pairs += [(name, "surface") for name in TOKENS if re.fullmatch(r"chart-.*-name", name)]
    found = {pair: contrast(TOKENS[pair[0]][theme], TOKENS[pair[1]][theme]) for pair in pairs}
    assert len(pairs) == 9 * 5 + 6 + 6 + 9
    assert {pair: ratio for pair, ratio in found.items() if ratio < 4.5} == {}
    for fill in ("accent-fill", "accent-fill-hover"):
        assert contrast("#ffffff", TOKENS[fill][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_borders_of_fields_and_marks_of_charts_are_seen(theme):
    names = ["line-control", *(f"chart-{n}" for n in range(1, 9))]
    assert {name: TOKENS[name] for name in names if contrast(TOKENS[name][theme], TOKENS["surface"][theme]) < 3} == {}
