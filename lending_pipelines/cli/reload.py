"""What `lending sync --reload` shows and asks before it reloads servicing tables."""

from collections.abc import Sequence

from lending_pipelines.cli.terminal import confirm, opened_lake
from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.settings import Settings
from lending_pipelines.tables import SERVICING

EVERY = "all"
"""The name that stands for all tables."""


def ask_to_reload(names: Sequence[str], *, yes: bool) -> list[str]:
    """The tables to reload. Shows the user what would change, and asks for confirmation.

    Raises:
        LendingError: There is no such table, one of them would be rejected, or the answer is no.
    """
    from lending_pipelines.conventions import Conventions
    from lending_pipelines.sources import open_source, preview_reload

    if unknown := [name for name in names if name not in SERVICING and name != EVERY]:
        raise LendingError(f"--reload {unknown[0]}: there is no such table; {did_you_mean(unknown[0], SERVICING)}")
    wanted = [name for name in SERVICING if EVERY in names or name in names]
    settings = Settings.from_environment()
    source = open_source(settings.source, settings.servicing_url)
    conventions = Conventions.load(settings.conventions_file)
    lines: list[str] = []
    rejected: list[str] = []
    with (
        opened_lake() as lake,
        preview_reload(source, [SERVICING[name] for name in wanted], lake, conventions) as tables,
    ):
        for preview in tables:
            name = preview.table.name
            if preview.error:
                rejected.append(str(preview.error))
            orphans = [f"rejected: {name}.{each}" for each in preview.rejected_rows]
            lines += [f"  {name}: {line}" for line in (*preview.changes, *orphans) or ["no change"]]
    if rejected:
        raise LendingError("nothing was changed: " + "; ".join(rejected))
    what = f"Reload {', '.join(wanted)} from the source. Earlier versions stay readable. Rows:"
    confirm(what, lines, yes=yes)
    return wanted
