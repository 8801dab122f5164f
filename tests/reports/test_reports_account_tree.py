from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.reports.account_tree import AccountTree


def _tree(**parents):
    return AccountTree.of(
        [
            {"account_code": code, "name": code, "account_type": "asset", "parent_code": parent}
            for code, parent in parents.items()
        ]
    )


def test_accounts_on_a_cycle_have_no_parent_and_those_below_them_keep_theirs():
    # a → b → c → a is a cycle; d hangs below it.
    tree = _tree(a="b", b="c", c="a", d="a")
    assert tree.cycles == [["a", "b", "c"]]
    sums = tree.summed({"b": [Decimal(1)], "d": [Decimal(2)]})
    assert sums == {"b": [Decimal(1)], "d": [Decimal(2)], "a": [Decimal(2)]}
    assert tree.ordered(sums) == [("a", 0), ("d", 1), ("b", 0)]
    assert tree.notes() == ["These accounts are each other's parents, so the parent of each is ignored: a, b, c."]


def test_an_account_that_is_its_own_parent_is_a_cycle():
    assert _tree(a="a").cycles == [["a"]]


def test_a_parent_that_is_not_there_is_told():
    tree = _tree(a="x", b="a")
    assert (tree.orphans, tree.ordered({"a", "b"})) == (["a"], [("a", 0), ("b", 1)])
    assert "a (parent_code x)" in tree.notes()[0]


def test_accounts_outside_of_the_chart_stand_at_the_top():
    tree = _tree(a=None)
    assert tree.ordered(tree.summed({"z": [Decimal(1)]})) == [("z", 0)]
    assert tree.account("z").account_type is None


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([*"abcdefghxy", None])), st.data())
def test_every_account_is_listed_once_and_the_top_adds_up_to_all(parents, data):
    tree = _tree(**parents)
    own = {code: [Decimal(data.draw(st.integers(-100, 100)))] for code in [*parents, "z"]}
    sums = tree.summed(own)
    listed = tree.ordered(sums)
    assert sorted(code for code, _ in listed) == sorted(own)
    top = sum(sums[code][0] for code, level in listed if level == 0)
    assert top == sum(amount for (amount,) in own.values())
