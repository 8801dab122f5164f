"""The register's tables as SQLAlchemy models. Every change needs a migration; a test compares the two.

Rules that involve several rows (a loan is in at most one portfolio on a day) belong in the repositories.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates

from lending_pipelines.bounds import LONGEST_TEXT, required_text
from lending_pipelines.register.types import Encrypted, Money, UtcDateTime, new_id, utc_now

PortfolioStatus = Literal["open", "closed", "sold"]
AssignmentMethod = Literal["static", "dynamic"]
InvestorType = Literal["individual", "institutional", "fund", "other"]
TapeFormat = Literal["csv", "xlsx", "parquet", "xml"]
ReportStatus = Literal["pending", "generating", "completed", "failed"]
OutputFormat = Literal["csv", "xlsx", "pdf", "json", "parquet"]
BusinessDayConvention = Literal["unadjusted", "following", "modified_following", "preceding", "modified_preceding"]
DeliveryChannel = Literal["place", "email"]
DeliveryStatus = Literal["pending", "delivering", "delivered", "failed"]
NotificationType = Literal[
    "portfolio_alert",
    "portfolio_health_critical",
    "portfolio_health_warning",
    "high_default_rate",
    "low_collection_rate",
    "high_par",
    "negative_growth",
    "tape_delivered",
    "tape_delayed",
    "run_failed",
    "restatement",
    "report_ready",
    "report_failed",
]
Priority = Literal["low", "normal", "high", "critical"]
NotificationChannel = Literal["email", "webhook"]


class Base(DeclarativeBase):
    """The base of the models: constraint names, and the database type of each Python type."""

    metadata = sa.MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: sa.Text(),
        datetime: UtcDateTime(),
        Decimal: Money(),
        float: sa.Double(),
        dict[str, Any]: sa.JSON(none_as_null=True),
        list[Any]: sa.JSON(none_as_null=True),
    }


def one_of(name: str, values: Any) -> sa.Enum:
    """A text column with a CHECK constraint of that name that allows the values of a Literal."""
    return sa.Enum(*get_args(values), name=name, native_enum=False, create_constraint=True, length=40)


class Portfolio(Base):
    """A named group of loans. `criteria` is the rule that selects loans; a lower `priority` selects first.

    With a `program_id` the portfolio takes loans of that program only.
    """

    __tablename__ = "portfolios"

    portfolio_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    program_id: Mapped[str | None]
    status: Mapped[PortfolioStatus] = mapped_column(one_of("status", PortfolioStatus), default="open")
    criteria: Mapped[dict[str, Any] | None]
    priority: Mapped[int] = mapped_column(default=0)
    opened_on: Mapped[date]
    closed_on: Mapped[date | None]

    @validates("portfolio_id", "name", "program_id")
    def _bounded(self, column: str, text: str | None) -> str | None:
        return required_text(text, f"portfolio: {column}")

    @validates("description")
    def _described(self, column: str, text: str) -> str:
        return text and str(required_text(text, f"portfolio: {column}", LONGEST_TEXT))


class PortfolioLoan(Base):
    """A loan in a portfolio on the days [assigned_on, removed_on); without removed_on, with no end."""

    __tablename__ = "portfolio_loans"
    __table_args__ = (sa.CheckConstraint("removed_on > assigned_on", name="removed_after_assigned"),)

    portfolio_id: Mapped[str] = mapped_column(sa.ForeignKey("portfolios.portfolio_id"), primary_key=True)
    loan_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    assigned_on: Mapped[date] = mapped_column(primary_key=True)
    removed_on: Mapped[date | None]
    method: Mapped[AssignmentMethod] = mapped_column(one_of("method", AssignmentMethod))


class Investor(Base):
    """An owner of loans. Bank account, phone, email and address are encrypted when LENDING_REGISTER_KEYS is set."""

    __tablename__ = "investors"

    investor_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    investor_type: Mapped[InvestorType] = mapped_column(one_of("investor_type", InvestorType))
    bank_account: Mapped[str | None] = mapped_column(Encrypted())
    phone: Mapped[str | None] = mapped_column(Encrypted())
    email: Mapped[str | None] = mapped_column(Encrypted())
    address: Mapped[str | None] = mapped_column(Encrypted())

    @validates("investor_id", "name")
    def _named(self, column: str, text: str) -> str | None:
        return required_text(text, f"investor: {column}")

    @validates("bank_account", "phone", "email", "address")
    def _bounded(self, column: str, text: str | None) -> str | None:
        return required_text(text or None, f"investor: {column}")


class LoanAssignment(Base):
    """A loan owned by an investor from a date until its next assignment; `purchase_price` is paid the day before.

    `sale_id` names the portfolio sale that made the assignment, if any; the assignment date is the day after the sale.
    """

    __tablename__ = "loan_assignments"

    loan_id: Mapped[str] = mapped_column(primary_key=True)
    assignment_date: Mapped[date] = mapped_column(primary_key=True)
    investor_id: Mapped[str] = mapped_column(sa.ForeignKey("investors.investor_id"), index=True)
    purchase_price: Mapped[Decimal | None]
    sale_id: Mapped[str | None] = mapped_column(sa.ForeignKey("portfolio_sales.sale_id"), index=True)


class PortfolioSale(Base):
    """A portfolio sold to an investor at the end of a business date.

    `snapshot` is the portfolio's row of portfolio_snapshots on that day, as JSON values. `lake_version` is the Delta
    version of each lake table that the sale is based on; a vacuum keeps these. The record of an undone sale stays.
    """

    __tablename__ = "portfolio_sales"

    sale_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    portfolio_id: Mapped[str] = mapped_column(sa.ForeignKey("portfolios.portfolio_id"), index=True)
    investor_id: Mapped[str] = mapped_column(sa.ForeignKey("investors.investor_id"))
    sale_date: Mapped[date]
    price: Mapped[Decimal]
    currency: Mapped[str]
    snapshot: Mapped[dict[str, Any]]
    lake_version: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime] = mapped_column(default=utc_now)
    undone_at: Mapped[datetime | None]


class LoanTapeConfig(Base):
    """The contents, due dates and destinations of an investor's loan tape.

    `required_fields` are names of the tape catalogue, or {"field": name, "as": column}. A `template` defines the fields
    instead; `template_values` set or override its fields by code. Personal data is included only with `allow_pii`.

    `tape_schedule` is daily, weekly, monthly, quarterly or a cron expression. Scheduled dates that are not business
    days (weekends, and holidays of the `holiday_calendar`) are adjusted by the `business_day_convention`. Tapes of
    `deliver_from` and later are sent to `delivery_url` and `recipient_email` (one address, or several separated by
    commas). A tape not delivered `late_after_hours` hours after the end of its business date is late, and the lender's
    own `owner_email` is notified. A tape without loans is made and delivered only with `allow_empty`. With
    `approve_corrections`, a correction is delivered only after a person approved it.
    """

    __tablename__ = "loan_tape_configs"

    config_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    portfolio_id: Mapped[str] = mapped_column(sa.ForeignKey("portfolios.portfolio_id"))
    investor_id: Mapped[str | None] = mapped_column(sa.ForeignKey("investors.investor_id"))
    tape_format: Mapped[TapeFormat] = mapped_column(one_of("tape_format", TapeFormat))
    tape_schedule: Mapped[str]
    required_fields: Mapped[list[Any]]
    recipient_email: Mapped[str | None]
    delivery_url: Mapped[str | None]
    business_day_convention: Mapped[BusinessDayConvention] = mapped_column(
        one_of("business_day_convention", BusinessDayConvention), default="unadjusted"
    )
    holiday_calendar: Mapped[str | None]
    deliver_from: Mapped[date] = mapped_column(default=date.today)
    late_after_hours: Mapped[int] = mapped_column(default=12)
    owner_email: Mapped[str | None]
    template: Mapped[str | None]
    template_values: Mapped[dict[str, Any] | None]
    allow_pii: Mapped[bool] = mapped_column(default=False)
    allow_empty: Mapped[bool] = mapped_column(default=False)
    approve_corrections: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    active: Mapped[bool] = mapped_column(default=True)
    retired_on: Mapped[date | None]


class TapeFault(Base):
    """A tape of a closed day that could not be made, and why. The row is deleted when the tape is made.

    `waits_for_close`: the tape can be made only after its day is closed again.
    """

    __tablename__ = "tape_faults"

    config_id: Mapped[str] = mapped_column(sa.ForeignKey("loan_tape_configs.config_id"), primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    reason: Mapped[str]
    waits_for_close: Mapped[bool]
    failed_at: Mapped[datetime] = mapped_column(default=utc_now)


class TapeDelivery(Base):
    """The delivery of one tape to one destination: an fsspec URL or an email address.

    `correction` is 0 for the day's tape and n for its nth correction; `supersedes_id` is the delivery that a correction
    replaces. A correction that `needs_approval` is not delivered before it is approved (`approved_at`). `sha256` and
    `rows` describe the file sent. `delayed_at` is when the tape's owner was notified that the tape is late.
    """

    __tablename__ = "tape_deliveries"
    __table_args__ = (
        sa.UniqueConstraint(
            "config_id", "business_date", "channel", "destination", "correction", name="uq_tape_deliveries_once"
        ),
    )

    delivery_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    config_id: Mapped[str] = mapped_column(sa.ForeignKey("loan_tape_configs.config_id"))
    business_date: Mapped[date]
    channel: Mapped[DeliveryChannel] = mapped_column(one_of("channel", DeliveryChannel))
    destination: Mapped[str]
    correction: Mapped[int] = mapped_column(default=0)
    status: Mapped[DeliveryStatus] = mapped_column(one_of("status", DeliveryStatus), default="pending", index=True)
    sha256: Mapped[str | None]
    rows: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    run_id: Mapped[str | None]
    error_message: Mapped[str | None]
    delayed_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    supersedes_id: Mapped[str | None] = mapped_column(sa.ForeignKey("tape_deliveries.delivery_id"))
    needs_approval: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    approved_by: Mapped[str | None]
    approved_at: Mapped[datetime | None]


class Report(Base):
    """A report request and its result; `report_data` is the summary of a completed report.

    `notify` are the recipients who are notified when the report is ready or failed.
    """

    __tablename__ = "reports"

    report_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    report_type: Mapped[str]
    status: Mapped[ReportStatus] = mapped_column(one_of("status", ReportStatus), default="pending", index=True)
    parameters: Mapped[dict[str, Any]]
    report_data: Mapped[dict[str, Any] | None]
    output_format: Mapped[OutputFormat] = mapped_column(one_of("output_format", OutputFormat))
    file_url: Mapped[str | None]
    sha256: Mapped[str | None]
    requested_by: Mapped[str]
    notify: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    requested_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    generated_at: Mapped[datetime | None]
    error_message: Mapped[str | None]
    run_id: Mapped[str | None]


class Notification(Base):
    """A message to a person or team, and whether it was sent, read and acted on.

    One with an `alert_id` is about an alert; `snapshot` names the row of the table that it is about. `message_id` and
    `sending_at` are recorded immediately before the message is handed over, `emailed_at` when the server or the webhook
    has accepted it. With `sending_at` alone, the message may or may not have arrived; it is not sent again.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        # For finding unsent notifications without reading their texts.
        sa.Index("ix_notifications_unsent", "emailed_at", "sending_at", "read_at", "channel", "recipient", "priority"),
    )

    notification_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    notification_type: Mapped[NotificationType] = mapped_column(one_of("notification_type", NotificationType))
    priority: Mapped[Priority] = mapped_column(one_of("priority", Priority))
    recipient: Mapped[str] = mapped_column(index=True)
    subject: Mapped[str]
    body: Mapped[str]
    action_required: Mapped[bool] = mapped_column(default=False)
    alert_data: Mapped[dict[str, Any] | None]
    business_date: Mapped[date | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    emailed_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    acted_at: Mapped[datetime | None]
    alert_id: Mapped[str | None] = mapped_column(index=True)
    snapshot: Mapped[dict[str, Any] | None]
    channel: Mapped[NotificationChannel] = mapped_column(one_of("channel", NotificationChannel), default="email")
    message_id: Mapped[str | None] = mapped_column(index=True)
    sending_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    error_message: Mapped[str | None]
