"""Portfolios, investors, tape configurations, report requests and notifications."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.Text()
INSTANT = sa.DateTime(timezone=True)
MONEY = sa.Numeric(18, 2).with_variant(sa.Text(), "sqlite")


def _one_of(name: str, *values: str) -> sa.Column:
    kind = sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)
    return sa.Column(name, kind, nullable=False)


def _required(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _optional(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=True) for name in names]


def upgrade() -> None:
    """Create the tables."""
    _create_portfolios()
    _create_investors()
    op.create_table(
        "loan_tape_configs",
        *_required(TEXT, "config_id", "name", "portfolio_id"),
        *_optional(TEXT, "investor_id"),
        _one_of("tape_format", "csv", "xlsx", "parquet"),
        *_required(TEXT, "tape_schedule"),
        *_required(sa.JSON(), "required_fields"),
        *_optional(TEXT, "recipient_email", "delivery_url", "template"),
        *_required(sa.Boolean(), "active"),
        sa.PrimaryKeyConstraint("config_id"),
        sa.UniqueConstraint("name"),
        sa.ForeignKeyConstraint(["portfolio_id"], ["portfolios.portfolio_id"]),
        sa.ForeignKeyConstraint(["investor_id"], ["investors.investor_id"]),
    )
    _create_reports()
    _create_notifications()


def _create_portfolios() -> None:
    op.create_table(
        "portfolios",
        *_required(TEXT, "portfolio_id", "name", "description"),
        *_optional(TEXT, "program_id"),
        _one_of("status", "open", "closed", "sold"),
        *_optional(sa.JSON(), "criteria"),
        *_required(sa.Integer(), "priority"),
        *_required(sa.Date(), "opened_on"),
        *_optional(sa.Date(), "closed_on"),
        sa.PrimaryKeyConstraint("portfolio_id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "portfolio_loans",
        *_required(TEXT, "portfolio_id", "loan_id"),
        *_required(sa.Date(), "assigned_on"),
        *_optional(sa.Date(), "removed_on"),
        _one_of("method", "static", "dynamic"),
        sa.PrimaryKeyConstraint("portfolio_id", "loan_id", "assigned_on"),
        sa.ForeignKeyConstraint(["portfolio_id"], ["portfolios.portfolio_id"]),
        sa.CheckConstraint("removed_on > assigned_on", name="removed_after_assigned"),
    )
    op.create_index("ix_portfolio_loans_loan_id", "portfolio_loans", ["loan_id"])


def _create_investors() -> None:
    op.create_table(
        "investors",
        *_required(TEXT, "investor_id", "name"),
        _one_of("investor_type", "individual", "institutional", "fund", "other"),
        *_optional(TEXT, "bank_account", "phone", "email", "address"),
        sa.PrimaryKeyConstraint("investor_id"),
    )
    op.create_table(
        "loan_assignments",
        *_required(TEXT, "loan_id"),
        *_required(sa.Date(), "assignment_date"),
        *_required(TEXT, "investor_id"),
        *_optional(MONEY, "purchase_price"),
        sa.PrimaryKeyConstraint("loan_id", "assignment_date"),
        sa.ForeignKeyConstraint(["investor_id"], ["investors.investor_id"]),
    )
    op.create_index("ix_loan_assignments_investor_id", "loan_assignments", ["investor_id"])


def _create_reports() -> None:
    op.create_table(
        "reports",
        *_required(TEXT, "report_id", "report_type"),
        _one_of("status", "pending", "generating", "completed", "failed"),
        *_required(sa.JSON(), "parameters"),
        *_optional(sa.JSON(), "report_data"),
        _one_of("output_format", "csv", "xlsx", "pdf", "json", "parquet"),
        *_optional(TEXT, "file_url", "sha256"),
        *_required(TEXT, "requested_by"),
        *_required(INSTANT, "requested_at"),
        *_optional(INSTANT, "generated_at"),
        *_optional(TEXT, "error_message", "run_id"),
        sa.PrimaryKeyConstraint("report_id"),
    )
    op.create_index("ix_reports_status", "reports", ["status"])
    op.create_index("ix_reports_requested_at", "reports", ["requested_at"])


def _create_notifications() -> None:
    op.create_table(
        "notifications",
        *_required(TEXT, "notification_id"),
        _one_of(
            "notification_type",
            "portfolio_alert",
            "portfolio_health_critical",
            "portfolio_health_warning",
            "high_default_rate",
            "low_collection_rate",
            "high_par",
            "negative_growth",
            "tape_delivered",
            "run_failed",
            "restatement",
        ),
        _one_of("priority", "low", "normal", "high", "critical"),
        *_required(TEXT, "recipient", "subject", "body"),
        *_required(sa.Boolean(), "action_required"),
        *_optional(sa.JSON(), "alert_data"),
        *_optional(sa.Date(), "business_date"),
        *_required(INSTANT, "created_at"),
        *_optional(INSTANT, "emailed_at", "read_at"),
        sa.PrimaryKeyConstraint("notification_id"),
    )
    op.create_index("ix_notifications_recipient", "notifications", ["recipient"])
