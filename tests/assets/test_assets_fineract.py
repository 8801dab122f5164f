"""A Fineract database through a whole close: the public seed of fineract-business-intelligence."""

import csv
import gzip
from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from fineract_tenant import Tenant
from homes import Home, close

DAY = date(2026, 6, 30)
CENT = Decimal("0.01")


def test_the_seed_closes_with_every_balance_to_the_cent(empty_home: Home, postgres_url: str, shared_dir: Path):
    """A balance is what was lent, less the exact principal of the repayments, rounded once per loan."""
    data = shared_dir / "data" / "fineract"
    Tenant(postgres_url, data / "schema.json", data / "bi_seed", only_files=True)
    close(empty_home, (DAY, DAY), LENDING_SOURCE="fineract", LENDING_SERVICING_URL=postgres_url)

    owed: dict[str, Decimal] = defaultdict(Decimal)
    with gzip.open(data / "bi_seed" / "m_loan_transaction.csv.gz", "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["transaction_type_enum"] == "1":
                owed[row["loan_id"]] += Decimal(row["amount"])
            elif row["transaction_type_enum"] == "2":
                owed[row["loan_id"]] -= Decimal(row["principal_portion_derived"])
    positions = empty_home.rows("loan_positions", DAY, DAY)
    assert {row["loan_id"]: row["principal_outstanding"] for row in positions} == {
        loan: amount.quantize(CENT, ROUND_HALF_UP) for loan, amount in owed.items()
    }
    # 36 of the 144 loans have met every installment. The seven recoveries are 26,800.00, of loans without a charge-off.
    assert sum(row["status"] == "active" for row in positions) == 144 - 36
    assert sum(row["recovered"] for row in positions) == Decimal("26800.00")
