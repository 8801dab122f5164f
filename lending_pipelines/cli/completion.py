"""Completion of arguments in a shell when Tab is pressed: report types, and the names in the register.

Nothing here fails or prints. Without a register there are no names. `lending --install-completion` turns completion on.
"""

from pathlib import Path


def report_types(incomplete: str) -> list[str]:
    """The report types, from the names of their modules, because importing the modules takes seconds."""
    from lending_pipelines import reports

    modules = Path(reports.__path__[0], "types").glob("*.py")
    return sorted(name for module in modules if (name := module.stem).startswith(incomplete) and name != "__init__")


def portfolios(incomplete: str) -> list[str]:
    """The names of portfolios."""
    return _names("portfolios", incomplete)


def investors(incomplete: str) -> list[str]:
    """The names of investors."""
    return _names("investors", incomplete)


def tapes(incomplete: str) -> list[str]:
    """The names of tapes."""
    return _names("loan_tape_configs", incomplete)


def _names(table: str, incomplete: str) -> list[str]:
    """The values of the column `name` that begin with the text. Only SQLAlchemy is imported, because that is quick."""
    import sqlalchemy as sa

    from lending_pipelines.errors import LendingError
    from lending_pipelines.settings import Settings

    try:
        url = sa.make_url(Settings.from_environment().register_url)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
            return []
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg2")
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            query = sa.select(sa.column("name", sa.Text)).select_from(sa.table(table))
            names = list(connection.scalars(query))
        engine.dispose()
    except (LendingError, sa.exc.SQLAlchemyError, ImportError):
        return []
    return sorted(name for name in names if name.startswith(incomplete))
