"""XIRR against published values and its own definition: the rate that makes flows worth zero, or why there is none."""

import json
import math
from datetime import date, timedelta

import numpy as np
import pytest
import pyxirr
from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.metrics.xirr import NO_ROOT, ONE_SIGN, xirr, xirrs

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
    cases = [json.loads(line) for line in (shared_dir / "oracles/xirr/cases.jsonl").read_text().splitlines()]
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


def test_an_interest_free_loan_has_a_rate_of_zero_without_a_sign():
    rate, reason = xirr([START, START + timedelta(days=31), START + timedelta(days=36)], [-100.0, 50.0, 50.0])
    assert (rate, math.copysign(1, rate), reason) == (0.0, 1.0, None)


def _yearly(*amounts):
    """The answer for amounts 365 days apart: worth zero where a polynomial in 1 + rate is."""
    return xirr([START + timedelta(days=365 * n) for n in range(len(amounts))], [float(amount) for amount in amounts])


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        # −(g − 1.1)(g − 1.2), g = 1 + rate: −g² + 2.3 g − 1.32
        ((-100, 230, -132), 0.1),
        # the same, borrowed instead of lent
        ((100, -230, 132), 0.1),
        # −(g − 1.1)(g − 1.11)
        ((-100, 221, "-122.1"), 0.1),
        # −(g − 1.25)(g − 5)
        ((-4000, 25000, -25000), 0.25),
        # −(g − 0.7)(g − 1.4): log 1.4 = 0.34 is less than −log 0.7 = 0.36
        ((-100, 210, -98), 0.4),
        # −(g − 0.5)(g − 2): halving is as far from zero as doubling, and the positive rate is taken
        ((-100, 250, -100), 1.0),
        # −(g − 0.5)(g − 1)(g − 1.5)
        ((-1000, 3000, -2750, 750), 0.0),
        # −(g − 0.2)(g − 0.8)(g − 1.5), for which pyxirr finds 0.5: −log 0.8 = 0.22 is less than log 1.5 = 0.41
        ((-1000, 2500, -1660, 240), -0.2),
        # −(g − 1.1)²: the worth is zero at 10 % and of one sign at all other rates
        ((-100, 220, -121), 0.1),
        # −(g − 0.02)(g − 0.05): no rate above −90 %
        ((-1000, 70, -1), -0.95),
    ],
)
def test_of_several_rates_the_one_nearest_to_zero_is_given(amounts, expected):
    rate, reason = _yearly(*amounts)
    assert (rate, reason) == (pytest.approx(expected, abs=1e-10), None)


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        # 0.1000000000056 and 0.1000000000044, rounded to 11 decimals
        ((-1_000_000_000_000, "1100000000005.60"), 0.10000000001),
        ((-1_000_000_000_000, "1100000000004.40"), 0.1),
        # the same, borrowed instead of lent
        ((1_000_000_000_000, "-1100000000005.60"), 0.10000000001),
        ((1_000_000_000_000, "-1100000000004.40"), 0.1),
    ],
)
def test_a_rate_is_rounded_to_11_decimals(amounts, expected):
    assert _yearly(*amounts) == (expected, None)


def test_a_rate_is_found_that_flows_far_in_the_future_have():
    # With v = 1 ÷ (1 + rate): −10^12 + 2 × 10^12 v is zero at v = 0.5, less 10,430,190.00 v^30 also at v = 1.5, where
    # 1.5^30 = 191,751. The cents make less than a thousandth of a difference. log 1.5 = 0.41 is less than log 2 = 0.69.
    dates = [START + timedelta(days=365 * years) for years in (0, 1, 30, 31, 60)]
    rate, reason = xirr(dates, [-1e12, 2e12, -10_430_190.0, 0.01, 0.01])
    assert (rate, reason) == (pytest.approx(1 / 1.5 - 1, abs=1e-5), None)


def test_flows_that_no_rate_makes_worth_zero():
    # worth −100 + 10 v − 100 v² for v = 1 ÷ (1 + rate): its discriminant 10² − 4 × 100 × 100 is negative
    assert _yearly(-100, 10, -100) == (None, NO_ROOT)


def test_a_rate_that_is_too_large_for_a_float_is_none():
    # ten times as much after a day: 10 to the 365th power
    assert xirr([START, START + timedelta(days=1)], [-10.0, 100.0]) == (None, NO_ROOT)


def test_a_rate_below_minus_99_9999_percent_is_given():
    # a millionth of a millionth is left after a year, less what 11 decimals can tell
    assert _yearly(-1000, "0.00000002") == (pytest.approx(-1 + 2e-11, abs=1e-15), None)
    # the whole million lent, a cent is left after a day: 10^-8 to the 365th power
    assert xirr([START, START + timedelta(days=1)], [-1_000_000.0, 0.01]) == (-1.0, None)


def test_a_lender_that_has_only_begun_has_lost_all():
    # a thousand lent a day and a cent returned on the last: each day leaves about 0.01 ÷ 1000 of what there was
    dates = [START + timedelta(days=n) for n in range(300)]
    assert xirr(dates, [-1000.0] * 299 + [0.01]) == (-1.0, None)


flows = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(-100_000, 100_000)), min_size=2, max_size=40, unique_by=lambda f: f[0]
)

XS = np.concatenate((-np.geomspace(575, 1e-3, 800), [0.0], np.geomspace(1e-3, 19_000, 1200)))
"""-log(1 + rate) of rates over the whole range."""


def _signs(dates, amounts):
    """The sign of the flows' worth at XS; 0 where rounding may have made it."""
    flows = [(on, amount) for on, amount in zip(dates, amounts, strict=True) if amount]
    years = np.array([(on - flows[0][0]).days / 365 for on, _ in flows])
    exponents = np.outer(XS, years)
    worth = np.array([amount for _, amount in flows]) * np.exp(exponents - exponents.max(axis=1, keepdims=True))
    left = worth.sum(axis=1) / np.abs(worth).sum(axis=1)
    return np.where(np.abs(left) < 1e-11, 0, np.sign(left))


@given(flows)
def test_the_rate_makes_the_flows_worth_zero(flows):
    flows = sorted(flows)
    dates, amounts = [START + timedelta(days=n) for n, _ in flows], [cents / 100 for _, cents in flows]
    rate, reason = xirr(dates, amounts)
    if min(amounts) >= 0 or max(amounts) <= 0:
        assert (rate, reason) == (None, ONE_SIGN)
        return
    signs = _signs(dates, amounts)
    if rate is None:
        assert reason == NO_ROOT
        assert len(set(signs) - {0}) == 1
        return
    assert reason is None
    # Its last decimal is worth more, the nearer to -100 % it is.
    if rate > -1 + 1e-6:
        assert abs(_share_left(rate, dates, amounts)) <= 1e-10 * max(1, 1 / (1 + rate))
    # No other rate is nearer to zero.
    distance = -np.log(1e-10) if rate < -1 + 1e-10 else abs(np.log1p(rate))
    nearer = signs[np.abs(XS) < distance - 0.01]
    assert len(set(nearer) - {0}) <= 1


@given(st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 50_000)), min_size=1, max_size=40))
def test_it_is_the_rate_that_pyxirr_finds(repayments):
    dates = [START, *(START + timedelta(days=n) for n, _ in repayments)]
    amounts = [-5_000.0, *(cents / 100 for _, cents in repayments)]
    rate, reason = xirr(dates, amounts)
    # Lent once and repaid since: one change of sign, and so one rate, by Descartes' rule.
    assert reason is None
    if rate > -0.9:
        assert rate == pytest.approx(pyxirr.xirr(dates, amounts), rel=1e-6, abs=1e-6)


@given(flows, st.booleans())
def test_the_days_of_a_book_in_a_row_have_the_rates_of_each_day_alone(flows, lends):
    # To the last bit. The book begins with a large flow, as a lender's does, and grows by a flow a day.
    flows = [(0, -500_000 if lends else 500_000), *flows]
    on = np.datetime64(START) + np.array([n for n, _ in sorted(flows)])
    amounts = np.array([cents / 100 for _, cents in sorted(flows)])
    sizes = np.arange(1, len(flows) + 1)
    upto = [slice(0, size) for size in sizes]
    dates, values = (np.concatenate([array[part] for part in upto]) for array in (on, amounts))
    in_a_row = xirrs(np.cumsum(sizes) - sizes, dates, values, in_a_row=True)
    assert in_a_row == [xirr(on[part], amounts[part]) for part in upto]


def test_rates_half_way_between_two_decimals_do_not_depend_on_the_rate_before():
    # Lent for two years at 10.0000000005 %, 10.0000000015 % and so on, with the interest paid each year.
    on = np.datetime64(START) + 365 * np.arange(3)
    interest = [100_000_000_005 + 10 * n for n in range(100)]
    loans = [np.array([-1e12, amount, 1e12 + amount]) for amount in interest]
    in_a_row = xirrs(3 * np.arange(100), np.tile(on, 100), np.concatenate(loans), in_a_row=True)
    assert in_a_row == [xirr(on, flows) for flows in loans]
