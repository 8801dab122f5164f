"""Results of compliance rules: for each loan at its approval, and for the lender each month."""

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import days, ids, labels, pick, table
from lending_pipelines.sample.loans import Loans
from lending_pipelines.sample.spec import SampleSpec

_RULES = (
    ("KYC-01", "Identity verified before approval", "kyc", "identity document expired"),
    ("AML-02", "Name screened against sanctions lists", "aml", "possible match not cleared before approval"),
    ("AFF-03", "Instalments within the affordability limit", "responsible_lending", "instalment above 40 % of income"),
    ("DIS-04", "Cost of credit disclosed before signature", "disclosure", "disclosure signed after the contract"),
    ("RAT-05", "Annual rate within the legal cap", "pricing", "rate above the cap for the product"),
)
_HOUSE_RULES = (
    ("CAP-10", "Capital adequacy above the regulatory minimum", "prudential", "ratio below 12 % at month end"),
    ("LIQ-11", "Liquid assets cover 30 days of outflows", "prudential", "coverage below 100 % at month end"),
    ("REP-12", "Regulatory return filed on time", "reporting", "return filed after the deadline"),
)
_CHECKS_A_LOAN = 2
_FAILED_SHARE = 0.03


def loan_checks(loans: Loans, random: np.random.Generator) -> pa.Table:
    """Two different rules for each loan at its approval."""
    size = len(loans.number)
    first = random.integers(0, len(_RULES), size)
    second = (first + random.integers(1, len(_RULES), size)) % len(_RULES)
    rule = np.column_stack([first, second]).ravel()
    number = np.repeat(loans.number, _CHECKS_A_LOAN)
    failed = random.random(len(rule)) < _FAILED_SHARE
    return table(
        "compliance_checks",
        check_id=ids("K", (number - 1) * _CHECKS_A_LOAN + np.tile([1, 2], size), 10),
        rule_code=labels([rule[0] for rule in _RULES], rule),
        rule_name=labels([rule[1] for rule in _RULES], rule),
        category=labels([rule[2] for rule in _RULES], rule),
        loan_id=ids("L", number),
        checked_on=days(np.repeat(loans.approved, _CHECKS_A_LOAN)),
        passed=pa.array(~failed),
        detail=labels([rule[3] for rule in _RULES], np.where(failed, rule, -1)),
    )


def house_checks(spec: SampleSpec) -> pa.Table:
    """The rules for the lender, on the spec's first day and on the first day of each month after it."""
    random = spec.random("house checks")
    month = np.datetime64(spec.first_day, "D").astype("datetime64[M]")
    months = np.arange(month + 1, np.datetime64(spec.last_day, "D").astype("datetime64[M]") + 1)
    checked = np.append(spec.first_day, months.astype("datetime64[D]").astype(np.int64))
    day = np.repeat(checked, len(_HOUSE_RULES))
    rule = np.tile(np.arange(len(_HOUSE_RULES)), len(checked))
    failed = pick(random, len(day), (0.94, 0.06)) == 1
    nothing = np.full(len(day), -1)
    return table(
        "compliance_checks",
        check_id=ids("KH", np.arange(1, len(day) + 1)),
        rule_code=labels([rule[0] for rule in _HOUSE_RULES], rule),
        rule_name=labels([rule[1] for rule in _HOUSE_RULES], rule),
        category=labels([rule[2] for rule in _HOUSE_RULES], rule),
        loan_id=ids("L", nothing),
        checked_on=days(day),
        passed=pa.array(~failed),
        detail=labels([rule[3] for rule in _HOUSE_RULES], np.where(failed, rule, -1)),
    )
