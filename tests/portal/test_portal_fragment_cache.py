"""Cached page fragments: drawn once for the same rows and address, bounded, and never shown for other rows."""

from markupsafe import Markup

from lending_pipelines.portal.web.fragment_cache import FragmentCache


def test_a_part_is_drawn_once_for_a_key_and_the_oldest_goes_first():
    drawn = []

    def part(text):
        def draw():
            drawn.append(text)
            return Markup(text)

        return draw

    # A part of 10 letters takes at most 40 bytes, beside its key: two of them have room.
    kept = FragmentCache(most_bytes=90)
    assert [kept("loans", key, part(key * 10)) for key in "abab"] == ["a" * 10, "b" * 10, "a" * 10, "b" * 10]
    assert drawn == ["a" * 10, "b" * 10]
    kept("loans", "c", part("c" * 10))
    assert kept("loans", "b", part("drawn again")) == "b" * 10
    assert kept("loans", "a", part("A" * 10)) == "A" * 10
    # Another part with the same key is another.
    assert kept("portfolios", "a", part("other")) == "other"


def test_people_with_other_scopes_get_other_loans_at_the_same_address(people, book):
    for name in ("admin", "manager", "officer", "investor", "customer", "admin"):
        page = people.sign_in(name).get("/loans").text
        own = {row["loan_id"] for row in book.last if book.owns(name, row)}
        shown = {row["loan_id"] for row in book.last if f"/loans/{row['loan_id']}" in page}
        assert shown
        assert shown <= own
