"""Eligibility rule by rule, and concentration limits filled by hand."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.metrics import borrowing_base
from lending_pipelines.metrics.facility import ConcentrationLimit, Covenant, Eligibility, FacilityRules
from lending_pipelines.tables import TABLES

DAY = date(2025, 3, 31)
ANY = Eligibility(max_days_past_due=None, exclude_non_accrual=False)


def _position(loan_id, balance, **values):
    return {
        "business_date": DAY,
        "loan_id": loan_id,
        "currency": "USD",
        "status": "active",
        "principal_outstanding": Decimal(balance),
        "days_past_due": 0,
        "non_accrual": False,
        "borrower_id": f"B-{loan_id}",
        "product_id": "P1",
        "branch_id": "BR1",
        "annual_rate": Decimal("0.12"),
        "disbursed_on": date(2025, 1, 31),
        "matures_on": date(2026, 1, 31),
        "bucket": "current",
        **values,
    }


def _table(name, rows):
    return ibis.memtable(pa.Table.from_pylist(rows, schema=TABLES[name].arrow_schema))


def _collateral(positions, rules, loans=(), modifications=()):
    return borrowing_base.collateral(
        _table("loan_positions", positions),
        _table("loans", list(loans)),
        _table("modifications", list(modifications)),
        rules,
        DAY,
    )


def _rows(table, *keys):
    return {tuple(row[key] for key in keys): row for row in table.to_pyarrow().to_pylist()}


GOOD_LOAN = {"region": "North", "credit_score": 650, "collateral_value": Decimal(200)}


@pytest.mark.parametrize(
    ("rule", "value", "kept", "broken"),
    [
        ("currencies", ("USD", "GBP"), {}, {"currency": "EUR"}),
        ("max_days_past_due", 30, {"days_past_due": 30}, {"days_past_due": 31}),
        ("max_days_past_due", 0, {"days_past_due": 0}, {"days_past_due": 1}),
        ("exclude_non_accrual", True, {}, {"non_accrual": True}),
        ("min_balance", "100.01", {"principal_outstanding": Decimal("100.01")}, {}),
        ("max_balance", "100", {}, {"principal_outstanding": Decimal("100.01")}),
        ("min_annual_rate", "0.12", {}, {"annual_rate": Decimal("0.119999")}),
        ("max_annual_rate", "0.12", {}, {"annual_rate": Decimal("0.120001")}),
        ("max_original_term_months", 12, {}, {"matures_on": date(2026, 2, 1)}),
        ("max_original_term_months", 12, {}, {"matures_on": None}),
        # a month after 31 March is 30 April
        ("max_remaining_term_months", 1, {"matures_on": date(2025, 4, 30)}, {"matures_on": date(2025, 5, 1)}),
        ("min_seasoning_days", 59, {}, {"disbursed_on": date(2025, 2, 1)}),
        ("min_credit_score", 650, {}, {"loan": {"credit_score": 649}}),
        ("min_credit_score", 650, {}, {"loan": {"credit_score": None}}),
        ("max_loan_to_value", "0.5", {}, {"loan": {"collateral_value": Decimal("199.99")}}),
        ("max_loan_to_value", "0.5", {}, {"loan": {"collateral_value": Decimal(0)}}),
        ("max_loan_to_value", "0.5", {}, {"loan": {"collateral_value": None}}),
        ("products", ("P1",), {}, {"product_id": "P2"}),
        ("branches", ("BR1",), {}, {"branch_id": "BR2"}),
        ("regions", ("North",), {}, {"loan": {"region": "South"}}),
        ("regions", ("North",), {}, {"loan": {"region": None}}),
    ],
)
def test_a_rule_keeps_one_loan_and_not_the_other(rule, value, kept, broken):
    rules = FacilityRules(eligibility=ANY.model_validate(ANY.model_dump() | {rule: value}), concentration_limits=())
    broken = dict(broken)
    loans = [{"loan_id": "KEPT", **GOOD_LOAN}, {"loan_id": "BROKEN", **GOOD_LOAN, **broken.pop("loan", {})}]
    positions = [_position("KEPT", "100", **kept), _position("BROKEN", "100", **broken)]
    found = _rows(_collateral(positions, rules, loans), "loan_id")
    assert found["KEPT",]["ineligible_by"] is None
    assert found["BROKEN",]["ineligible_by"] == rule
    assert found["BROKEN",]["eligible"] == found["BROKEN",]["counted"] == 0


def test_a_loan_modified_by_the_day_is_not_eligible_where_that_is_asked():
    rules = FacilityRules(eligibility=ANY.model_copy(update={"exclude_modified": True}))
    modifications = [
        {"modification_id": "M1", "loan_id": "L1", "effective_on": DAY},
        {"modification_id": "M2", "loan_id": "L1", "effective_on": DAY},
        {"modification_id": "M3", "loan_id": "L2", "effective_on": date(2025, 4, 1)},
    ]
    found = _collateral([_position("L1", "100"), _position("L2", "100")], rules, modifications=modifications)
    assert {key: row["ineligible_by"] for key, row in _rows(found, "loan_id").items()} == {
        ("L1",): "exclude_modified",
        ("L2",): None,
    }


def test_the_first_rule_broken_counts_and_loans_that_are_not_active_come_first():
    rules = FacilityRules(eligibility=Eligibility(min_balance=Decimal(50)))
    late = {"days_past_due": 95, "non_accrual": True}
    positions = [
        _position("L1", "10", **late),
        _position("L2", "10", days_past_due=30),
        _position("L3", "-5", status="closed", days_past_due=0),
        _position("L4", "75", status="charged_off"),
    ]
    found = _rows(borrowing_base.ineligibles(_collateral(positions, rules)), "ineligible_by")
    assert {key: (row["loan_count"], row["principal_outstanding"]) for key, row in found.items()} == {
        ("max_days_past_due",): (1, Decimal("10.00")),
        ("min_balance",): (1, Decimal("10.00")),
        ("not_active",): (2, Decimal("70.00")),
    }
    assert found["not_active",]["share"] == pytest.approx(70 / 90)


LIMITS = FacilityRules(
    advance_rate=Decimal("0.8"),
    concentration_limits=(
        ConcentrationLimit(by="borrower", max_share=Decimal("0.5")),
        ConcentrationLimit(by="product", max_share=Decimal("0.45"), only=("P1",)),
    ),
)
HELD = [
    _position("L1", "400", borrower_id="A"),
    _position("L2", "200", borrower_id="A", days_past_due=5),
    _position("L3", "300", product_id="P2"),
    _position("L7", "100"),
    _position("L8", "90", days_past_due=31),
    _position("E1", "80", currency="EUR"),
]


@pytest.fixture(scope="module")
def limited():
    """Of 1,000 eligible, A has 600 of 500: 100 of the later L2 are over. P1 then has 600 of 450: L1 fills 400, L7, as
    current as it, 50, and nothing is left for L2. The 80 in EUR are one borrower: 40 are over, and 4 of the rest."""
    return _collateral(HELD, LIMITS)


def test_limits_are_filled_the_least_late_first_and_nothing_is_left_out_twice(limited):
    rows = _rows(limited, "loan_id")
    assert {key: (row["excess_0"], row["excess_1"], row["counted"]) for (key,), row in rows.items()} == {
        "L1": (0, 0, 400),
        "L2": (100, 100, 0),
        "L3": (0, 0, 300),
        "L7": (0, 50, 50),
        "L8": (0, 0, 0),
        "E1": (40, 4, 36),
    }


def test_groups_against_their_limits(limited):
    found = _rows(borrowing_base.concentrations(limited, LIMITS, 1), "limit_number", "currency", "group")
    names = ("loan_count", "eligible", "share", "limit_amount", "excess")
    assert {key: tuple(row[name] for name in names) for key, row in found.items()} == {
        (0, "USD", "A"): (2, 600, 0.6, 500, 100),
        (0, "EUR", "B-E1"): (1, 80, 1.0, 40, 40),
        (1, "USD", "P1"): (3, 700, 0.7, 450, 150),
        (1, "EUR", "P1"): (1, 80, 1.0, 36, 4),
    }
    more = _rows(borrowing_base.concentrations(limited, LIMITS, 3), "limit_number", "currency", "group")
    assert {group for number, currency, group in more if (number, currency) == (0, "USD")} == {"A", "B-L3", "B-L7"}
    assert borrowing_base.concentrations(limited, FacilityRules(concentration_limits=()), 3) is None


def test_what_may_be_borrowed(limited):
    schema = pa.schema(
        {"currency": pa.string(), "commitment": pa.decimal128(18, 2), "outstanding": pa.decimal128(18, 2)}
    )
    amounts = [("USD", Decimal(500), Decimal(550)), ("GBP", None, Decimal(7))]
    facility = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in amounts], schema=schema)
    found = _rows(borrowing_base.base(limited, LIMITS, ibis.memtable(facility)), "currency")
    names = ("principal_outstanding", "ineligible", "eligible", "excess", "net_eligible", "borrowing_base")
    assert {key: tuple(row[name] for name in names) for (key,), row in found.items()} == {
        "USD": (1090, 90, 1000, 250, 750, 600),
        "EUR": (80, 0, 80, 44, 36, Decimal("28.80")),
        "GBP": (0, 0, 0, 0, 0, 0),
    }
    names = ("maximum_advance", "outstanding", "availability", "utilisation")
    assert {key: tuple(row[name] for name in names) for (key,), row in found.items()} == {
        "USD": (500, 550, -50, 1.1),
        "EUR": (Decimal("28.80"), None, None, None),
        "GBP": (0, 7, -7, None),
    }
    assert (found["USD",]["loan_count"], found["USD",]["eligible_loans"], found["USD",]["ineligible_loans"]) == (
        5,
        4,
        1,
    )


def test_equally_late_loans_fill_a_limit_in_the_order_of_their_ids():
    """Of P1, 250 of 400 fit: L1, L2 and half of L3."""
    rules = FacilityRules(concentration_limits=(ConcentrationLimit(by="product", max_share=Decimal("0.625")),))
    found = _collateral([_position(loan_id, "100") for loan_id in ("L3", "L1", "L4", "L2")], rules)
    assert {key: row["counted"] for (key,), row in _rows(found, "loan_id").items()} == {
        "L1": 100,
        "L2": 100,
        "L3": 50,
        "L4": 0,
    }


def test_a_credit_balance_is_no_excess():
    # Eligible is 100 - 5 = 95, so that a borrower may have 47.50: 52.50 of L2 are too much, and nothing of L1.
    rules = FacilityRules(
        eligibility=ANY, concentration_limits=(ConcentrationLimit(by="borrower", max_share=Decimal("0.5")),)
    )
    found = _rows(_collateral([_position("L1", "-5"), _position("L2", "100")], rules), "loan_id")
    assert {key: (str(row["excess_0"]), str(row["counted"])) for key, row in found.items()} == {
        ("L1",): ("0.00", "-5.00"),
        ("L2",): ("52.50", "47.50"),
    }


def test_a_credit_balance_makes_room_for_the_other_loans_of_its_group():
    # Eligible is 100 - 30 + 100 = 170, so that a borrower may have 85: A has 70, and B 15 too much.
    rules = FacilityRules(
        eligibility=ANY, concentration_limits=(ConcentrationLimit(by="borrower", max_share=Decimal("0.5")),)
    )
    credit = _position("L2", "-30", borrower_id="A", days_past_due=10)
    positions = [_position("L1", "100", borrower_id="A"), credit, _position("L3", "100", borrower_id="B")]
    found = _rows(_collateral(positions, rules), "loan_id")
    assert {key: (str(row["excess_0"]), str(row["counted"])) for key, row in found.items()} == {
        ("L1",): ("0.00", "100.00"),
        ("L2",): ("0.00", "-30.00"),
        ("L3",): ("15.00", "85.00"),
    }


def test_of_equal_groups_the_first_by_name_are_listed():
    rules = FacilityRules(concentration_limits=(ConcentrationLimit(by="borrower", max_share=Decimal("0.5")),))
    positions = [_position(f"L{n:02}", "100", borrower_id=f"B{40 - n:02}") for n in range(1, 40)]
    groups = _rows(borrowing_base.concentrations(_collateral(positions, rules), rules, 3), "group")
    assert sorted(groups) == [("B01",), ("B02",), ("B03",)]


def test_loans_without_a_region_are_a_group():
    rules = FacilityRules(concentration_limits=(ConcentrationLimit(by="region", max_share=Decimal("0.25")),))
    positions = [_position("L1", "100"), _position("L2", "100")]
    found = _collateral(positions, rules, [{"loan_id": "L1", "region": "North"}, {"loan_id": "L2", "region": None}])
    groups = _rows(borrowing_base.concentrations(found, rules, 5), "group")
    assert {key: row["excess"] for (key,), row in groups.items()} == {"North": 50, borrowing_base.NOT_RECORDED: 50}


def test_headroom_is_within_either_bound():
    most = Covenant(metric="par_30", max=Decimal("0.1"))
    assert (most.headroom(0.04), most.status(0.04)) == (pytest.approx(0.06), "met")
    assert (most.status(0.1), most.status(0.11), most.status(None)) == ("met", "breached", "no data")
    least = Covenant(metric="weighted_avg_rate", min=Decimal("0.2"))
    assert (least.headroom(0.15), least.status(0.15)) == (pytest.approx(-0.05), "breached")
    assert least.headroom(None) is None
