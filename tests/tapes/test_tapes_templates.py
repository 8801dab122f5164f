"""Each template is the standard's: every field, its format and what may be left without data as the standard says."""

import csv
import re
from pathlib import Path

import pytest

from lending_pipelines.tapes import CATALOGUE, TapeError, TapeSpec, template, template_names
from lending_pipelines.tapes.template import TemplateField

ESMA = {"esma_annex5_auto": "esma_annex5_automobile", "esma_annex2_residential": "esma_annex2_residential_real_estate"}
LEI = "529900T8BM49AURSDO55"
GIVEN = {
    "esma_annex5_auto": {"AUTL1": "DEAL1", "AUTL82": "ACME BANK", "AUTL83": LEI, "AUTL84": "DE"},
    "esma_annex2_residential": {
        "RREL1": "DEAL1",
        "RREC1": "DEAL1",
        "RREL82": "ACME BANK",
        "RREL83": LEI,
        "RREL84": "DE",
    },
    "ecb_consumer": {
        "AN2": "Pool 1",
        "AN3": "Acme",
        "BN2": "Acme 2025-1",
        "BN19": "Desk",
        "BN20": "desk@acme.test",
        "BN25": "A",
        "BN29": "EUR",
        "BN38": "2040-01-31",
        "BN39": "2025-01-31",
    },
    "sec_schedule_al_auto_loans": {},
}
"""What a standard wants and no servicing system has."""


def _oracle(shared_dir: Path, name: str) -> list[dict[str, str]]:
    with (shared_dir / "oracles" / "tapes" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _codes(field: TemplateField) -> list[str]:
    return [*(field.codes or {}).values(), *([field.constant] if field.constant else [])]


def test_every_template_is_tried_here():
    assert template_names() == sorted(GIVEN)


@pytest.mark.parametrize("name", ESMA)
def test_esma_fields_are_the_standards(name, shared_dir):
    rows = _oracle(shared_dir, ESMA[name])
    fields = {field.code: field for field in template(name).fields}
    assert list(fields) == [row["field_code"] for row in rows]
    for row in rows:
        field = fields[row["field_code"]]
        assert (field.name, f"{{{field.format}}}") == (row["field_name"], row["format"])
        allowed = ["ND1", "ND2", "ND3", "ND4"] if row["nd1_nd4_allowed"] == "YES" else []
        assert list(field.no_data) == allowed + (["ND5"] if row["nd5_allowed"] == "YES" else []), field.code
        assert not field.optional
        # What stands where there is nothing is an allowed code, or a number that the standard says to enter.
        if field.missing is not None and field.missing not in field.no_data:
            assert f"enter {field.missing}" in row["content_to_report"], field.code
        if field.format == "LIST":
            for code in _codes(field):
                assert f"({code})" in row["content_to_report"], (field.code, code)


def test_schedule_al_fields_are_the_schemas(shared_dir):
    rows = [row for row in _oracle(shared_dir, "sec_absee_autoloan") if row["path"] == ""]
    fields = {field.code: field for field in template("sec_schedule_al_auto_loans").fields}
    assert list(fields) == [row["element_name"] for row in rows]
    for row in rows:
        field = fields[row["element_name"]]
        assert (field.optional, field.no_data) == (row["min_occurs"] == "0", ())
        if row["enumerations"]:
            assert field.format == "LIST"
            assert set(_codes(field)) <= set(row["enumerations"].split("|")), field.code
        else:
            assert field.format == row["xsd_type"].rpartition(":")[2]


def test_ecb_fields_are_the_standards(shared_dir):
    rows = [row for row in _oracle(shared_dir, "ecb_consumer_finance_v23") if row["priority"]]
    fields = {field.code: field for field in template("ecb_consumer").fields}
    assert list(fields) == [row["field_code"] for row in rows]
    for row in rows:
        field = fields[row["field_code"]]
        assert (field.name, field.format) == (row["field_name"], row["data_type"])
        assert field.optional == (row["priority"] == "Optional")
        assert bool(field.no_data) == ("MUST NOT be used" not in row["definition"]), field.code
        if "use ND,5" in row["definition"] or "enter ND,5" in row["definition"]:
            assert "ND,5" in field.no_data


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_every_mandatory_field_is_filled_or_has_a_code(name):
    spec = TapeSpec(name="T", portfolio_id="a", template=name, template_values=GIVEN[name], allow_pii=True)
    for field in spec.outputs:
        assert field.constant or field.field or field.missing or field.optional, field.code
        assert field.field is None or field.field in CATALOGUE
    assert spec.coverage["to be given"] == 0
    assert sum(spec.coverage.values()) == len(spec.outputs)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "esma_annex5_auto",
            {},
            r"AUTL1 \(Unique Identifier\), AUTL82 \(Originator Name\), AUTL83 .* set them in templ",
        ),
        ("esma_annex5_auto", {"AUTL99": "x"}, "has no field 'AUTL99': did you mean 'AUTL"),
        ("esma_annex5_auto", {"AUTL83": "123"}, "AUTL83 .*: '123' does not match LEI"),
        ("esma_annex5_auto", {"AUTL82": "Acme"}, "AUTL82 .*: 'Acme' does not match ALPHANUM-100"),
        ("esma_annex5_auto", {"AUTL30": {"a": "b"}}, "AUTL30 .* must be a text, not a table of codes"),
        ("esma_annex5_auto", {"AUTL56": {"new": "brand new"}}, "AUTL56 .*: 'brand new' does not match LIST"),
    ],
)
def test_values_that_do_not_fit_a_template_are_refused(name, values, message):
    with pytest.raises(TapeError, match=message):
        TapeSpec(name="T", portfolio_id="a", template=name, template_values=values, allow_pii=True)


def test_personal_data_is_left_out_of_a_template_where_it_may_be_and_refused_where_it_must_be_given():
    spec = TapeSpec(name="T", portfolio_id="a", template="sec_schedule_al_auto_loans")
    score = next(field for field in spec.outputs if field.code == "obligorCreditScore")
    assert (score.field, score.filling) == (None, "omitted")
    with pytest.raises(TapeError, match=r"AUTL4 \(Original Obligor Identifier\).*or set allow_pii"):
        TapeSpec(name="T", portfolio_id="a", template="esma_annex5_auto", template_values=GIVEN["esma_annex5_auto"])


# Annex I of Implementing Regulation (EU) 2020/1225; the ECB's pictures; the SEC's XML schema: what fits and what not.
@pytest.mark.parametrize(
    ("format_", "fits", "does_not"),
    [
        ("DATEFORMAT", ["2025-01-31"], ["31-01-2025", "2025-01"]),
        ("MONETARY", ["0", "-12.5", "1234567890123.45"], ["1,000.00", "1.123456", ""]),
        ("PERCENTAGE", ["6.64", "0"], ["6.64%", "6,64"]),
        ("CURRENCYCODE_3", ["EUR"], ["eur", "EURO"]),
        ("Y/N", ["Y", "N"], ["true", "y"]),
        ("ALPHANUM-28", ["A" * 28], ["A" * 29, "a", "É"]),
        ("NUTS", ["DE300"], ["DE3", "de300"]),
        ("INTEGER-9999", ["0", "9999"], ["10000", "1.0"]),
        ("YYYY-MM", ["2025-01"], ["2025-01-31"]),
        ("9(11).99", ["12345678901.99"], ["123456789012.00", "1.999"]),
        ("DATE_TYPE", ["06-30-2020"], ["2020-06-30"]),
        ("DATE_MM_YYYY_TYPE", ["06/2020"], ["6/2020"]),
        ("STRING_25_TYPE", ["x" * 25], ["x" * 26, ""]),
        ("TRUE_FALSE_TYPE", ["true", "false"], ["True", "1"]),
        ("INTEGER_TYPE_2_A", ["99"], ["100"]),
    ],
)
def test_formats_are_the_standards(format_, fits, does_not):
    pattern = TemplateField(code="X", name="x", format=format_).pattern
    assert [value for value in fits if not re.search(pattern, value)] == []
    assert [value for value in does_not if re.search(pattern, value)] == []


def test_only_amounts_and_counts_are_numbers():
    fields = [TemplateField(code="X", name="x", format=name) for name in ("MONETARY", "INTEGER-9999", "9(11).99")]
    assert all(field.is_number for field in fields)
    others = [TemplateField(code="X", name="x", format=name) for name in ("DATEFORMAT", "YEAR", "ALPHANUM-28", "Y/N")]
    assert not any(field.is_number for field in others)
