"""A facility over five loans by hand, its rules as files and text, and a whole lender held against a plain loop."""

import json
import re
import tomllib
from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import get_args

import pytest
from tiny_lake import TinyLake, generate, money, rows, table

from lending_pipelines.errors import LendingError
from lending_pipelines.metrics.facility import Eligibility, FacilityRules, Grouping, Metric
from lending_pipelines.reports import facility_rules
from lending_pipelines.reports.registry import get

OPENING, MID, DAY = date(2025, 1, 28), date(2025, 2, 10), date(2025, 2, 28)
RULES = {
    "advance_rate": 0.8,
    "covenant_months": 1,
    "commitment": {"USD": 700},
    "concentration_limits": [{"by": "product", "max_share": 0.75}],
    "covenants": [
        {"metric": "par_30", "max": 0.05},
        {"metric": "cumulative_net_loss", "max": 0.05},
        {"metric": "charge_off_rate", "max": 1.5},
        {"metric": "net_charge_off_rate", "max": 0.5},
        {"metric": "weighted_avg_rate", "min": 0.1},
    ],
}


def _position(day, loan_id, balance, status="active", currency="USD", **values):
    return {
        "business_date": day,
        "loan_id": loan_id,
        "currency": currency,
        "status": status,
        "borrower_id": f"B-{loan_id}",
        "product_id": "P1",
        "portfolio_id": "F1",
        "disbursed_on": date(2024, 6, 1),
        "principal_outstanding": money(balance),
        **values,
    }


def _snapshot(currency, **values):
    return {
        "business_date": DAY,
        "scope": "all",
        "scope_id": "*",
        "currency": currency,
        "total_disbursed": money("2000.00"),
        "bucket_breakdown": "{}",
        **values,
    }


@pytest.fixture
def lake():
    """On the day 600 of P1 and 400 of P2 are eligible; L4 was charged off in the month, and 38 of it recovered."""
    lost = {"principal_charged_off": money("138.00"), "recovered": money("38.00")}
    dollars = _snapshot(
        "USD", charged_off=money("138.00"), recovered=money("38.00"), par_30=0.1, weighted_avg_rate=money("0.09")
    )
    return TinyLake(
        {
            "loan_positions": [
                _position(OPENING, "L1", "600.00"),
                _position(OPENING, "L4", "138.00"),
                _position(MID, "L1", "1138.00"),
                _position(DAY, "L1", "600.00"),
                _position(DAY, "L2", "400.00", product_id="P2"),
                _position(DAY, "L3", "110.00", days_past_due=31),
                _position(DAY, "L4", "0.00", "charged_off", **lost),
                _position(DAY, "=Ø", "50.00", currency="EUR"),
            ],
            "portfolio_snapshots": [
                dollars,
                _snapshot("EUR", par_30=0.0),
                dollars | {"scope": "portfolio", "scope_id": "F1", "name": "Harbour"},
            ],
        }
    )


def _report(lake, rules=None, **values):
    return generate(lake, "borrowing_base", rules=json.dumps(RULES | (rules or {})), **values)


def _lines(book, currency):
    return {row["item"]: row["amount"] for row in rows(book, f"Borrowing base {currency}")}


def test_the_certificate_by_hand(lake):
    book = _report(lake, {"concentration_limits": [{"by": "product", "max_share": 0.55}]}, outstanding="USD 800")
    assert [(row["item"], row["loan_count"], str(row["amount"])) for row in rows(book, "Borrowing base USD")] == [
        ("Principal outstanding", 4, "1110.00"),
        ("Less: ineligible", 2, "110.00"),
        ("Eligible", 2, "1000.00"),
        ("Less: excess concentrations", None, "50.00"),
        ("Net eligible", None, "950.00"),
        ("Less: not advanced", None, "190.00"),
        ("Borrowing base", None, "760.00"),
        ("Commitment", None, "700.00"),
        ("Maximum advance", None, "700.00"),
        ("Less: outstanding", None, "800.00"),
        ("Availability", None, "-100.00"),
    ]
    # the 50 in EUR are of one product: 27.50 of them count
    assert (_lines(book, "EUR")["Borrowing base"], _lines(book, "EUR")["Availability"]) == (money("22.00"), None)
    assert book.notes[-1] == "No data: the outstanding amount in EUR was not given; availability is blank."
    assert [chart.title for chart in book.charts] == ["Borrowing base EUR", "Borrowing base USD"]


def test_what_is_ineligible_and_concentrated(lake):
    book = _report(lake)
    assert [
        (row["rule"], row["value"], row["loan_count"], row["principal_outstanding"])
        for row in rows(book, "Ineligible loans")
    ] == [
        ("not_active", "", 1, money("0.00")),
        ("max_days_past_due", "30", 1, money("110.00")),
    ]
    found = {(row["currency"], row["group"]): row for row in rows(book, "Concentrations")}
    assert set(found) == {("EUR", "P1"), ("USD", "P1"), ("USD", "P2")}
    assert (found["USD", "P1"]["share"], found["USD", "P1"]["excess"]) == (0.6, money("0.00"))
    assert (found["EUR", "P1"]["max_share"], found["EUR", "P1"]["excess"]) == (0.75, money("12.50"))


def test_covenants_with_headroom(lake):
    book = _report(lake, outstanding="USD 100.00")
    found = {row["covenant"]: row for row in rows(book, "Covenants") if row["currency"] == "USD"}
    # the loans of the day had 1,138.00 on 10 February and 1,110.00 on the 28th, the closed days of these 31
    average = (1138 + 1110) / 2
    expected = {
        "PAR 30": (0.1, -0.05, "breached"),
        "Cumulative net loss": (0.05, 0.0, "met"),  # (138 − 38) ÷ 2,000
        "Charge off rate": (138 / average * 365 / 31, 1.5 - 138 / average * 365 / 31, "met"),
        "Net charge off rate": (100 / average * 365 / 31, 0.5 - 100 / average * 365 / 31, "breached"),
        "Weighted avg rate": (0.09, -0.01, "breached"),
    }
    for name, (actual, headroom, status) in expected.items():
        assert found[name]["actual"] == pytest.approx(actual), name
        assert found[name]["headroom"] == pytest.approx(headroom), name
        assert found[name]["status"] == status, name
    assert book.summary["USD"] == {
        "net_eligible": "1000.00",
        "borrowing_base": "800.00",
        "availability": "600.00",
        "breached": ["PAR 30", "Net charge off rate", "Weighted avg rate"],
    }
    assert "29 days of the period are not closed: averages use the other days." in book.notes


def test_a_rate_that_is_not_known_is_not_met(lake):
    lake.rows["loan_positions"] = [row for row in lake.rows["loan_positions"] if row["business_date"] != OPENING]
    book = _report(lake)
    found = {row["covenant"]: row for row in rows(book, "Covenants") if row["currency"] == "USD"}
    assert (found["Charge off rate"]["actual"], found["Charge off rate"]["headroom"]) == (None, None)
    assert found["Charge off rate"]["status"] == "no data"
    assert "2025-01-28 is not closed: the amounts charged off since then are unknown." in book.notes


def test_the_days_covered_are_those_looked_back_on(lake):
    generator = get("borrowing_base")
    covers = lambda rules: generator.covers(generator.parameters(rules=json.dumps(rules)), lake)  # noqa: E731
    assert covers(RULES) == [OPENING, MID, DAY]
    assert covers({"covenants": [{"metric": "par_30", "max": 0.1}]}) == [DAY]


def test_one_portfolio_and_rules_that_ask_for_nothing(lake):
    nothing = {"max_days_past_due": None, "exclude_non_accrual": False}
    book = _report(lake, {"concentration_limits": [], "covenants": [], "eligibility": nothing}, portfolio="harbour")
    assert book.title == "Borrowing base: portfolio Harbour"
    assert table(book, "Concentrations").no_data == "the rules have no concentration limit"
    assert table(book, "Covenants").no_data == "the rules have no covenants"
    assert _lines(book, "USD")["Eligible"] == money("1110.00")


def test_the_rules_are_printed_with_their_defaults(lake):
    printed = {row["rule"]: row["value"] for row in rows(generate(lake, "borrowing_base"), "Rules")}
    assert printed["advance_rate"] == "0.85"
    assert printed["eligibility.max_days_past_due"] == "30"
    assert printed["eligibility.exclude_non_accrual"] == "yes"
    assert printed["eligibility.min_credit_score"] == "none"
    assert printed["concentration by borrower"] == "0.05"
    assert printed["covenant par_30"] == "0.10"
    assert printed["commitment"] == "none"


def test_without_loans_there_is_no_base_but_what_is_drawn_is_said(lake):
    lake.rows["loan_positions"] = [_position(DAY, "L9", "1.00", portfolio_id=None)]
    book = _report(lake, {"commitment": {}}, portfolio="F1")
    assert table(book, "Ineligible loans").no_data == "no loan is ineligible on 2025-02-28"
    assert book.charts == []
    book = _report(lake, {"commitment": {}}, portfolio="F1", outstanding="USD 10.00")
    assert (_lines(book, "USD")["Borrowing base"], _lines(book, "USD")["Availability"]) == (0, money("-10.00"))


def test_modifications_that_the_source_has_not_are_not_taken_for_none(lake):
    book = _report(lake, {"eligibility": {"exclude_modified": True}})
    assert "No data: the source has no modifications, so no loan counts as modified." in book.notes


# the rules


def test_rules_are_a_toml_or_json_file_or_json(tmp_path):
    toml = tmp_path / "facility.toml"
    toml.write_text(
        """
        advance_rate = 0.8
        commitment = { USD = 1_000_000 }

        [eligibility]
        max_days_past_due = 60
        regions = ["North", "Øst"]

        [[concentration_limits]]
        by = "product"
        max_share = 0.25
        only = ["P1"]

        [[covenants]]
        metric = "par_90"
        max = 0.04
        """,
        encoding="utf-8",
    )
    rules = facility_rules.load(str(toml))
    assert (rules.advance_rate, rules.commitment) == (Decimal("0.8"), {"USD": Decimal(1_000_000)})
    assert (rules.eligibility.max_days_past_due, rules.eligibility.regions) == (60, ("North", "Øst"))
    assert rules.eligibility.exclude_non_accrual  # not named: the default
    assert [(c.metric, c.max) for c in rules.covenants] == [("par_90", Decimal("0.04"))]
    text = rules.model_dump_json()
    (tmp_path / "facility.json").write_text(text, encoding="utf-8")
    assert facility_rules.load(str(tmp_path / "facility.json")) == facility_rules.load(text) == rules
    limit = next(line for line in facility_rules.table(rules).frame.itertuples() if "concentration" in line.rule)
    assert (limit.rule, limit.value) == ("concentration by product", "0.25")
    assert limit.meaning == "Share of eligible principal, at most for P1."


def test_the_page_on_rules_shows_every_one(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "facility-rules.md"
    (example,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "facility.toml").write_text(example, encoding="utf-8")
    facility_rules.load(str(tmp_path / "facility.toml"))
    shown = tomllib.loads(example)
    assert shown.keys() == FacilityRules.model_fields.keys()
    assert shown["eligibility"].keys() == Eligibility.model_fields.keys()
    for name in (*get_args(Grouping), *get_args(Metric)):
        assert re.search(rf"\b{name}\b", example), name


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"advance_rat": 0.8}, "rules: unknown rule advance_rat; did you mean 'advance_rate'?"),
        (
            {"eligibility": {"max_day_past_due": 30}},
            "unknown rule eligibility.max_day_past_due; did you mean 'max_days_past_due'",
        ),
        (
            {"concentration_limits": [{"by": "products", "max_share": 0.1}]},
            "concentration_limits.by is 'products'; did you mean 'product'",
        ),
        ({"covenants": [{"metric": "par_31", "max": 0.1}]}, "covenants.metric is 'par_31'; did you mean 'par_30'"),
        ({"covenants": [{"metric": "par_30"}]}, "covenant par_30: write either max or min"),
        ({"covenants": [{"max": 0.1}]}, "covenants.metric is missing"),
        ({"advance_rate": 85}, "advance_rate is 85: Input should be less than or equal to 1"),
        ({"commitment": {"USD": -1}}, "commitment.USD is -1: Input should be greater than or equal to 0"),
        (
            {"advance_rate": float("nan"), "x": 1},
            "advance_rate is nan: Input should be a finite number; unknown rule x",
        ),
    ],
)
def test_a_bad_rule_is_named_with_what_is_near(lake, rules, message):
    with pytest.raises(LendingError, match=message.replace("?", r"\?")):
        generate(lake, "borrowing_base", rules=json.dumps(rules))


def test_a_rule_names_products_and_branches_that_exist(lake):
    lake.rows["products"] = [{"product_id": "P1"}, {"product_id": "P2"}]
    lake.rows["branches"] = [{"branch_id": "North"}]
    rules = {
        "eligibility": {"products": ["P1", "Q1"], "branches": ["Nort"]},
        "concentration_limits": [{"by": "product", "max_share": 0.5, "only": ["P3", "P2"]}],
    }
    with pytest.raises(LendingError) as refused:
        _report(lake, rules)
    assert str(refused.value) == (
        "rules: eligibility.products: there is no product 'Q1': use one of 'P1', 'P2'; "
        "eligibility.branches: there is no branch 'Nort': did you mean 'North'?; "
        "concentration_limits[0].only: there is no product 'P3': use one of 'P1', 'P2'"
    )


def test_rules_that_cannot_be_read(tmp_path):
    with pytest.raises(LendingError, match=r"rules file .*none.toml cannot be read: "):
        facility_rules.load(str(tmp_path / "none.toml"))
    (tmp_path / "half.toml").write_text("advance_rate = ", encoding="utf-8")
    with pytest.raises(LendingError, match=r"half.toml cannot be read: Invalid value"):
        facility_rules.load(str(tmp_path / "half.toml"))
    with pytest.raises(LendingError, match="rules: not valid JSON: Expecting"):
        facility_rules.load('{"advance_rate"}')
    with pytest.raises(LendingError, match=r"rules 'strict': write default, the path of a \.toml or \.json file"):
        facility_rules.load("strict")
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(LendingError, match=r"list.json: the content is \[1\]: "):
        facility_rules.load(str(tmp_path / "list.json"))


@pytest.mark.parametrize(
    "text", ["250000", "USD", "USD 1,000.00", "USD -5", "USD NaN", "USD 1, USD 2", "USD x", "", "USD 1e99"]
)
def test_what_is_drawn_must_be_amounts_by_currency(lake, text):
    with pytest.raises(LendingError, match="report borrowing_base: outstanding is"):
        generate(lake, "borrowing_base", outstanding=text)


# on a whole lender


def _cents(amount):
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_a_lenders_base_is_what_a_plain_loop_gives(closed_home, home_source):
    limits = [("borrower", "borrower_id", 0.03), ("product", "product_id", 0.25), ("branch", "branch_id", 0.3)]
    rules = {
        "concentration_limits": [{"by": by, "max_share": share} for by, _, share in limits],
        "eligibility": {"max_days_past_due": 20, "max_balance": 40000},
    }
    book = generate(home_source, "borrowing_base", rules=json.dumps(rules), top_groups=1000)
    positions = closed_home.rows("loan_positions", book.as_of, book.as_of)
    excess = defaultdict(Decimal)
    for currency in ("EUR", "USD"):
        mine = [row for row in positions if row["currency"] == currency]
        eligible = [
            row
            for row in sorted(mine, key=lambda row: (row["days_past_due"], row["loan_id"]))
            if row["status"] == "active" and row["days_past_due"] <= 20 and row["principal_outstanding"] <= 40000
        ]
        counted = {row["loan_id"]: row["principal_outstanding"] for row in eligible}
        total = sum(counted.values())
        for _, column, share in limits:
            room = dict.fromkeys((row[column] for row in eligible), _cents(total * Decimal(str(share))))
            for row in eligible:
                kept = max(min(counted[row["loan_id"]], room[row[column]]), Decimal(0))
                excess[currency] += counted[row["loan_id"]] - kept
                room[row[column]] -= kept
                counted[row["loan_id"]] = kept
        lines = _lines(book, currency)
        assert lines["Principal outstanding"] == sum(row["principal_outstanding"] for row in mine)
        assert lines["Eligible"] == total
        assert lines["Less: excess concentrations"] == excess[currency] > 0
        assert lines["Net eligible"] == sum(counted.values())
        assert lines["Borrowing base"] == _cents(sum(counted.values()) * Decimal("0.85"))
        listed = sum(row["excess"] for row in rows(book, "Concentrations") if row["currency"] == currency)
        assert listed == excess[currency]
    ineligible = sum(row["principal_outstanding"] for row in rows(book, "Ineligible loans") if row["currency"] == "USD")
    assert ineligible == _lines(book, "USD")["Less: ineligible"]


def test_all_principal_is_the_portfolios(closed_home, home_source):
    book = generate(home_source, "borrowing_base")
    for row in closed_home.rows("portfolio_snapshots", book.as_of, book.as_of):
        if row["scope"] == "all":
            assert _lines(book, row["currency"])["Principal outstanding"] == row["total_balance"]
