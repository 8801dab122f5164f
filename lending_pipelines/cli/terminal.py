"""Functions that commands share: access to the register and the lake, confirmations, and the progress of a run."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lending_pipelines.cli import arguments
from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lending_pipelines.known_names import KnownNames
    from lending_pipelines.lake import Lake
    from lending_pipelines.runs import Finished

On = Annotated[
    datetime,
    typer.Option("--on", parser=arguments.day, metavar=arguments.DAY, help="The business date from which it applies."),
]


class Verbose:
    """Whether --verbose was given, before or after the command's name. Errors are then printed with tracebacks."""

    chosen = False


VERBOSE = Verbose()

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation, for scripts.")]


@contextmanager
def register_session() -> "Iterator[Session]":
    """A session of the register in one transaction, after migrating it to this version."""
    from lending_pipelines.register import COMMAND_PATIENCE, Register

    register = Register(Settings.from_environment().register_url, COMMAND_PATIENCE)
    register.upgrade()
    try:
        with register.session() as session:
            yield session
    finally:
        register.dispose()


def settle_rows(status: str) -> None:
    """Clean up after killed processes if the register has an unfinished request or delivery with this status."""
    from lending_pipelines.register import ReportRequests, TapeDeliveries

    with register_session() as session:
        statuses: set[str] = {each.status for each in ReportRequests(session).unfinished()}
        statuses |= {each.status for each in TapeDeliveries(session).unfinished()}
    if status in statuses:
        # This is imported only if needed, because the import takes seconds.
        from lending_pipelines.runs import settle_home

        settle_home()


@contextmanager
def opened_lake() -> "Iterator[Lake]":
    """The lake, for reading."""
    from lending_pipelines.lake import Lake
    from lending_pipelines.lake.engines import open_engine

    settings = Settings.from_environment()
    engine = open_engine(settings, settings.lake_url, "2GB")
    try:
        yield Lake(settings.lake_url, engine)
    finally:
        engine.close()


@contextmanager
def known_names(*fields: str) -> "Iterator[KnownNames]":
    """The names in the servicing tables. Prints a warning for each field that cannot be checked yet."""
    from lending_pipelines.known_names import KnownNames

    with opened_lake() as lake:
        names = KnownNames(lambda table: lake.table(table) if lake.has(table) else None)
        for field in fields:
            if not names.has(field):
                typer.echo(
                    f"warning: {field} is not checked because no table with its names is synced; see `lending sync`",
                    err=True,
                )
        yield names


def describe_loans(
    loan_ids: Collection[str],
    on: date,
    prices: Mapping[str, Decimal | None] | None = None,
    price: Decimal | None = None,
) -> list[str]:
    """Lines with the number of loans, their balance, and the price as a share of the balance.

    Args:
        loan_ids: The loans.
        on: The balance is that of the last closed day up to this date.
        prices: The price of each loan.
        price: One price for all loans.
    """
    day, balances = _balances(loan_ids, on)
    lines = [f"  loans: {len(loan_ids):,}"]
    if day is None:
        lines.append("  balance: unknown, because no day is closed yet")
    for currency, principal in sorted(balances.items()):
        balance = sum(principal.values(), Decimal(0))
        lines.append(f"  balance on {day}: {balance:,} {currency} (loans: {len(principal):,})")
        given = [amount for loan_id in principal if (amount := (prices or {}).get(loan_id)) is not None]
        paid = price if price is not None else sum(given, Decimal(0)) if given else None
        if paid is not None:
            share = f"{paid / balance:.2%} of the balance" if balance else "the balance is 0.00"
            lines.append(f"  price: {paid:,.2f} {currency}, {share}")
    if prices and (missing := sum(amount is None for amount in prices.values())):
        lines.append(f"  loans without a price: {missing:,}")
    return lines


def confirm(what: str, lines: list[str], *, yes: bool) -> None:
    """Show what is about to change, and ask unless `yes`. Raises LendingError unless the answer is yes."""
    typer.echo("\n".join([what, *lines]), err=True)
    if yes:
        return
    try:
        agreed = typer.confirm("Continue?", err=True)
    except typer.Abort:
        raise LendingError("nothing was changed: answer y, or use --yes in a script") from None
    if not agreed:
        raise LendingError("nothing was changed")


def record(session: "Session", action: str, resource: str, reason: str) -> None:
    """Add a change made by a command to the audit log, by the user of this machine."""
    import getpass

    from lending_pipelines.register import AuditLog

    account = f"{getpass.getuser()} (command line)"
    AuditLog(session).add(account, action, "allowed", address="this machine", resource=resource, reason=reason)


def ids_by_dimension(limits: Iterable[str]) -> dict[str, list[str]]:
    """The ids of options like --limit branches=B01,B02."""
    found = {}
    for each in limits:
        key, equals, ids = each.partition("=")
        if not equals:
            raise LendingError(f"--limit {each!r}: write a dimension and ids, like branches=B01,B02")
        found[key] = [part.strip() for part in ids.split(",") if part.strip()]
    return found


def echo_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], numbers: Collection[str] = ()) -> None:
    """Print rows under their headers. The columns named in `numbers` are aligned to the right.

    If there are no rows, a message goes to standard error only, so that a script reads an empty list.
    """
    from tabulate import tabulate

    if not rows:
        typer.echo("The list is empty.", err=True)
        return
    sides = ["right" if header in numbers else "left" for header in headers]
    table = tabulate(rows, headers, tablefmt="plain", disable_numparse=True, colalign=sides)
    typer.echo("\n".join(line.rstrip() for line in table.splitlines()))


def balances_by(column: str) -> tuple[date | None, dict[str, tuple[int, str]]]:
    """The last closed day, and for each portfolio_id or investor_id its loans on it and their balances as text."""
    with opened_lake() as lake:
        day = max(lake.days("loan_positions"), default=None)
        if day is None:
            return None, {}
        rows = lake.table("loan_positions", day, day)
        rows = rows.filter(rows[column].notnull()).group_by(owner=column, currency="currency")
        sums = rows.agg(loans=lambda t: t.count(), balance=lambda t: t.principal_outstanding.sum())
        listed = sums.order_by("owner", "currency").to_pyarrow().to_pylist()
    by_owner: dict[str, tuple[int, str]] = {}
    for row in listed:
        loans, balances = by_owner.get(row["owner"], (0, ""))
        balance = f"{row['balance']:,.2f} {row['currency']}"
        by_owner[row["owner"]] = (loans + row["loans"], f"{balances} + {balance}" if balances else balance)
    return day, by_owner


def echo_as_of(day: date | None) -> None:
    """Print which day the loans and balances of a list are from."""
    typer.echo(f"\nLoans and balances are those of {day}." if day else "\nNo day is closed yet: no loans are counted.")


def echo_step(name: str, seconds: float) -> None:
    """Print a finished step of a run."""
    typer.echo(f"  {name:<32}{seconds:>8.1f} s", err=True)


def _balances(loan_ids: Collection[str], on: date) -> tuple[date | None, dict[str, dict[str, Decimal]]]:
    """The last closed day up to `on`, and the loans' principal outstanding on it by currency and loan."""
    import ibis

    with opened_lake() as lake:
        day = max((each for each in lake.days("loan_positions") if each <= on), default=None)
        if day is None:
            return None, {}
        wanted = ibis.memtable({"loan_id": list(loan_ids)}, schema={"loan_id": "string"})
        rows = lake.table("loan_positions", day, day).semi_join(wanted, "loan_id")
        principal_rows = rows.select("currency", "loan_id", "principal_outstanding").to_pyarrow().to_pylist()
    by_currency: dict[str, dict[str, Decimal]] = {}
    for row in principal_rows:
        by_currency.setdefault(row["currency"], {})[row["loan_id"]] = row["principal_outstanding"]
    return day, by_currency


def echo_warnings(finished: "Finished") -> None:
    """Print the warnings of a run to standard error."""
    for warning in finished.warnings:
        typer.echo(f"  warning: {warning}", err=True)
