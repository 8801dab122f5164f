"""The foreign keys of the servicing tables, and which of them name the owner of the row."""

from lending_pipelines.tables.servicing import SERVICING

_LOAN = {"loan_id": ("loans", "loan_id")}
_USER = {"user_id": ("users", "user_id")}

REFERENCES: dict[str, dict[str, tuple[str, str]]] = {
    "staff": {"branch_id": ("branches", "branch_id"), "team_leader_id": ("staff", "staff_id")},
    "borrowers": {"branch_id": ("branches", "branch_id")},
    "products": {"program_id": ("programs", "program_id")},
    "loans": {
        "borrower_id": ("borrowers", "borrower_id"),
        "product_id": ("products", "product_id"),
        "branch_id": ("branches", "branch_id"),
        "officer_id": ("staff", "staff_id"),
    },
    "officer_assignments": _LOAN | {"officer_id": ("staff", "staff_id")},
    "delinquency_pauses": _LOAN,
    "loan_owners": _LOAN,
    "installments": _LOAN,
    "transactions": _LOAN,
    "accruals": _LOAN,
    "fees": _LOAN,
    "modifications": _LOAN,
    "gl_accounts": {"parent_code": ("gl_accounts", "account_code")},
    "journal_lines": _LOAN
    | {
        "account_code": ("gl_accounts", "account_code"),
        "transaction_id": ("transactions", "transaction_id"),
        "branch_id": ("branches", "branch_id"),
    },
    "collection_assignments": _LOAN | {"collector_id": ("staff", "staff_id")},
    "collection_contacts": _LOAN | {"collector_id": ("staff", "staff_id")},
    "promises_to_pay": _LOAN | {"collector_id": ("staff", "staff_id")},
    "compliance_checks": _LOAN,
    "users": {"borrower_id": ("borrowers", "borrower_id")},
    "wallets": _USER,
    "wallet_transactions": {"wallet_id": ("wallets", "wallet_id")},
    "tickets": _USER,
    "gateway_payments": _USER,
}
"""For each servicing table, the columns that refer to another table, with that table and its key."""

_OWNER_KEYS = ("loan_id", "account_code", "user_id", "wallet_id")


def owners(table: str) -> dict[str, tuple[str, str]]:
    """The references from rows of a servicing table to their owners. A row whose owner is missing has no meaning.

    A payment belongs to a loan, and a journal line to an account. Other references, such as a branch, only describe a
    row.
    """
    references = REFERENCES.get(table, {})
    return {
        column: parent
        for column, parent in references.items()
        if column in _OWNER_KEYS and not SERVICING[table].column(column).nullable
    }
