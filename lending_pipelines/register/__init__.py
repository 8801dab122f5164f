"""What lending_pipelines itself owns: portfolios, investors, tape configurations and deliveries, report requests,
notifications.

A relational database of its own, SQLite or PostgreSQL, never mixed with the servicing database. The schema is models.py
and the migrations that make it; each repository (one noun a file) holds the rules of its tables. No loan numbers are
computed here, and what a tape's fields or a report's parameters mean is known elsewhere.
"""

from lending_pipelines.register.database import Register, RegisterError
from lending_pipelines.register.intervals import membership, ownership
from lending_pipelines.register.investors import Investors
from lending_pipelines.register.loan_ids import LoanList, read_loan_list
from lending_pipelines.register.notifications import Notifications
from lending_pipelines.register.portfolios import Portfolios
from lending_pipelines.register.report_requests import ReportRequests
from lending_pipelines.register.sales import Sales
from lending_pipelines.register.tape_configs import TapeConfigs
from lending_pipelines.register.tape_deliveries import TapeDeliveries, destinations
from lending_pipelines.register.tape_faults import TapeFaults

__all__ = [
    "Investors",
    "LoanList",
    "Notifications",
    "Portfolios",
    "Register",
    "RegisterError",
    "ReportRequests",
    "Sales",
    "TapeConfigs",
    "TapeDeliveries",
    "TapeFaults",
    "destinations",
    "membership",
    "ownership",
    "read_loan_list",
]
