"""The names of what a person, or a token, can do in the portal. portal/policy.py says which roles may."""

from typing import Literal, get_args

Action = Literal[
    "public",
    "home.open",
    "today.read",
    "portfolios.read",
    "loans.read",
    "managers.read",
    "alerts.read",
    "alerts.act",
    "reports.read",
    "reports.request",
    "reports.schedule",
    "tapes.read",
    "tapes.edit",
    "ledger.read",
    "data_health.read",
    "platform.read",
    "account.read",
    "generate.run",
    "people.read",
    "people.edit",
    "tokens.edit",
    "search.use",
    "export.download",
    "personal.show",
    "self.edit",
]
"""What can be done. `public` needs no sign-in."""

ACTIONS: tuple[Action, ...] = get_args(Action)
