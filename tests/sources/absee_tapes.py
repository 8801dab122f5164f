"""Auto loan tapes as tests write them, and the rows that the source makes of them."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from lending_pipelines.tables import SERVICING

LOAN = {
    "assetNumber": "7",
    "reportingPeriodEndingDate": "08-31-2019",
    "originationDate": "02/2019",
    "originalLoanAmount": "1200.00",
    "originalLoanTerm": "13",
    "loanMaturityDate": "02/2020",
    "vehicleNewUsedCode": "2",
    "vehicleValueAmount": "2000",
    "obligorCreditScore": "693.0",
    "obligorGeographicLocation": "RI",
    "reportingPeriodInterestRatePercentage": "0.12",
    "reportingPeriodActualEndBalanceAmount": "1000.00",
    "reportingPeriodScheduledPaymentAmount": "400.00",
    "risk_cat_ir": "near_prime",
}
MONTH = {
    "assetNumber": "7",
    "periodEnd": "2019-09-30",
    "endBalance": "1000.00",
    "principalCollected": "0.00",
    "totalPaid": "0.00",
    "recovered": "",
    "repossessedProceeds": "0.00",
}
MONTH_ENDS = ("2019-09-30", "2019-10-31", "2019-11-30", "2019-12-31")


def rows_of(source, table: str) -> list[dict]:
    return pa.Table.from_batches(source.read(SERVICING[table], None), SERVICING[table].arrow_schema).to_pylist()


def write_tape(folder: Path, months: list[dict], **loan: str) -> str:
    pd.DataFrame([LOAN | loan]).to_csv(folder / "loans.csv.gz", index=False)
    reported = [MONTH | {"periodEnd": end} | month for end, month in zip(MONTH_ENDS, months, strict=False)]
    columns = dict.fromkeys([*MONTH, *(name for month in months for name in month)])
    pd.DataFrame(reported, columns=list(columns)).to_csv(folder / "monthly.csv.gz", index=False)
    return str(folder)
