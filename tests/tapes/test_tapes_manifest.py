"""The manifest is the same for the same tape, and a tape that is there is never overwritten."""

import json
from datetime import date
from decimal import Decimal

import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.tapes import ControlTotal, TapeError, TapeManifest, TapeSpec, next_tape_path, tape_folder

DAY = date(2025, 1, 31)
SPEC = TapeSpec(
    name="North Fund: Daily",
    portfolio_id="a",
    investor_id="n",
    fields=["loan_id", {"field": "principal_outstanding", "as": "UPB"}],
)
TOTALS = (
    ControlTotal(currency="EUR", row_count=3, amounts={"principal_outstanding": Decimal("800.50")}),
    ControlTotal(currency="USD", row_count=1, amounts={"principal_outstanding": None}),
)


def _manifest(sha256="aa", existing=(), spec=SPEC, row_count=4) -> TapeManifest:
    return TapeManifest.of(
        spec,
        DAY,
        next_tape_path(spec, DAY, existing, sha256),
        sha256=sha256,
        byte_count=123,
        row_count=row_count,
        totals=TOTALS,
        conventions=Conventions(par_operator=">"),
        code_version="0.1.0",
        table_versions={"loans": 3, "loan_positions": 7},
    )


def test_a_manifest_says_what_the_tape_is_and_was_made_from():
    written = json.loads(_manifest().to_json())
    assert written["tape"] == "North Fund: Daily"
    assert written["business_date"] == "2025-01-31"
    assert written["file_name"] == "north-fund-daily_2025-01-31.csv"
    assert (written["sha256"], written["byte_count"], written["row_count"]) == ("aa", 123, 4)
    assert (written["version"], written["supersedes"]) == (1, None)
    assert written["totals"] == [
        {"currency": "EUR", "row_count": 3, "amounts": {"principal_outstanding": "800.50"}},
        {"currency": "USD", "row_count": 1, "amounts": {"principal_outstanding": None}},
    ]
    assert written["columns"][1] == {
        "name": "UPB",
        "field": "principal_outstanding",
        "type": "decimal(18, 2)",
        "unit": "the loan's currency",
        "description": "disbursed + capitalized - paid - charged off - forgiven",
        "pii": False,
    }
    assert written["config"] == {
        "name": "North Fund: Daily",
        "portfolio_id": "a",
        "investor_id": "n",
        "tape_format": "csv",
        "fields": [{"field": "loan_id", "as": None}, {"field": "principal_outstanding", "as": "UPB"}],
        "template": None,
        "template_values": {},
        "allow_pii": False,
    }
    assert written["conventions"]["par_operator"] == ">"
    assert written["conventions"]["bucket_edges"] == "1, 30, 60, 90, 120"
    assert (written["code_version"], written["table_versions"]) == ("0.1.0", {"loan_positions": 7, "loans": 3})


def test_the_same_tape_has_the_same_manifest_to_the_byte():
    first = _manifest().to_json()
    assert _manifest().to_json() == first
    assert TapeManifest.from_json(first, "a.json").to_json() == first


def test_totals_that_count_other_loans_than_the_file_has_are_refused():
    with pytest.raises(TapeError, match="of 2025-01-31 has 5 rows but its control totals count 4: the data changed"):
        _manifest(row_count=5)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"tape": ', b"\xff"])
def test_a_manifest_that_cannot_be_read_is_an_error(content):
    with pytest.raises(TapeError, match=r"tape manifest x/a\.manifest\.json cannot be read: ") as refusal:
        TapeManifest.from_json(content, "x/a.manifest.json")
    assert "\n" not in str(refusal.value)


def test_a_first_tape_goes_in_its_folder_with_its_manifest_beside_it():
    placement = next_tape_path(SPEC, DAY, [], "aa")
    assert tape_folder(SPEC, DAY) == placement.folder == "tapes/north-fund-daily/2025-01-31"
    assert placement.path == "tapes/north-fund-daily/2025-01-31/north-fund-daily_2025-01-31.csv"
    assert placement.manifest_path == f"{placement.path}.manifest.json"
    assert placement.is_new


def test_the_same_content_is_left_as_it_is():
    first = _manifest("aa")
    placement = next_tape_path(SPEC, DAY, [first], "aa")
    assert (placement.file_name, placement.version, placement.is_new) == (first.file_name, 1, False)


def test_other_content_is_a_new_version_that_names_what_it_supersedes():
    first = _manifest("aa")
    second = _manifest("bb", [first])
    assert (second.file_name, second.version) == ("north-fund-daily_2025-01-31_v2.csv", 2)
    assert second.supersedes == "north-fund-daily_2025-01-31.csv"
    # Back to the first content: the latest says otherwise, so that is a correction too.
    third = _manifest("aa", [second, first])
    assert (third.file_name, third.supersedes) == ("north-fund-daily_2025-01-31_v3.csv", second.file_name)
    assert next_tape_path(SPEC, DAY, [third, first, second], "aa").is_new is False


def test_a_tape_in_another_format_supersedes_the_earlier_one():
    first = _manifest("aa")
    placement = next_tape_path(SPEC.model_copy(update={"tape_format": "xlsx"}), DAY, [first], "bb")
    assert (placement.file_name, placement.supersedes) == ("north-fund-daily_2025-01-31_v2.xlsx", first.file_name)


def test_two_tapes_never_share_a_folder():
    namesake = TapeSpec(name="north fund daily", portfolio_id="b")
    with pytest.raises(TapeError, match=r"belongs to tape 'North Fund: Daily' of 2025-01-31: rename one"):
        next_tape_path(namesake, DAY, [_manifest()], "bb")
