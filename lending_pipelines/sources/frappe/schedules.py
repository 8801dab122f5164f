"""The SELECT for installments: a version for each Loan Repayment Schedule that is or was in force.

Frappe makes a new document when a schedule changes: at a disbursement, a prepayment or a restructure. Each is a version
from its date on. Each disbursement of a line of credit has its own schedule; a version has all schedules that are in
force at the time. The schedule of a restructure begins with the amount owed then. So its version begins with the
amounts settled before, as installments due on the days on which they were settled. sources/history.py keeps the
schedules that a later sync finds changed.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import sqlalchemy as sa

from lending_pipelines.sources.frappe.codes import DRAFT, IN_FORCE, LINE_OF_CREDIT, NORMAL_RESTRUCTURE, SUBMITTED
from lending_pipelines.sources.frappe.transactions import in_cents
from lending_pipelines.sources.rounding import cents, or_zero
from lending_pipelines.sources.stored import StoredTables

_AT_A_TIME = 5_000

_PARENT = "Loan Repayment Schedule"
"""The doctype to which the installments of a schedule belong."""

_SIGNS = {"repayment": 1, "waiver": 1, "refund": -1}
"""The sign with which an event changes the settled amount, by its type. A capitalization settles its interest only."""

_CAPITALIZATION = "capitalization"


def installments(t: StoredTables) -> sa.Select:
    """Every version of every schedule, in cents."""
    plan = _plans(t).cte("plans")
    rows = sa.union_all(_own(t, plan), _of_lines(t, plan), _settled_before(t, plan)).subquery("rows_of_versions")
    number = sa.func.row_number().over(
        partition_by=(rows.c.loan, rows.c.version),
        order_by=(rows.c.is_new, rows.c.due_on, rows.c.plan, rows.c.idx),
    )
    numbered = sa.select(*rows.c, number.label("number")).subquery("numbered")
    group, order = (numbered.c.loan, numbered.c.version), (numbered.c.number,)
    return sa.select(
        numbered.c.loan.label("loan_id"),
        numbered.c.version,
        numbered.c.number,
        numbered.c.due_on,
        *(cents(numbered.c[part], group, order).label(part) for part in ("principal", "interest", "fees")),
        numbered.c.effective_on,
        numbered.c.posted_at,
    )


def schedules_changed_on(connection: sa.Connection, t: StoredTables, loan_ids: Sequence[str]) -> Mapping[str, date]:
    """The date of each loan's last schedule in force. A change inside a schedule counts from the schedule's date."""
    row = t.loan_repayment_schedule
    changed: dict[str, date] = {}
    for begin in range(0, len(loan_ids), _AT_A_TIME):
        some = list(loan_ids[begin : begin + _AT_A_TIME])
        query = (
            sa.select(row.c.loan, sa.func.max(sa.cast(row.c.posting_date, sa.Date)))
            .where(row.c.loan.in_(some), in_force(row))
            .group_by(row.c.loan)
        )
        changed |= dict(map(tuple, connection.execute(query)))
    return changed


def in_force(schedule: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a schedule is in force, or was until another one followed it."""
    return (schedule.c.docstatus == SUBMITTED) & schedule.c.status.in_(IN_FORCE)


def last_due(t: StoredTables) -> sa.Subquery:
    """Each loan's first_due_on, from all its schedules, and matures_on, from schedules that no later one replaced."""
    plan = _plans(t).subquery("plans_of_loans")
    row = t.repayment_schedule
    last = sa.case((plan.c.until_version.is_(None), row.c.payment_date), else_=None)
    return (
        sa.select(
            plan.c.loan,
            sa.func.min(row.c.payment_date).label("first_due_on"),
            sa.func.max(last).label("matures_on"),
        )
        .join_from(plan, row, _of_plan(row, plan))
        .group_by(plan.c.loan)
        .subquery("due")
    )


def _plans(t: StoredTables) -> sa.Select:
    """The schedules that are or were in force, with their version.

    `line` is the disbursement of a schedule in a line of credit, NULL in other loans. `until_version` is the version
    that ends the schedule: the next one of the same disbursement, or of the loan. `settled_until` is the date of the
    last restructure up to the schedule.
    """
    schedule, restructure, loan, disbursement = (
        t.loan_repayment_schedule, t.loan_restructure, t.loan, t.loan_disbursement,
    )  # fmt: skip
    disbursed = (
        sa.select(disbursement.c.against_loan, sa.func.min(disbursement.c.disbursement_date).label("disbursed_on"))
        .where(disbursement.c.docstatus == SUBMITTED)
        .group_by(disbursement.c.against_loan)
        .subquery("disbursed")
    )
    is_line = sa.func.coalesce(schedule.c.repayment_schedule_type, "") == LINE_OF_CREDIT
    starts_on = sa.cast(schedule.c.posting_date, sa.Date)
    is_restructured = (restructure.c.restructure_type == NORMAL_RESTRUCTURE) & ~is_line
    order = (starts_on, schedule.c.creation, schedule.c.name)
    placed = (
        sa.select(
            schedule.c.name,
            schedule.c.loan,
            sa.case((is_line, schedule.c.loan_disbursement), else_=None).label("line"),
            starts_on.label("starts_on"),
            sa.func.coalesce(disbursed.c.disbursed_on, starts_on).label("disbursed_on"),
            schedule.c.creation.label("posted_at"),
            sa.case((is_restructured, starts_on), else_=None).label("restructured_on"),
            sa.func.row_number().over(partition_by=schedule.c.loan, order_by=order).label("version"),
        )
        .select_from(
            schedule.join(loan, loan.c.name == schedule.c.loan)
            .outerjoin(restructure, restructure.c.name == schedule.c.loan_restructure)
            .outerjoin(disbursed, disbursed.c.against_loan == schedule.c.loan)
        )
        .where(in_force(schedule), loan.c.docstatus != DRAFT)
        .subquery("placed")
    )
    line, version = (placed.c.loan, placed.c.line), (placed.c.version,)
    # Nothing is known of a schedule before its first version, so the first version is in force from disbursement on.
    begins_on = sa.func.least(placed.c.starts_on, placed.c.disbursed_on, type_=sa.Date)
    return sa.select(
        placed.c.name,
        placed.c.loan,
        placed.c.line,
        sa.case((placed.c.version == 1, begins_on), else_=placed.c.starts_on).label("effective_on"),
        placed.c.posted_at,
        placed.c.version,
        sa.func.lead(placed.c.version).over(partition_by=line, order_by=version).label("until_version"),
        sa.func.max(placed.c.restructured_on)
        .over(partition_by=line, order_by=version, rows=(None, 0))
        .label("settled_until"),
    )


def _own(t: StoredTables, plan: sa.CTE) -> sa.Select:
    """The installments of loans other than lines of credit: a version is one schedule."""
    row = t.repayment_schedule
    return _rows(row, plan, plan).select_from(plan.join(row, _of_plan(row, plan))).where(plan.c.line.is_(None))


def _of_lines(t: StoredTables, plan: sa.CTE) -> sa.Select:
    """The installments of lines of credit: a version has the schedules of all disbursements in force at the time."""
    version, row = plan.alias("version_of_line"), t.repayment_schedule
    ends_later = plan.c.until_version.is_(None) | (plan.c.until_version > version.c.version)
    is_in = (plan.c.loan == version.c.loan) & (plan.c.version <= version.c.version) & ends_later
    return (
        _rows(row, plan, version)
        .select_from(version.join(plan, is_in).join(row, _of_plan(row, plan)))
        .where(version.c.line.is_not(None), plan.c.line.is_not(None))
    )


def _of_plan(row: sa.FromClause, plan: sa.FromClause) -> sa.ColumnElement[bool]:
    return (row.c.parent == plan.c.name) & (row.c.parenttype == _PARENT)


def _rows(row: sa.FromClause, plan: sa.FromClause, version: sa.FromClause) -> sa.Select:
    """The columns of the installments of a schedule in a version."""
    return sa.select(
        version.c.loan,
        version.c.version,
        plan.c.version.label("plan"),
        row.c.idx,
        sa.literal(1, sa.Integer).label("is_new"),
        row.c.payment_date.label("due_on"),
        or_zero(row.c.principal_amount).label("principal"),
        or_zero(row.c.interest_amount).label("interest"),
        or_zero(row.c.charges).label("fees"),
        version.c.effective_on,
        version.c.posted_at,
    )


def _settled_before(t: StoredTables, plan: sa.CTE) -> sa.Select:
    """The amounts that each restructured loan had settled by its last restructure, per day, as installments."""
    event, restructure = in_cents(t).subquery("settling"), t.loan_restructure
    restructured = sa.select(restructure.c.loan).where(restructure.c.docstatus == SUBMITTED)
    sign = sa.case(*((event.c.servicing_type == type_, sa.literal(sign)) for type_, sign in _SIGNS.items()), else_=0)
    is_capitalized = event.c.servicing_type == _CAPITALIZATION
    settled = (
        sa.select(
            event.c.loan,
            event.c.effective_on,
            sa.func.sum(sign * event.c.principal).label("principal"),
            sa.func.sum(sa.case((is_capitalized, 1), else_=sign) * event.c.interest).label("interest"),
        )
        .where(
            event.c.loan.in_(restructured),
            event.c.docstatus == SUBMITTED,
            event.c.servicing_type.in_((*_SIGNS, _CAPITALIZATION)),
        )
        .group_by(event.c.loan, event.c.effective_on)
        .subquery("settled")
    )
    return sa.select(
        plan.c.loan,
        plan.c.version,
        plan.c.version,
        sa.literal(0, sa.Integer),
        sa.literal(0, sa.Integer),
        settled.c.effective_on,
        or_zero(settled.c.principal),
        or_zero(settled.c.interest),
        or_zero(sa.null()),
        plan.c.effective_on,
        plan.c.posted_at,
    ).select_from(
        plan.join(settled, (settled.c.loan == plan.c.loan) & (settled.c.effective_on <= plan.c.settled_until))
    )
