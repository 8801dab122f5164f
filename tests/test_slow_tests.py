"""The lists of slow tests name files and tests that are there."""

from pathlib import Path

import slow_tests

TREE = Path(__file__).parent


def test_the_slow_files_are_there() -> None:
    assert [pattern for pattern in slow_tests.FILES if not list(TREE.rglob(pattern))] == []


def test_the_slow_tests_are_there() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in TREE.rglob("test_*.py")}
    named = [name.split("::") for name in slow_tests.TESTS]
    assert [(file, test) for file, test in named if f"def {test}(" not in texts.get(file, "")] == []
