"""First sync of a site of Frappe Lending on MariaDB, compared with the driver's plain SELECT of its five large tables.

The server runs on this machine and shares its processors. CPU seconds are those of the reader only. Memory is constant
if a larger site does not need more. The site has Frappe's tables, columns and indices; its rows are generated in the
server. A loan has 12 installments, 4 repayments, 4 accruals, and 26 lines of the ledger. One loan in ten is
restructured after its repayments, another one is a line of credit with three disbursements, and one in a hundred has a
cancelled repayment. Names of installments are random, as in Frappe, so that those of a loan are not stored together.
"""

import shutil
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from benchmarks.harness import Options, Row, compare
from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.sources import open_source, sync_tables
from lending_pipelines.tables import SERVICING
from tests.fineract_tenant import Tenant
from tests.mariadb_server import running_mariadb

SCHEMA = Path(__file__).resolve().parents[2] / "shared" / "data" / "frappe" / "schema.json"
"""Frappe's doctypes, which lie beside the checkout and are never committed."""

FETCHED_ROWS = 10_000
SCHEDULE = "tabRepayment Schedule"
LARGE = {
    "tabLoan": "disbursed_amount",
    SCHEDULE: "principal_amount",
    "tabLoan Repayment": "amount_paid",
    "tabLoan Interest Accrual": "interest_amount",
    "tabGL Entry": "debit",
}
"""The large tables, and the amount that is added up of each."""

Answer = list[str]
"""The amounts disbursed, repaid (also what was cancelled), accrued, and debited."""

INDICES = {
    SCHEDULE: ("parent",),
    "tabLoan Repayment Detail": ("parent",),
    "tabLoan Transfer Detail": ("parent",),
    "tabLoan Disbursement": ("against_loan", "disbursement_date", "posting_date"),
    "tabLoan Repayment": ("against_loan", "loan_restructure", "loan_disbursement"),
    "tabLoan Interest Accrual": ("loan",),
    "tabLoan Demand": ("loan",),
    "tabGL Entry": ("posting_date", "account", "voucher_no", "against_voucher"),
}
"""The columns that Frappe indexes, of the tables that are joined. Every table has one of `creation`."""

# Of loan n: its name, the day of disbursement, and the principal of an installment.
_LOAN = "concat('ACC-LOAN-2024-', lpad(n, 8, '0'))"
_DAY = "(date '2024-01-01' + interval mod(n, 300) day)"
_PRINCIPAL = "(50 + mod(n, 200))"
_INTEREST = f"round({_PRINCIPAL} * (13 - j) / 100, 2)"
_IS_LINE, _IS_RESTRUCTURED = "mod(n, 10) = 5", "mod(n, 10) = 0"
_PAID_ON = f"({_DAY} + interval 30 * j day)"
_RESTRUCTURED_ON = f"({_DAY} + interval 130 day)"
# Schedule k of a loan: the only one, the one after the restructure, or that of disbursement k of a line of credit.
_SCHEDULE = f"concat('LN-RS-', {_LOAN}, '-', k)"
_EACH_LOAN = "(SELECT seq n FROM seq_1_to_{loans}) loans"
_EACH_SCHEDULE = f"(SELECT seq k FROM seq_1_to_3) k WHERE k = 1 OR {_IS_LINE} OR (k = 2 AND {_IS_RESTRUCTURED})"
_EACH_DISBURSEMENT = f"(SELECT seq k FROM seq_1_to_3) k WHERE k = 1 OR {_IS_LINE}"
_FOUR = "(SELECT seq j FROM seq_1_to_4) j"

_FILL = (
    """
    INSERT INTO `tabCompany` (name, creation, modified, docstatus, company_name, default_currency, country)
    VALUES ('Harbour', now(), now(), 0, 'Harbour', 'INR', 'India')
    """,
    """
    INSERT INTO `tabAccount` (name, creation, modified, docstatus, account_name, root_type)
    VALUES ('Cash', now(), now(), 0, 'Cash', 'Asset'), ('Loans', now(), now(), 0, 'Loans', 'Asset'),
        ('Accrued', now(), now(), 0, 'Accrued', 'Asset'), ('Interest', now(), now(), 0, 'Interest', 'Income')
    """,
    """
    INSERT INTO `tabLoan Product` (name, creation, modified, docstatus, product_name, is_term_loan, payment_account,
        loan_account, interest_income_account, interest_accrued_account, repayment_schedule_type)
    VALUES ('Term', now(), now(), 0, 'Term', 1, 'Cash', 'Loans', 'Interest', 'Accrued', ''),
        ('Line', now(), now(), 0, 'Line', 1, 'Cash', 'Loans', 'Interest', 'Accrued', 'Line of Credit')
    """,
    f"""
    INSERT INTO `tabLoan` (name, creation, modified, docstatus, applicant_type, applicant, loan_product, posting_date,
        company, status, loan_amount, disbursed_amount, rate_of_interest, repayment_start_date, repayment_periods,
        is_term_loan, repayment_frequency, total_principal_paid, payment_account, loan_account,
        interest_income_account, repayment_schedule_type)
    SELECT {_LOAN}, {_DAY}, {_DAY}, 1, 'Customer', concat('CUST-', n), if({_IS_LINE}, 'Line', 'Term'), {_DAY},
        'Harbour', 'Disbursed', 12 * {_PRINCIPAL}, 12 * {_PRINCIPAL}, 12, {_DAY} + interval 30 day, 12, 1, 'Monthly',
        if({_IS_RESTRUCTURED}, 0, if(mod(n, 100) = 7, 3, 4) * {_PRINCIPAL}), 'Cash', 'Loans', 'Interest',
        if({_IS_LINE}, 'Line of Credit', '')
    FROM {_EACH_LOAN}
    """,
    f"""
    INSERT INTO `tabLoan Disbursement` (name, creation, modified, docstatus, against_loan, disbursement_date,
        posting_date, disbursed_amount)
    SELECT concat('LM-DIS-', {_LOAN}, '-', k), {_DAY} + interval k day, {_DAY} + interval k day, 1, {_LOAN},
        {_DAY} + interval k - 1 day, {_DAY} + interval k - 1 day, if({_IS_LINE}, 4, 12) * {_PRINCIPAL}
    FROM {_EACH_LOAN}, {_EACH_DISBURSEMENT}
    """,
    f"""
    INSERT INTO `tabLoan Restructure` (name, creation, modified, docstatus, loan, restructure_type, status,
        restructure_date, old_tenure, new_repayment_period_in_months, old_rate_of_interest, new_rate_of_interest,
        old_emi, new_monthly_repayment_amount, pending_principal_amount, new_loan_amount)
    SELECT concat('LOAN-RES-', {_LOAN}), {_RESTRUCTURED_ON}, {_RESTRUCTURED_ON}, 1, {_LOAN}, 'Normal Restructure',
        'Approved', {_RESTRUCTURED_ON}, 12, 8, 12, 11, {_PRINCIPAL}, {_PRINCIPAL}, 8 * {_PRINCIPAL}, 8 * {_PRINCIPAL}
    FROM {_EACH_LOAN} WHERE {_IS_RESTRUCTURED}
    """,
    f"""
    INSERT INTO `tabLoan Repayment Schedule` (name, creation, modified, docstatus, loan, loan_product, posting_date,
        status, repayment_schedule_type, loan_disbursement, loan_restructure, current_principal_amount)
    SELECT {_SCHEDULE}, at, at, 1, {_LOAN}, if({_IS_LINE}, 'Line', 'Term'), at,
        if({_IS_RESTRUCTURED} AND k = 1, 'Restructured', 'Active'), if({_IS_LINE}, 'Line of Credit', ''),
        concat('LM-DIS-', {_LOAN}, '-', if({_IS_LINE}, k, 1)),
        if({_IS_RESTRUCTURED} AND k = 2, concat('LOAN-RES-', {_LOAN}), NULL),
        if({_IS_LINE}, 4, if(k = 2, 8, 12)) * {_PRINCIPAL}
    FROM (
        SELECT n, k, if({_IS_LINE}, {_DAY} + interval k - 1 day, if(k = 2, {_RESTRUCTURED_ON}, {_DAY})) at
        FROM {_EACH_LOAN}, {_EACH_SCHEDULE}
    ) schedules
    """,
    f"""
    INSERT INTO `tabRepayment Schedule` (name, creation, modified, docstatus, idx, parent, parentfield, parenttype,
        payment_date, principal_amount, interest_amount, charges)
    SELECT left(md5(concat({_SCHEDULE}, '-', j)), 16), {_DAY}, {_DAY}, 1, j, {_SCHEDULE}, 'repayment_schedule',
        'Loan Repayment Schedule', {_PAID_ON} + interval if({_IS_RESTRUCTURED} AND k = 2, 120, 0) day, {_PRINCIPAL},
        {_INTEREST}, 0
    FROM (SELECT n, k FROM {_EACH_LOAN}, {_EACH_SCHEDULE}) schedules,
        (SELECT seq j FROM seq_1_to_12) j WHERE j <= if({_IS_LINE}, 4, if(k = 2, 8, 12))
    """,
    f"""
    INSERT INTO `tabLoan Repayment` (name, creation, modified, docstatus, against_loan, repayment_type, posting_date,
        value_date, amount_paid, principal_amount_paid, total_interest_paid, total_penalty_paid, total_charges_paid)
    SELECT concat('LM-REP-', {_LOAN}, '-', j), {_PAID_ON}, {_PAID_ON}, if(mod(n, 100) = 7 AND j = 4, 2, 1), {_LOAN},
        'Normal Repayment', {_PAID_ON}, {_PAID_ON}, {_PRINCIPAL} + {_INTEREST}, {_PRINCIPAL}, {_INTEREST}, 0, 0
    FROM {_EACH_LOAN}, {_FOUR}
    """,
    f"""
    INSERT INTO `tabLoan Interest Accrual` (name, creation, modified, docstatus, loan, interest_type, posting_date,
        accrual_date, interest_amount)
    SELECT concat('LM-LIA-', {_LOAN}, '-', j), {_PAID_ON}, {_PAID_ON}, 1, {_LOAN}, 'Normal Interest', {_PAID_ON},
        {_PAID_ON}, {_INTEREST}
    FROM {_EACH_LOAN}, {_FOUR}
    """,
    f"""
    INSERT INTO `tabLoan Demand` (name, creation, modified, docstatus, loan, demand_type, demand_subtype, demand_date,
        demand_amount, paid_amount, waived_amount)
    SELECT concat('LM-LD-', {_LOAN}), {_DAY}, {_DAY}, 1, {_LOAN}, 'Penalty', 'Penalty', {_DAY} + interval 35 day, 10,
        0, 0
    FROM {_EACH_LOAN} WHERE mod(n, 4) = 0
    """,
)
"""The site: {loans} loans with what happened to them."""

_POST = """
    INSERT INTO `tabGL Entry` (name, creation, modified, docstatus, posting_date, account, debit, credit,
        against_voucher_type, against_voucher, voucher_type, voucher_no, company, remarks, is_cancelled)
    SELECT concat('GL-', row.name, '-', line.seq), row.creation, row.creation, 1, row.{posted_on},
        elt(line.seq, {accounts}), if(mod(line.seq, 2), {value}, 0), if(mod(line.seq, 2), 0, {value}), 'Loan',
        row.{loan}, '{doctype}', row.name, 'Harbour', concat('Against Loan:', row.{loan}), 0
    FROM `tab{doctype}` row, seq_1_to_{lines} line
"""
"""The lines of a kind of document: a debit and a credit of each amount."""

_LEDGER = (
    _POST.format(
        doctype="Loan Disbursement",
        loan="against_loan",
        posted_on="posting_date",
        lines=2,
        accounts="'Loans', 'Cash'",
        value="row.disbursed_amount",
    ),
    _POST.format(
        doctype="Loan Repayment",
        loan="against_loan",
        posted_on="posting_date",
        lines=4,
        accounts="'Cash', 'Loans', 'Cash', 'Accrued'",
        value="if(line.seq <= 2, row.principal_amount_paid, row.total_interest_paid)",
    ),
    _POST.format(
        doctype="Loan Interest Accrual",
        loan="loan",
        posted_on="posting_date",
        lines=2,
        accounts="'Accrued', 'Interest'",
        value="row.interest_amount",
    ),
)


class Site(Tenant):
    """A site: a table `tab…` for each doctype."""

    key = "name"

    def stored_name(self, listed: str) -> str:
        """The table of a doctype."""
        return f"tab{listed}"


def first_sync(url: str, folder: str) -> Answer:
    """Sync into an empty lake."""
    shutil.rmtree(folder, ignore_errors=True)
    engine = DuckDBEngine()
    lake = Lake(folder, engine)
    for _, outcome in sync_tables(open_source("frappe", url), SERVICING.values(), lake, Conventions()):
        if isinstance(outcome, LendingError):
            raise outcome
    plans, events = lake.table("installments"), lake.table("transactions")
    last = plans.group_by("loan_id").agg(version=plans.version.max())
    sums = (
        plans.semi_join(last, ["loan_id", "version"]).principal.sum(),
        events.filter(events.type == "repayment").amount.sum(),
        lake.table("accruals").interest.sum(),
        lake.table("journal_lines").debit.sum(),
    )
    found = [f"{each.to_pyarrow().as_py():.2f}" for each in sums]
    engine.close()
    return found


def select_all(url: str, _folder: str) -> Answer:
    """Read the five large tables by PyMySQL's streaming cursor, and keep nothing."""
    import pymysql
    from pymysql.cursors import SSCursor

    address, sums = sa.make_url(url), {}
    with pymysql.connect(
        host=address.host, port=address.port, user=address.username, database=address.database
    ) as connection:
        for table, amount in LARGE.items():
            with connection.cursor(SSCursor) as cursor:
                cursor.execute(f"SELECT * FROM `{table}`")
                place = [name for name, *_ in cursor.description].index(amount)
                total = Decimal(0)
                while rows := cursor.fetchmany(FETCHED_ROWS):
                    total += sum(row[place] for row in rows)
                sums[table] = f"{total:.2f}"
    # The sync has the installments of every version.
    return [total for table, total in sums.items() if table != SCHEDULE]


def run(options: Options) -> list[Row]:
    """The first sync of two sizes."""
    if not SCHEMA.exists():
        print(f"{SCHEMA} is missing")
        return []
    found: list[Row] = []
    for loans in (5_000, 20_000, 100_000) if options.full else (5_000, 20_000):
        try:
            with running_mariadb() as server:
                found += _measured(server, loans, options.folder)
        except FileNotFoundError as missing:
            print(missing)
    return found


def _measured(server: sa.Engine, loans: int, folder: Path) -> list[Row]:
    lake, url = folder / "frappe_lake", fill(server, loans)
    found = compare(
        "frappe",
        f"first sync of {loans:,} loans",
        [first_sync, select_all],
        url,
        str(lake),
        amount=_rows(url),
        unit="rows",
        rounds=1,
    )
    shutil.rmtree(lake)
    return found


def fill(server: sa.Engine, loans: int) -> str:
    """Make a site with this number of loans, and return its URL."""
    with server.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE bench CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    url = server.url.set(database="bench").render_as_string(hide_password=False)
    site = Site(url, SCHEMA, Path("none"))
    with site.engine.begin() as connection:
        for table in site.metadata.tables:
            connection.exec_driver_sql(f"CREATE INDEX creation ON `{table}` (creation)")
        for table, columns in INDICES.items():
            for column in columns:
                connection.exec_driver_sql(f"CREATE INDEX {column} ON `{table}` ({column})")
        for statement in (*_FILL, *_LEDGER):
            connection.exec_driver_sql(statement.format(loans=loans))
        for table in site.metadata.tables:
            connection.exec_driver_sql(f"ANALYZE TABLE `{table}`")
    return url


def _rows(url: str) -> int:
    """The number of rows of the large tables."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        numbers = (connection.scalar(sa.select(sa.func.count()).select_from(sa.table(table))) for table in LARGE)
        return sum(number or 0 for number in numbers)
