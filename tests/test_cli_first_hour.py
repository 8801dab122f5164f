"""A lender whose PostgreSQL database has another shape: from nothing to a delivered tape by five commands.

Four tables of the lender's own, twenty loans, ten mistakes. The servicing tables are views of them.
"""

import csv
import json
import os
from pathlib import Path

import pytest
import sqlalchemy as sa
from homes import lending

OWN_TABLES = """
CREATE TABLE client (no int, since date);
CREATE TABLE contract (no text, client_no int, curr text, amount numeric, pct numeric, basis text, paid_out date);
CREATE TABLE plan (contract_no text, pos int, due timestamp, capital numeric, interest numeric);
CREATE TABLE movement (id int, contract_no text, kind text, value_date date, capital numeric, interest numeric,
                       total numeric, undoes int);
INSERT INTO client SELECT n, '2024-12-01' FROM generate_series(1, 20) n;
INSERT INTO contract SELECT 'C' || lpad(n::text, 2, '0'), n, 'EUR', 1200, 10, '30/360', '2025-01-02'
    FROM generate_series(1, 20) n;
INSERT INTO plan SELECT no, pos, date '2025-01-02' + make_interval(months => pos), 100, 10
    FROM contract, generate_series(1, 12) pos;
INSERT INTO movement SELECT 100 + client_no, no, 'OUT', '2025-01-02', 1200, 0, 1200, NULL FROM contract;
INSERT INTO movement SELECT 200 + client_no, no, 'IN', '2025-02-02', 100, 10, 110, NULL FROM contract;
"""

VIEWS = """
CREATE VIEW borrowers AS SELECT no::text AS borrower_id, 'main' AS branch_id, 'retail' AS segment, since AS joined_on,
    NULL::date AS left_on FROM client;
CREATE VIEW loans AS SELECT no AS loan_id, client_no::text AS borrower_id, 'loan' AS product_id, 'main' AS branch_id,
    NULL::text AS officer_id, curr AS currency, amount AS principal, pct / 100 AS annual_rate, basis AS day_count,
    12 AS term_count, 'monthly' AS payment_frequency, paid_out AS approved_on, paid_out AS disbursed_on,
    date '2025-02-02' AS first_due_on, date '2026-01-02' AS matures_on, NULL::text AS purpose,
    NULL::numeric AS collateral_value, NULL::int AS credit_score, NULL::text AS region,
    paid_out::timestamp AS posted_at, paid_out::timestamp AS updated_at FROM contract;
CREATE VIEW installments AS SELECT contract_no AS loan_id, 1 AS version, pos AS number, due AS due_on,
    capital AS principal, interest, 0 AS fees, date '2025-01-02' AS effective_on,
    timestamp '2025-01-02 09:00' AS posted_at FROM plan;
CREATE VIEW transactions AS SELECT id::text AS transaction_id, contract_no AS loan_id,
    CASE kind WHEN 'OUT' THEN 'disbursement' WHEN 'IN' THEN 'repayment' WHEN 'UNDO' THEN 'reversal' ELSE kind END
    AS type, value_date AS effective_on, value_date + time '10:00' AS posted_at, total AS amount,
    capital AS principal, interest, 0 AS fees, NULL::text AS channel, undoes::text AS reverses_id FROM movement;
"""

MISTAKES = {
    # What was done wrong in the lender's tables: how it is mended, and how doctor names it.
    "UPDATE contract SET pct = NULL WHERE no = 'C01'": (
        "UPDATE contract SET pct = 10 WHERE no = 'C01'",
        "loans.annual_rate: 1 rows have no value (loan_id=C01)",
    ),
    "UPDATE contract SET basis = 'act/act' WHERE no = 'C02'": (
        "UPDATE contract SET basis = '30/360' WHERE no = 'C02'",
        "loan_id=C02 has 'act/act'",
    ),
    "UPDATE contract SET amount = 1200.005 WHERE no = 'C03'": (
        "UPDATE contract SET amount = 1200 WHERE no = 'C03'",
        "loan_id=C03 has 1200.005",
    ),
    "INSERT INTO contract SELECT * FROM contract WHERE no = 'C04'": (
        "DELETE FROM contract a USING contract b WHERE a.ctid > b.ctid AND a.no = b.no",
        "loan_id=C04",
    ),
    "INSERT INTO plan VALUES ('C99', 1, '2025-02-02', 100, 10)": (
        "DELETE FROM plan WHERE contract_no = 'C99'",
        "installments.loan_id: 1 rows refer to a row that loans does not have (loan_id=C99",
    ),
    "UPDATE plan SET due = '2025-02-02 15:30' WHERE contract_no = 'C05' AND pos = 1": (
        "UPDATE plan SET due = '2025-02-02' WHERE contract_no = 'C05' AND pos = 1",
        "loan_id=C05, version=1, number=1 has 2025-02-02 15:30:00",
    ),
    "UPDATE movement SET kind = 'FEE' WHERE id = 206": (
        "UPDATE movement SET kind = 'IN' WHERE id = 206",
        "transaction_id=206 has 'FEE'",
    ),
    "UPDATE movement SET total = 111 WHERE id = 207": (
        "UPDATE movement SET total = 110 WHERE id = 207",
        "transaction_id=207",
    ),
    "UPDATE movement SET kind = 'UNDO' WHERE id = 208": (
        "UPDATE movement SET kind = 'IN' WHERE id = 208",
        "transaction_id=208",
    ),
    "UPDATE movement SET contract_no = 'C98' WHERE id = 209": (
        "UPDATE movement SET contract_no = 'C09' WHERE id = 209",
        "transactions.loan_id: 1 rows refer to a row that loans does not have (transaction_id=209 has 'C98')",
    ),
}


@pytest.fixture
def engine(make_postgres_url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The lender's database, and an empty folder with nothing set in the environment."""
    for name in [name for name in os.environ if name.startswith(("LENDING_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    engine = sa.create_engine(make_postgres_url(), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.mark.slow
def test_ten_mistakes_are_named_in_one_run_and_five_commands_deliver_a_tape(engine, tmp_path):
    run(engine, OWN_TABLES, VIEWS, *MISTAKES)
    url = engine.url.render_as_string(hide_password=False)

    done("init", "--servicing-url", url, "--start-date", "2025-01-01", "--timezone", "UTC", "--name", "Harbour")
    told = lending("doctor")
    assert told.returncode == 1
    assert [name for _, name in MISTAKES.values() if name not in told.stdout] == [], told.stdout

    run(engine, *(mended for mended, _ in MISTAKES.values()))
    assert lending("doctor").returncode == 0

    (tmp_path / "rule.json").write_text(json.dumps({"all": [{"field": "currency", "op": "eq", "value": "EUR"}]}))
    done("portfolio", "create", "All", "--opened", "2025-01-01", "--criteria", "rule.json")
    (tmp_path / "fund.toml").write_text(
        f"""
        name = "Fund"
        portfolio = "All"
        tape_schedule = "monthly"
        deliver_from = 2025-02-28
        delivery_url = "{tmp_path}/out"
        """
    )
    done("tape-config", "fund.toml")
    done("close", "--from", "2025-02-27", "--to", "2025-02-28", statuses=(0, 1, 3))
    done("deliver", "Fund", "2025-02-28")

    with next((tmp_path / "out").glob("*.csv")).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    # 1,200.00 disbursed and the first installment of 100.00 paid.
    assert {row["principal_outstanding"] for row in rows} == {"1100.00"}


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def done(*arguments: str, statuses: tuple[int, ...] = (0,)) -> None:
    ended = lending(*arguments)
    assert ended.returncode in statuses, ended.stdout + ended.stderr
