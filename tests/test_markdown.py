"""A name from the servicing data is shown as it is where Markdown is made."""

import pytest

from lending_pipelines.markdown import escaped, fenced


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[pay](https://evil.example)", r"\[pay\](https://evil.example)"),
        ("![x](https://evil.example)", r"\!\[x\](https://evil.example)"),
        ("a | b", r"a \| b"),
        ("**bold** _it_ `code`", r"\*\*bold\*\* \_it\_ \`code\`"),
        ("loan_positions", "loan_positions"),
        ("two\nlines", "two lines"),
        ("R&D", "R&amp;D"),
    ],
)
def test_special_characters_are_escaped(name, written):
    assert escaped(name) == written


def test_a_block_of_code_does_not_end_early():
    assert fenced("a\n```\n# b") == "````\na\n```\n# b\n````"
