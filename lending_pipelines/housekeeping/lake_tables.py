"""The lake's tables: days thinned to month ends, small files compacted, and files of unneeded versions removed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from lending_pipelines.conventions import Conventions
from lending_pipelines.housekeeping.chore import Chore, counted
from lending_pipelines.housekeeping.references import References
from lending_pipelines.lake import Lake, upkeep
from lending_pipelines.metrics.delinquency import opening_day
from lending_pipelines.retention import Retention, before
from lending_pipelines.tables import TABLES

_POSITIONS = "loan_positions"

RECENT = "recent"
"""The reason why versions are kept that were current in the last `versions_days`."""


def lake_chores(
    lake: Lake, policy: Retention, references: References, conventions: Conventions, now: datetime, today: date
) -> list[Chore]:
    """The chores of every table of the lake.

    Args:
        lake: The lake.
        policy: The retention policy.
        references: The days and versions that are kept whatever their age.
        conventions: They define on which earlier day a transition starts.
        now: The time of the run, UTC.
        today: The business date of the run.
    """
    tables = [name for name in TABLES if lake.has(name)]
    daily = [name for name in tables if TABLES[name].daily]
    return [
        *_thinnings(lake, daily, policy, references, conventions, today),
        *(_compaction(lake, name) for name in tables),
        *(_versions(lake, name, policy, references, now) for name in tables),
    ]


def days_to_thin(
    days: Iterable[date], first_kept: date, references: References, conventions: Conventions
) -> tuple[list[date], dict[str, int]]:
    """The days before `first_kept` that are thinned, and for each reason the number of days before it that are kept."""
    days = sorted(days)
    ends = {day for day in days if (day + timedelta(days=1)).day == 1}
    openings = {opening_day(day, conventions) for day in days if day in ends or day >= first_kept}
    thinned, kept = [], Counter[str]()
    for day in days:
        if day >= first_kept or day == days[-1]:
            continue
        if day in ends:
            kept["month ends"] += 1
        elif day in references.days:
            kept[references.days[day]] += 1
        elif day in openings:
            kept["transitions of a kept day start there"] += 1
        else:
            thinned.append(day)
    return thinned, dict(kept)


def _thinnings(
    lake: Lake, daily: Iterable[str], policy: Retention, references: References, conventions: Conventions, today: date
) -> Iterator[Chore]:
    ages = {name: policy.positions_days if name == _POSITIONS else policy.snapshots_days for name in daily}
    if kept_forever := [name for name, age in ages.items() if isinstance(age, str)]:
        yield Chore(f"{', '.join(kept_forever)}: days", lambda: None, kept="every day: the policy keeps all")
    for name, age in ages.items():
        if not isinstance(age, str):
            yield _thinning(lake, name, today - timedelta(days=age), references, conventions)


def _thinning(lake: Lake, name: str, first_kept: date, references: References, conventions: Conventions) -> Chore:
    days, kept = days_to_thin(lake.days(name), first_kept, references, conventions)
    rows = lake.table(name)
    number = int(rows.filter(rows.business_date.isin(days)).count().to_pyarrow().as_py()) if days else 0
    return Chore(
        f"{name}: days thinned to month ends",
        lambda: lake.thin(name, days),
        rows=number,
        detail=f"{len(days):,} days from {days[0]} to {days[-1]}; files are removed with the last version using them"
        if days
        else "",
        kept=counted(kept, "day"),
    )


def _compaction(lake: Lake, name: str) -> Chore:
    # Compaction removes nothing yet: the small files are removed with the last version that uses them.
    files = upkeep.small_files(lake, name)
    return Chore(f"{name}: small files compacted", lambda: upkeep.compact(lake, name), files=files)


def _versions(lake: Lake, name: str, policy: Retention, references: References, now: datetime) -> Chore:
    kept = kept_versions(upkeep.commits(lake, name), references.versions[name], references.read_at, policy, now)
    kept["first closes of days that were closed again"] = _reported_versions(lake, name)
    versions = {version for numbers in kept.values() for version in numbers}
    older_than = timedelta(hours=policy.leftovers_hours)
    files = upkeep.unneeded(lake, name, versions, older_than)
    # Every table has recent versions. They are mentioned only if files are removed.
    counts = {why: len(numbers) for why, numbers in kept.items() if files.files or why != RECENT}
    return Chore(
        f"{name}: files that no kept version has",
        lambda: upkeep.vacuum(lake, name, versions, older_than),
        files=len(files.files),
        bytes=files.bytes,
        kept=counted(counts, "version"),
    )


def _reported_versions(lake: Lake, name: str) -> set[int]:
    """The versions of a daily table with the first close of days that were closed again and are not thinned."""
    rows = lake.table("reported_days")
    rows = rows.filter(rows.table_name == name, rows.delta_version.notnull()).to_pyarrow().to_pylist()
    thinned = set(lake.thinned(name)) if rows else set()
    return {row["delta_version"] for row in rows if row["business_date"] not in thinned}


def kept_versions(
    commits: Iterable[upkeep.Commit],
    referred: Iterable[int],
    read_at: Iterable[datetime],
    policy: Retention,
    now: datetime,
) -> dict[str, set[int]]:
    """The versions that stay readable, by reason.

    A version is kept if it was current at some time in the last `versions_days`, if something refers to it, or if it
    is the version before or after a correction: reports with `known_at` read the rows that a correction removed.
    """
    commits = list(commits)
    since = before(policy.versions_days, now)
    times = [at if at.tzinfo else at.replace(tzinfo=UTC) for at in read_at]
    known = {commit.version for commit in commits}
    young = {c.version for c in commits if since is None or c.replaced_at is None or c.replaced_at >= since}
    read = {c.version for c in commits for at in times if c.made_at <= at < (c.replaced_at or now)}
    corrected = {version for c in commits if c.corrects for version in (c.version - 1, c.version)}
    reasons = {RECENT: young, "sales, tapes and reports": {*referred, *read}, "rows before corrections": corrected}
    return {why: versions & known for why, versions in reasons.items()}
