"""The source `frappe`: a site of Frappe Lending with ERPNext's ledger, read from MariaDB, MySQL or PostgreSQL."""

from lending_pipelines.sources.frappe.adapter import Frappe as Adapter

__all__ = ["Adapter"]
