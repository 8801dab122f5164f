import openpyxl
from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.exports.names import file_names, sheet_names


def test_titles_of_200_characters_stay_apart():
    title = "Transition rates " * 12
    names = sheet_names([title, title, title.upper()])
    assert names == [
        "Transition rates Transition rat",
        "Transition rates Transition r 2",
        "TRANSITION RATES TRANSITION R 3",
    ]
    files = file_names([title, title])
    assert len(set(files)) == 2
    assert max(map(len, files)) <= 80


def test_what_excel_refuses_is_replaced():
    assert sheet_names(["P&L [a/b]: x*y?", "'quoted'", "History", "", "\\"]) == [
        "P&L  a b   x y",
        "quoted",
        "History_",
        "Sheet",
        "Sheet 2",
    ]


def test_an_emoji_is_two_of_excels_characters():
    [name] = sheet_names(["💶" * 20])
    assert name == "💶" * 15


def test_file_names_have_no_folders():
    assert file_names(["../../etc/passwd", "By portfolio", "…"]) == ["etc_passwd", "by_portfolio", "table"]


@given(st.lists(st.text(max_size=60), max_size=6))
def test_any_titles_become_valid_names_told_apart(titles):
    names = sheet_names(titles)
    assert len({name.casefold() for name in names}) == len(titles)
    book = openpyxl.Workbook(write_only=True)
    for name in names:
        assert 1 <= len(name.encode("utf-16-le")) // 2 <= 31
        assert not name.startswith("'")
        assert not name.endswith("'")
        assert book.create_sheet(name).title == name
