"""A servicing database on PostgreSQL whose amounts are of the type money, from its rows to positions."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from homes import Home, materialise

from lending_pipelines.tables import SERVICING

DAY = date(2024, 2, 10)


def test_amounts_of_the_type_money_are_taken_in_whole_units(
    empty_home: Home, postgres_url: str, shared_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    """L1: 100.00 lent, 51.00 due on 5 February and paid, 50.50 due on 5 March."""
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql((shared_dir / "cases" / "postgres-money-type" / "build.sql").read_text())
        connection.exec_driver_sql(
            "INSERT INTO fees (fee_id, loan_id, fee_type, amount, assessed_on, waived_amount, paid_amount, posted_at) "
            "VALUES ('F1', 'L1', 'late', '12.50', '2024-02-06', '0', '0', '2024-02-06 12:00')"
        )

    monkeypatch.setenv("LENDING_SERVICING_URL", postgres_url)
    materialise(DAY, DAY, *SERVICING, "portfolio_membership", "loan_ownership", "loan_positions")

    (loan,) = empty_home.rows("loan_positions", DAY, DAY)
    assert {name: loan[name] for name in ("principal_disbursed", "principal_outstanding", "scheduled_due")} == {
        "principal_disbursed": Decimal("100.00"),
        "principal_outstanding": Decimal("50.00"),
        "scheduled_due": Decimal("51.00"),
    }
    assert (loan["total_collected"], loan["next_due_amount"]) == (Decimal("51.00"), Decimal("50.50"))
    assert [fee["amount"] for fee in empty_home.rows("fees")] == [Decimal("12.50")]
