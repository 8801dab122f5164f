"""SELECTs for branches, staff, borrowers, programs and products."""

import sqlalchemy as sa

from lending_pipelines.sources.fineract.codes import STAFF_ROLES, named
from lending_pipelines.sources.stored import StoredTables

NO_FUND = "0"
"""The program of products without a fund."""


def text(id_: sa.ColumnElement) -> sa.ColumnElement[str]:
    """An id as text."""
    return sa.cast(id_, sa.String(20))


def group_borrower(group_id: sa.ColumnElement) -> sa.ColumnElement[str]:
    """The borrower_id of a group: G and its id. Clients have their plain id."""
    return sa.literal("G", sa.String) + text(group_id)


def branches(t: StoredTables) -> sa.Select:
    """Offices. The region of an office is the name of its parent office; of the head office, its own name."""
    office, above = t.m_office, t.m_office.alias("above")
    return sa.select(
        text(office.c.id).label("branch_id"),
        office.c.name,
        sa.func.coalesce(above.c.name, office.c.name).label("region"),
    ).select_from(office.outerjoin(above, above.c.id == office.c.parent_id))


def staff(t: StoredTables) -> sa.Select:
    """Staff. Without a role, the flag is_loan_officer decides. Fineract has no day on which somebody left."""
    person, office = t.m_staff, t.m_office
    without_role = sa.case((person.c.is_loan_officer.is_(sa.true()), "loan_officer"), else_="admin")
    head_office = sa.select(sa.func.min(office.c.id)).where(office.c.parent_id.is_(None)).scalar_subquery()
    branch = sa.func.coalesce(person.c.office_id, head_office)
    return sa.select(
        text(person.c.id).label("staff_id"),
        person.c.display_name.label("full_name"),
        sa.func.coalesce(person.c.email_address, "").label("email"),
        sa.func.coalesce(named(person.c.organisational_role_enum, STAFF_ROLES), without_role).label("role"),
        text(branch).label("branch_id"),
        text(person.c.organisational_role_parent_staff_id).label("team_leader_id"),
        sa.func.coalesce(person.c.joining_date, office.c.opening_date).label("active_from"),
        sa.cast(sa.null(), sa.Date).label("active_to"),
    ).select_from(person.outerjoin(office, office.c.id == branch))


def borrowers(t: StoredTables) -> sa.Select:
    """Clients, and the groups that borrow as one. The segment is the client's classification, else its legal form."""
    client, group, value = t.m_client, t.m_group, t.m_code_value
    legal_form = named(client.c.legal_form_enum, {1: "person", 2: "entity"}, "unclassified")
    clients = sa.select(
        text(client.c.id).label("borrower_id"),
        text(client.c.office_id).label("branch_id"),
        sa.func.coalesce(value.c.code_value, legal_form).label("segment"),
        sa.func.coalesce(client.c.activation_date, client.c.submittedon_date).label("joined_on"),
        client.c.closedon_date.label("left_on"),
    ).select_from(client.outerjoin(value, value.c.id == client.c.client_classification_cv_id))
    groups = sa.select(
        group_borrower(group.c.id),
        text(group.c.office_id),
        sa.literal("group", sa.String),
        sa.func.coalesce(group.c.activation_date, group.c.submittedon_date),
        group.c.closedon_date,
    )
    return sa.select(*clients.union_all(groups).subquery().c)


def programs(t: StoredTables) -> sa.Select:
    """Funds, and one program for products without a fund."""
    fund = t.m_fund
    funds = sa.select(text(fund.c.id).label("program_id"), sa.func.coalesce(fund.c.name, text(fund.c.id)).label("name"))
    none = sa.select(sa.literal(NO_FUND, sa.String), sa.literal("Without a fund", sa.String))
    return sa.select(*funds.union_all(none).subquery().c)


def products(t: StoredTables) -> sa.Select:
    """Loan products."""
    product = t.m_product_loan
    return sa.select(
        text(product.c.id).label("product_id"),
        sa.func.coalesce(text(product.c.fund_id), NO_FUND).label("program_id"),
        product.c.name,
        sa.func.lower(sa.func.coalesce(product.c.loan_schedule_type, "loan")).label("product_type"),
    )
