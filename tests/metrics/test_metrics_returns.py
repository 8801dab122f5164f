"""XIRR against published values and its own definition: the rate that makes flows worth zero, or why there is none."""

import json
from datetime import date, timedelta

import numpy as np
import pytest
import pyxirr
from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.metrics.xirr import LOWEST, NO_ROOT, ONE_SIGN, xirr

START = date(2024, 1, 1)

OTHER_DAY_COUNTS = {"30/360 SIA", "30/360 ISDA", "30E/360", "act/360", "act/act ISDA"}
"""XIRR as Excel defines it counts actual days ÷ 365; MathWorks also shows what other day counts give."""


def _share_left(rate, dates, amounts):
    """What the flows are worth at the rate, as a share of what they are worth without regard to sign."""
    # A flow of nothing, years before the others, would leave nothing of them to see.
    flows = [(on, amount) for on, amount in zip(dates, amounts, strict=True) if amount]
    years = np.array([(on - flows[0][0]).days / 365 for on, _ in flows])
    growth = -np.log1p(rate) * years
    worth = np.array([amount for _, amount in flows]) * np.exp(growth - growth.max())
    return worth.sum() / np.abs(worth).sum()


def test_published_values(shared_dir):
    cases = [json.loads(line) for line in (shared_dir / "oracles/xirr/cases.jsonl").open(encoding="utf-8")]
    checked = 0
    for case in cases:
        if case.get("day_count") in OTHER_DAY_COUNTS:
            continue
        assert case["kind"] == "value", "a new kind of case: say here what is expected of it"
        dates, amounts = zip(*((date.fromisoformat(on), amount) for on, amount in case["cashflows"]), strict=True)
        rate, reason = xirr(dates, amounts)
        assert reason is None
        assert rate == pytest.approx(case["expected"], abs=case["tol"]), case["id"]
        checked += 1
    assert checked == 7


def test_a_year_at_ten_percent():
    assert xirr([START, START + timedelta(days=365)], [-100.0, 110.0]) == (pytest.approx(0.10, abs=1e-12), None)


def test_order_of_the_flows_does_not_matter():
    dates = [START, START + timedelta(days=100), START + timedelta(days=400)]
    assert xirr(dates[::-1], [60.0, 50.0, -100.0]) == xirr(dates, [-100.0, 50.0, 60.0])


def test_a_fee_for_a_day_earns_an_enormous_rate():
    # 1.05 to the 365th power, less one
    rate, reason = xirr([START, START + timedelta(days=1)], [-100.0, 105.0])
    assert (rate, reason) == (pytest.approx(1.05**365 - 1, rel=1e-9), None)


@pytest.mark.parametrize("before", [1, 500, 2000])
def test_a_flow_of_nothing_changes_no_rate(before):
    # ten thousand times as much after ten days: 10 to the power of 4 × 365 ÷ 10
    dates = [START - timedelta(days=before), START, START + timedelta(days=10)]
    assert xirr(dates, [0.0, -0.01, 100.0]) == (pytest.approx(1e146, rel=1e-9), None)


def test_a_loss_is_a_negative_rate():
    # a sixteenth is left after a year, a sixteenth of that after two
    assert xirr([START, START + timedelta(days=730)], [-256.0, 1.0]) == (pytest.approx(1 / 16 - 1, abs=1e-12), None)


@pytest.mark.parametrize("amounts", [[], [0.0], [-100.0], [-100.0, -5.0], [100.0, 5.0], [-100.0, 0.0]])
def test_flows_of_one_sign_have_no_rate(amounts):
    dates = [START + timedelta(days=n) for n in range(len(amounts))]
    assert xirr(dates, amounts) == (None, ONE_SIGN)


def test_flows_that_no_rate_makes_worth_zero():
    # worth −100 + 10 v − 100 v² for v = 1 ÷ (1 + rate): its discriminant 10² − 4 × 100 × 100 is negative
    dates = [START, START + timedelta(days=365), START + timedelta(days=730)]
    assert xirr(dates, [-100.0, 10.0, -100.0]) == (None, NO_ROOT)


def test_a_lender_that_has_only_begun_has_no_rate():
    # a thousand lent a day and a cent returned on the last: worth zero only where −100 % cannot be told from the rate
    dates = [START + timedelta(days=n) for n in range(300)]
    assert xirr(dates, [-1000.0] * 299 + [0.01]) == (None, NO_ROOT)


flows = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(-100_000, 100_000)), min_size=2, max_size=40, unique_by=lambda f: f[0]
)


@given(flows)
def test_the_rate_makes_the_flows_worth_zero(flows):
    dates, amounts = [START + timedelta(days=n) for n, _ in flows], [cents / 100 for _, cents in flows]
    rate, reason = xirr(dates, amounts)
    if rate is not None:
        assert reason is None
        assert abs(_share_left(rate, dates, amounts)) <= 1e-7
    elif reason == ONE_SIGN:
        assert min(amounts) >= 0 or max(amounts) <= 0
    else:
        rates = np.append(LOWEST, np.geomspace(1e-5, 1e3, 400) - 1)
        signs = {np.sign(_share_left(rate, dates, amounts)) for rate in rates}
        assert len(signs - {0.0}) == 1


@given(st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 50_000)), min_size=1, max_size=40))
def test_it_is_the_rate_that_pyxirr_finds(repayments):
    dates = [START, *(START + timedelta(days=n) for n, _ in repayments)]
    amounts = [-5_000.0, *(cents / 100 for _, cents in repayments)]
    rate, _ = xirr(dates, amounts)
    found = pyxirr.xirr(dates, amounts, silent=True)
    if found is not None and -0.9 < found < 10:
        assert rate == pytest.approx(found, abs=1e-6)
