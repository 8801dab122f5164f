import json

import typst
from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.exports.pdf_layout import (
    INSET,
    LANDSCAPE,
    PORTRAIT,
    Grid,
    breakable,
    ems,
    fitting,
    parts,
    upright,
)

AMOUNT = "−1,234,567.89"


def grid(keys, numbers, rows=20, totals=()):
    labels = [f"Key {n}" for n in range(keys)] + [f"Amount {n}" for n in range(numbers)]
    right = [False] * keys + [True] * numbers
    body = [[f"P{row}"] * keys + [AMOUNT] * numbers for row in range(rows)]
    return Grid(labels, right, right, body, list(totals))


def test_a_narrow_table_is_one_part_in_the_comfortable_look():
    [part] = parts(grid(1, 4), PORTRAIT)
    assert part.grid == grid(1, 4)
    assert part.look.size == 8.5
    assert part.caption == ""


def test_a_wide_table_repeats_its_keys_in_every_part_and_loses_no_column():
    made = parts(grid(2, 38, totals=[["Total", "", "1.00", *[""] * 36, "2.00"]]), LANDSCAPE)
    assert len(made) > 1
    assert all(part.grid.labels[:2] == ["Key 0", "Key 1"] for part in made)
    assert [label for part in made for label in part.grid.labels[2:]] == [f"Amount {n}" for n in range(38)]
    assert all(sum(part.look.widths) <= LANDSCAPE for part in made)
    assert all(len(part.grid.rows) == 20 for part in made)
    assert made[0].caption.startswith(f"Part 1 of {len(made)}: Amount 0 to Amount ")
    # A total is printed where it has something to say.
    assert [len(part.grid.totals) for part in made] == [1, *[0] * (len(made) - 2), 1]


def test_a_wide_table_of_few_rows_is_turned():
    wide = grid(1, 20, rows=2)
    transposed = upright(wide)
    assert (transposed.labels, transposed.right) == (["Key 0", "P0", "P1"], [False, True, True])
    assert transposed.rows == [[f"Amount {n}", AMOUNT, AMOUNT] for n in range(20)]
    assert upright(grid(1, 4, rows=2)) == grid(1, 4, rows=2)
    assert upright(grid(1, 20, rows=4)) == grid(1, 20, rows=4)


def test_a_turned_table_is_headed_by_what_tells_its_rows_apart():
    wide = grid(2, 20, rows=2)
    for row, currency in zip(wide.rows, ("EUR", "USD"), strict=True):
        row[0], row[1] = "all", currency
    assert upright(wide).labels == ["Key 1", "EUR", "USD"]
    assert upright(wide).rows[0] == ["Key 0", "all", "all"]


def test_only_words_wider_than_a_line_are_broken():
    text = "Société Générale " * 12
    assert breakable(text, 100, 10) == text
    broken = breakable("see " + "a" * 200, 100, 10)
    assert broken.replace("\u200b", "") == "see " + "a" * 200
    assert max(map(ems, broken.replace("see ", "").split("\u200b"))) <= 10


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=80), min_size=1))
def test_any_text_fits_a_page(labels):
    flags = [False] * len(labels)
    odd = Grid(labels, flags, flags, [labels], [])
    for part in parts(odd, PORTRAIT):
        assert sum(part.look.widths) <= PORTRAIT


def test_numbers_and_labels_are_no_wider_in_print_than_estimated():
    texts = [
        AMOUNT,
        "99,999,999,999.99",
        "97.25%",
        "2025-01-31 04:05:06",
        "Principal",
        "outstanding",
        "Mismatch",
        "L-01",
    ]
    source = b"""
    #set text(font: "Libertinus Serif", size: 100pt, number-width: "tabular")
    #context [#metadata(json(bytes(sys.inputs.texts)).map(
      t => (measure(t).width.pt(), measure(strong(t)).width.pt()),
    )) <widths>]"""
    inputs = {"texts": json.dumps(texts)}
    widths = json.loads(typst.query(source, "<widths>", field="value", one=True, sys_inputs=inputs))
    assert all(width <= 100 * ems(text) + INSET for text, (width, _) in zip(texts, widths, strict=True))
    assert all(bold <= 110 * ems(text) + INSET for text, (_, bold) in zip(texts, widths, strict=True))


def test_a_table_that_no_look_fits_has_none():
    assert fitting(grid(1, 40), PORTRAIT) is None
