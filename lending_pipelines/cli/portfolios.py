"""The commands on portfolios, investors and sales: `lending portfolio …`, `lending investor …`, `lending undo-sale`.

Commands only parse, call and print. register/ enforces the rules.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lending_pipelines.cli import arguments, completion
from lending_pipelines.cli.terminal import (
    On,
    Yes,
    balances_by,
    confirm,
    describe_loans,
    echo_as_of,
    echo_step,
    echo_table,
    known_names,
    register_session,
)
from lending_pipelines.errors import LendingError
from lending_pipelines.register.models import InvestorType

if TYPE_CHECKING:
    from lending_pipelines.register import LoanList

portfolio = typer.Typer(help="Create, fill, close, sell and list portfolios.", no_args_is_help=True)
investor = typer.Typer(help="Create investors and assign loans to them.", no_args_is_help=True)

_NAMED = "The name. A wrong name gets similar names as suggestions."
Name = Annotated[str, typer.Argument(help=_NAMED, autocompletion=completion.portfolios)]
InvestorName = Annotated[str, typer.Argument(help=_NAMED, autocompletion=completion.investors)]
Loans = Annotated[
    Path,
    typer.Argument(help="A file of loan ids, one per line, or a CSV file with a loan_id column."),
]
_NUMBERS = ("priority", "loans", "balance", "price")

Rule = Annotated[Path, typer.Argument(help="A JSON file with the rule.")]
Text = Annotated[str | None, typer.Option()]


@portfolio.command("create")
def create_portfolio(
    name: Annotated[str, typer.Argument(help="The name of the new portfolio; it must be unused.")],
    opened: Annotated[
        datetime,
        typer.Option(parser=arguments.day, metavar=arguments.DAY, help="The first day on which it can take loans."),
    ],
    description: Annotated[str, typer.Option()] = "",
    program: Annotated[str | None, typer.Option(help="The program_id, if it takes loans of one program only.")] = None,
    priority: Annotated[
        int, typer.Option(min=-1_000_000, max=1_000_000, help="Rules with a lower priority select first.")
    ] = 0,
    criteria: Annotated[Path | None, typer.Option(help="A JSON file with the rule that selects loans.")] = None,
) -> None:
    """Create a portfolio, with or without a rule that selects loans."""
    from lending_pipelines.register import Portfolios

    rule = _criteria(criteria) if criteria else None
    if program is not None:
        with known_names("program_id") as names:
            names.require("program_id", program)
    with register_session() as session:
        made = Portfolios(session).create(
            name, opened.date(), description=description, program_id=program, priority=priority, criteria=rule
        )
    typer.echo(f"{made.portfolio_id}  {made.name}")


@portfolio.command("criteria")
def set_criteria(name: Name, criteria: Rule) -> None:
    """Replace a portfolio's rule. The loans in it stay."""
    from lending_pipelines.register import Portfolios

    rule = _criteria(criteria)
    with register_session() as session:
        portfolios = Portfolios(session)
        portfolios.set_criteria(portfolios.by_name(name).portfolio_id, rule)


@portfolio.command("assign")
def assign_loans(name: Name, loans: Loans, on: On) -> None:
    """Assign loans to an open portfolio from a day on."""
    from lending_pipelines.register import Portfolios, read_loan_list

    listed = read_loan_list(loans)
    with register_session() as session:
        into = Portfolios(session).by_name(name)
    _require_loans(listed, into.program_id)
    with register_session() as session:
        added = Portfolios(session).assign(into.portfolio_id, listed.prices, on.date())
    typer.echo(f"{added:,} loans added to {name} from {on.date()}")


@portfolio.command("remove")
def remove_loans(name: Name, loans: Loans, on: On, yes: Yes = False) -> None:
    """Remove loans from a portfolio; their last day in it is the day before. Asks if they cannot be added again."""
    from lending_pipelines.register import Portfolios, read_loan_list

    listed = read_loan_list(loans)
    with register_session() as session:
        out_of = Portfolios(session).by_name(name)
    if out_of.status != "open":
        what = (
            f"Remove loans from portfolio {name!r} from {on.date()}. It is {out_of.status}: they cannot be added again."
        )
        confirm(what, describe_loans(listed.prices, on.date()), yes=yes)
    with register_session() as session:
        removed = Portfolios(session).remove(out_of.portfolio_id, listed.prices, on.date())
    typer.echo(f"{removed:,} loans removed from {name} from {on.date()}")


@portfolio.command("close")
def close_portfolio(name: Name, on: On, yes: Yes = False) -> None:
    """Close a portfolio: it takes no loans from a day on and keeps those that it has. Asks first."""
    from lending_pipelines.register import Portfolios

    with register_session() as session:
        closing = Portfolios(session).by_name(name)
        loan_ids = Portfolios(session).loan_ids(closing.portfolio_id, on.date())
    what = f"Close portfolio {name!r} on {on.date()}. It cannot be reopened."
    confirm(what, describe_loans(loan_ids, on.date()), yes=yes)
    with register_session() as session:
        Portfolios(session).close(closing.portfolio_id, on.date())


@portfolio.command("list")
def list_portfolios() -> None:
    """List the portfolios with their loans and balances on the last closed day."""
    from lending_pipelines.register import Portfolios

    day, balances = balances_by("portfolio_id")
    rows = []
    with register_session() as session:
        for made in Portfolios(session).all():
            loans, balance = balances.get(made.portfolio_id, (0, "0.00"))
            kind = "dynamic" if made.criteria else "static"
            closed = made.closed_on or "-"
            rows.append([made.name, made.status, made.priority, made.opened_on, closed, kind, f"{loans:,}", balance])
    echo_table(["name", "status", "priority", "opened", "closed", "kind", "loans", "balance"], rows, _NUMBERS)
    if rows:
        echo_as_of(day)


@portfolio.command("run-rules")
def run_rules(
    first: Annotated[
        datetime, typer.Option("--from", parser=arguments.day, metavar=arguments.DAY, help="First business date.")
    ],
    last: Annotated[
        datetime, typer.Option("--to", parser=arguments.day, metavar=arguments.DAY, help="Last business date.")
    ],
) -> None:
    """Apply the rules of open portfolios to a range of days, as every close does."""
    from lending_pipelines.runs import run_job

    finished = run_job("assign_portfolios", days=(first.date(), last.date()), progress=echo_step)
    typer.echo(f"{finished.metadata['portfolio_assignments']['dagster/row_count']:,} loans assigned")


@portfolio.command("sell")
def sell_portfolio(
    name: Name,
    to: Annotated[str, typer.Option(help="Name of the investor who buys it.", autocompletion=completion.investors)],
    on: Annotated[
        datetime,
        typer.Option(
            "--on", parser=arguments.day, metavar=arguments.DAY, help="The closed day at whose end it is sold."
        ),
    ],
    price: Annotated[str, typer.Option(help="The total price, like 98500.00.")],
    yes: Yes = False,
) -> None:
    """Sell a portfolio with all its loans. Shows loans, balance and price, and asks first."""
    from lending_pipelines.assets.sales import sale_price
    from lending_pipelines.register import Investors, Portfolios, Sales
    from lending_pipelines.runs import run_job

    paid = sale_price(price)
    with register_session() as session:
        sold = Portfolios(session).by_name(name)
        Portfolios.require_unsold(sold)
        Investors(session).by_name(to)
        loan_ids = Portfolios(session).loan_ids(sold.portfolio_id, on.date())
    what = f"Sell portfolio {name!r} to {to!r} at the end of {on.date()} for {paid:,.2f}:"
    confirm(what, describe_loans(loan_ids, on.date(), price=paid), yes=yes)
    sale_config = {"portfolio": name, "investor": to, "date": str(on.date()), "price": price}
    run_job("sell_portfolio", {"ops": {"sell": {"config": sale_config}}}, progress=echo_step)
    with register_session() as session:
        typer.echo(Sales(session).of_portfolio(name).sale_id)


@portfolio.command("sales")
def list_sales() -> None:
    """List sales, latest first, with the ids for undo-sale."""
    from lending_pipelines.register import Investors, Portfolios, Sales

    rows = []
    with register_session() as session:
        for sale in Sales(session).all():
            sold = Portfolios(session).get(sale.portfolio_id).name
            buyer = Investors(session).get(sale.investor_id).name
            undone = f"undone {sale.undone_at:%Y-%m-%d %H:%M}" if sale.undone_at else "in force"
            rows.append([sale.sale_id, sale.sale_date, f"{sale.price:,}", sale.currency, undone, sold, buyer])
    echo_table(["sale_id", "sold on", "price", "currency", "status", "portfolio", "buyer"], rows, _NUMBERS)


def undo_sale(sale_id: Annotated[str, typer.Argument(help="The sale's id, from `lending portfolio sales`.")]) -> None:
    """Undo a sale recorded in the last 24 hours."""
    from lending_pipelines.register import Sales

    with register_session() as session:
        Sales(session).undo(sale_id)
    typer.echo(f"sale {sale_id} is undone")


@investor.command("create")
def create_investor(
    name: Annotated[str, typer.Argument(help="The investor's name.")],
    investor_type: Annotated[InvestorType, typer.Option("--type", help="The kind of investor.")],
    bank_account: Text = None,
    phone: Text = None,
    email: Text = None,
    address: Text = None,
) -> None:
    """Create an investor."""
    from lending_pipelines.register import Investors

    about = {"bank_account": bank_account, "phone": phone, "email": email, "address": address}
    with register_session() as session:
        made = Investors(session).create(name, investor_type, **about)
    typer.echo(f"{made.investor_id}  {made.name}")


@investor.command("assign")
def assign_to_investor(
    name: InvestorName,
    loans: Annotated[
        Path, typer.Argument(help="A file of loan ids, or a CSV file with the columns loan_id and purchase_price.")
    ],
    on: On,
    yes: Yes = False,
) -> None:
    """Assign loans to an investor from a day on, with purchase prices if the file has them. Asks first."""
    from lending_pipelines.register import Investors, read_loan_list

    listed = read_loan_list(loans)
    _require_loans(listed)
    with register_session() as session:
        owner = Investors(session).by_name(name)
    what = f"Assign loans to investor {name!r} from {on.date()}. An assignment cannot be undone."
    confirm(what, describe_loans(listed.prices, on.date(), prices=listed.prices), yes=yes)
    with register_session() as session:
        added = Investors(session).assign(owner.investor_id, listed.prices.items(), on.date())
    typer.echo(f"{added:,} loans assigned to {name} from {on.date()}")


@investor.command("new-key")
def new_key() -> None:
    """Print a new key for LENDING_REGISTER_KEYS. It is stored nowhere."""
    from cryptography.fernet import Fernet

    typer.echo(Fernet.generate_key().decode())


@investor.command("encrypt")
def encrypt_investors() -> None:
    """Encrypt the personal data of all investors with the first key of LENDING_REGISTER_KEYS."""
    from lending_pipelines.register import Investors
    from lending_pipelines.register.types import register_keys

    if register_keys() is None:
        raise LendingError("LENDING_REGISTER_KEYS is not set: set it to the key that `lending investor new-key` prints")
    with register_session() as session:
        number = Investors(session).encrypt()
    typer.echo(f"The personal data of {number:,} investors is encrypted with the first key.")


@investor.command("list")
def list_investors() -> None:
    """List the investors with the loans that they own and their balances on the last closed day."""
    from lending_pipelines.register import Investors

    day, balances = balances_by("investor_id")
    rows = []
    with register_session() as session:
        for made in Investors(session).all():
            loans, balance = balances.get(made.investor_id, (0, "0.00"))
            rows.append([made.investor_id, made.investor_type, made.name, made.email or "", f"{loans:,}", balance])
    echo_table(["investor_id", "type", "name", "email", "loans", "balance"], rows, _NUMBERS)
    if rows:
        echo_as_of(day)


def _criteria(path: Path) -> dict:
    """The rule in a file. Raises CriteriaError if it is not valid or names something that does not exist."""
    from lending_pipelines.bounds import read_text
    from lending_pipelines.criteria import read_criteria

    rule = read_criteria(read_text(path, "criteria"))
    with known_names() as names:
        names.require_criteria(rule)
    return rule


def _require_loans(listed: "LoanList", program_id: str | None = None) -> None:
    """Raise RegisterError, which names every line whose id is not a loan, or is a loan of another program."""
    with known_names("loan_id") as names:
        listed.refuse(names.unknown("loan_id", listed.prices.keys()))
        if program_id is not None:
            others = names.of_other_programs(listed.prices.keys(), program_id)
            listed.refuse(
                {
                    loan_id: f"loan {loan_id} belongs to program {program}; the portfolio takes only loans of"
                    f" {program_id}"
                    for loan_id, program in others.items()
                }
            )
