"""What a tape may hold, and what is refused."""

import pytest

from lending_pipelines.tables import DERIVED, TABLES
from lending_pipelines.tapes import CATALOGUE, DEFAULT_FIELDS, TABLES_READ, TapeError, TapeField, TapeSpec
from lending_pipelines.tapes.catalogue import PARTS, parts_of


def test_every_column_of_loan_positions_is_a_field():
    positions = DERIVED["loan_positions"]
    assert list(CATALOGUE)[: len(positions.columns)] == list(positions.names)
    for column in positions.columns:
        field = CATALOGUE[column.name]
        assert (field.part, field.column) == (None, column)


def test_other_fields_are_made_in_parts_from_tables_of_the_lake_and_named_once():
    assert set(TABLES_READ) <= set(TABLES)
    assert {field.part for field in CATALOGUE.values()} == {None, *PARTS}
    assert len(CATALOGUE) == len(DERIVED["loan_positions"].columns) + sum(len(part.columns) for part in PARTS.values())


def test_field_names_in_saved_configurations_do_not_change():
    names = """
        original_principal original_rate day_count term_count payment_frequency approved_on first_due_on purpose
        collateral_value credit_score region borrower_segment borrower_joined_on product_name product_type program_name
        branch_name branch_region officer_name portfolio_name pool_added_on investor_name sold_on purchase_price
        original_term_months months_on_book remaining_months months_past_due original_ltv current_ltv
        period_begins_on period_opening_principal period_disbursed period_capitalized period_principal_paid
        period_interest_paid period_fees_paid period_paid period_forgiven period_other_adjustment period_charged_off
        period_recovered in_period delinquency_history history_months times_30_12m times_30_24m times_60_12m
        times_60_24m times_90_12m times_90_24m paid_12m months_paid_12m last_late_on original_payment
        period_scheduled_principal period_scheduled_interest period_scheduled scheduled_12m next_period_due
        installments_remaining interest_paid_through modified modification_count last_modification_type
        last_modified_on current_term_count period_modified period_modification_type period_extension_count
        charged_off_on last_recovered_on account_state zero_balance_on defaulted_on default_amount net_loss redeemed_on
        fees_unpaid
    """
    assert set(names.split()) <= CATALOGUE.keys()


def test_a_part_comes_after_those_that_it_needs():
    names = [part.name for part in parts_of(["account_state", "loan_id"])]
    assert names == ["loans", "modifications", "losses", "account_state"]
    assert list(PARTS) == [part.name for part in parts_of(CATALOGUE)]
    for number, part in enumerate(PARTS.values()):
        assert set(part.needs) <= set(list(PARTS)[:number])


def test_fields_are_described():
    principal = CATALOGUE["original_principal"]
    assert (principal.type, principal.unit) == ("decimal(18, 2)", "the loan's currency")
    assert principal.description == "the contractual amount"
    assert CATALOGUE["annual_rate"].unit == "annual fraction"
    assert all(field.description for field in CATALOGUE.values())
    assert CATALOGUE["borrower_id"].pii
    assert not CATALOGUE["principal_outstanding"].pii


def test_the_default_fields_are_in_the_catalogue_and_not_personal():
    spec = TapeSpec(name="Daily", portfolio_id="a")
    assert [field.field for field in spec.fields] == list(DEFAULT_FIELDS)
    assert not [name for name in DEFAULT_FIELDS if CATALOGUE[name].pii]


def test_fields_are_picked_ordered_and_renamed():
    spec = TapeSpec(
        name="Daily", portfolio_id="a", fields=[{"field": "principal_outstanding", "as": "UPB"}, "loan_id", "status"]
    )
    assert [(column.name, column.type) for column in spec.columns] == [
        ("UPB", "decimal(18, 2)"),
        ("loan_id", "string"),
        ("status", "string"),
    ]
    assert spec.fields[0] == TapeField(field="principal_outstanding", renamed="UPB")
    assert TapeSpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"fields": ["loan_id", "principal_outstandin"]},
            "unknown field 'principal_outstandin': did you mean 'principal_o",
        ),
        ({"fields": ["loan_id", "loan_id"]}, "two columns have the name 'loan_id': rename one with `as`"),
        ({"fields": ["status", {"field": "bucket", "as": "status"}]}, "two columns have the name 'status'"),
        ({"fields": ["status"]}, "loan_id is missing; corrections identify loans by it: add it"),
        ({"fields": ["loan_id", "borrower_id"]}, "borrower_id is personal data: remove it, or set allow_pii"),
        ({"template": "esma_annex5_cars"}, "unknown tape template 'esma_annex5_cars': did you mean 'esma_annex5_"),
        ({"template": "ecb_consumer", "fields": ["loan_id"]}, "template ecb_consumer defines the fields: remove"),
        ({"template_values": {"AN1": "x"}}, "template_values need a template"),
        ({"fields": [{"field": "loan_id", "name": "id"}]}, r"fields\.0\.name: Extra inputs are not permitted"),
        ({"fields": [{"field": "loan_id", "as": ""}]}, r"fields\.0\.as: String should have at least 1 character"),
        ({"tape_format": "pdf"}, "tape_format: Input should be 'csv', 'xlsx', 'parquet' or 'xml'"),
        ({"tape_format": "xml"}, "xml needs a template with an XML schema: use csv"),
        ({"name": "../.."}, r"tape '\.\./\.\.': the name needs a letter or a digit"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_tape_is_refused_in_one_line(wrong, message):
    with pytest.raises(TapeError, match=message) as refusal:
        TapeSpec(**{"name": "Daily", "portfolio_id": "a", **wrong})
    assert str(refusal.value).startswith("tape ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("North Fund: Daily", "north-fund-daily"),
        ("../../etc/passwd", "etc-passwd"),
        ("Ümläut & Söhne", "ümläut-söhne"),
        ("  a__b  ", "a-b"),
        ("组合 A", "组合-a"),
    ],
)
def test_a_name_makes_a_safe_file_name(name, slug):
    assert TapeSpec(name=name, portfolio_id="a").slug == slug
