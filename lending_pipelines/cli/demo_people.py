"""The people of the demonstration who can sign in to the portal: one of each kind, each with a scope that has data.

Only the demo calls this module. The password is drawn at random for each demo, and only its hash is stored.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lending_pipelines.cli.demo_home import MARKER, DemoError
from lending_pipelines.cli.terminal import opened_lake, register_session
from lending_pipelines.lake import Lake
from lending_pipelines.register import Accounts, Investors, RoleGiven
from lending_pipelines.register.passwords import hash_password
from lending_pipelines.settings import Settings


@dataclass(frozen=True)
class SignIn:
    """An account. `about` says what its person sees."""

    username: str
    name: str
    role: str
    scope: dict[str, Any]
    about: str


def add_sign_ins(settings: Settings, investor: str) -> tuple[str, list[SignIn]]:
    """Add an account of each kind to the register of a demo.

    Args:
        settings: The settings of the demo's home.
        investor: The name of an investor who owns loans.

    Returns:
        The password of all of them, and the accounts.

    Raises:
        DemoError: The home was not made by the demo, or has no data for one of the accounts.
    """
    if not (settings.home / MARKER).exists():
        raise DemoError(f"{settings.home} was not made by the demo: add people with `lending people add`")
    with opened_lake() as lake:
        manager, customer = _team_leader(lake), _customer(lake)
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    password_hash = hash_password(password)
    with register_session() as session:
        fund = {"investors": [Investors(session).by_name(investor).investor_id]}
        made = [
            SignIn("admin", "Ada Admin", "admin", {}, "everything"),
            SignIn("controller", "Cora Controller", "controller", {}, "everything but the pages of administrators"),
            manager,
            SignIn("investor", investor, "investor", fund, f"the loans and tapes of {investor}"),
            customer,
        ]
        for each in made:
            role = RoleGiven.checked(each.role, each.scope)
            Accounts(session).create(each.username, each.name, [role], password_hash=password_hash)
    return password, made


def lines(settings: Settings, password: str, made: list[SignIn]) -> Iterator[str]:
    """What the demo prints about them."""
    yield f"`LENDING_HOME={settings.home} lending portal` serves the portal on http://127.0.0.1:8000."
    yield f"These people exist in this demonstration only. Sign in with the password {password} as"
    for each in made:
        yield f"  {each.username:<12}{each.about}"


def _team_leader(lake: Lake) -> SignIn:
    """The team leader whose team has the most active loans on the last day."""
    leaders = lake.table("manager_snapshots").filter(lambda rows: rows.role == "team_leader")
    leaders = leaders.filter(leaders.business_date == leaders.business_date.max())
    leaders = leaders.group_by("manager_id").agg(loans=leaders.active_loans.sum())
    staff = lake.table("staff").select("staff_id", "full_name")
    found = leaders.inner_join(staff, leaders.manager_id == staff.staff_id)
    found = found.filter(found.loans > 0).order_by(found.loans.desc(), "staff_id").limit(1).to_pyarrow().to_pylist()
    if not found:
        raise DemoError("no team of the demo has an active loan on the last day")
    (one,) = found
    name = one["full_name"] or one["staff_id"]
    about = f"the team of {name}, with {one['loans']:,} active loans"
    return SignIn("manager", name, "manager", {"manager": one["staff_id"]}, about)


def _customer(lake: Lake) -> SignIn:
    """The user of the platform with the most active loans on the last day of those who have a wallet."""
    loans = lake.table("loan_positions")
    loans = loans.filter(loans.business_date == loans.business_date.max(), loans.status == "active")
    loans = loans.group_by("borrower_id").agg(loans=loans.count())
    users, wallets = lake.table("users"), lake.table("wallets")
    users = users.inner_join(wallets, "user_id").group_by("borrower_id").agg(wallets=wallets.wallet_id.nunique())
    found = users.inner_join(loans, "borrower_id").order_by(loans.loans.desc(), users.wallets.desc(), "borrower_id")
    rows = found.limit(1).to_pyarrow().to_pylist()
    if not rows:
        raise DemoError("no customer of the demo has a wallet and an active loan on the last day")
    (one,) = rows
    about = f"the customer {one['borrower_id']}, with {one['loans']} active loans and {one['wallets']} wallets"
    return SignIn("customer", "Cleo Customer", "user", {"borrower": one["borrower_id"]}, about)
