"""The register: the database of portfolios, investors, tape configurations, deliveries, report requests, alerts,
notifications, locked periods, and the people who use the portal.

It is SQLite or PostgreSQL and separate from the servicing database. models.py and the migrations define its schema.
Each repository (one file per noun) enforces the rules of its tables. Loan numbers are computed in metrics/; the fields
of tapes and the parameters of reports are defined in tapes/ and reports/.
"""

from lending_pipelines.register.accounts import Accounts, RoleGiven
from lending_pipelines.register.alert_log import alert_log
from lending_pipelines.register.alert_rules import AlertRules
from lending_pipelines.register.alerts import Alerts
from lending_pipelines.register.api_tokens import ApiTokens, TokenScope
from lending_pipelines.register.audit_log import AuditLog
from lending_pipelines.register.close_summaries import CloseSummaries
from lending_pipelines.register.database import COMMAND_PATIENCE, Register, RegisterError
from lending_pipelines.register.intervals import membership, ownership
from lending_pipelines.register.investors import Investors
from lending_pipelines.register.loan_ids import LoanList, read_loan_list
from lending_pipelines.register.notifications import Notifications
from lending_pipelines.register.period_locks import PeriodLocked, PeriodLocks
from lending_pipelines.register.portfolios import Portfolios
from lending_pipelines.register.published import locks_in_force, published
from lending_pipelines.register.report_requests import ReportMail, ReportRequests
from lending_pipelines.register.sales import Sales
from lending_pipelines.register.sessions import OneTimeLinks, Sessions
from lending_pipelines.register.tape_configs import TapeConfigs
from lending_pipelines.register.tape_deliveries import TapeDeliveries, destinations
from lending_pipelines.register.tape_faults import TapeFaults

__all__ = [
    "COMMAND_PATIENCE",
    "Accounts",
    "AlertRules",
    "Alerts",
    "ApiTokens",
    "AuditLog",
    "CloseSummaries",
    "Investors",
    "LoanList",
    "Notifications",
    "OneTimeLinks",
    "PeriodLocked",
    "PeriodLocks",
    "Portfolios",
    "Register",
    "RegisterError",
    "ReportMail",
    "ReportRequests",
    "RoleGiven",
    "Sales",
    "Sessions",
    "TapeConfigs",
    "TapeDeliveries",
    "TapeFaults",
    "TokenScope",
    "alert_log",
    "destinations",
    "locks_in_force",
    "membership",
    "ownership",
    "published",
    "read_loan_list",
]
