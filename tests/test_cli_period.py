"""`lending period`: locked days are not closed again by any way, until the period is reopened with a reason."""

from datetime import date

import pytest
from homes import lending, materialise

FEBRUARY = date(2025, 2, 28)


def test_locked_days_change_by_no_way_until_the_period_is_reopened(home):
    before = home.versions()
    locked = lending("period", "lock", "--end", str(FEBRUARY), "--by", "Ann", "--yes")
    assert (locked.returncode, locked.stdout) == (0, "The period ending 2025-02-28 is locked by Ann.\n"), locked.stderr

    forced = lending("close", "--from", str(FEBRUARY), "--to", "2025-03-01", "--force")
    assert forced.returncode == 1
    assert forced.stderr.startswith(
        "Error: 2025-02-28 is locked and cannot change: the period ending 2025-02-28 was locked by Ann on "
    )
    # The launchpad and backfills run these assets.
    for asset in ("portfolio_assignments", "loan_positions", "trial_balance", "platform_activity"):
        with pytest.raises(Exception, match="2025-02-28 is locked and cannot change: the period ending 2025-02-28"):
            materialise(FEBRUARY, FEBRUARY, asset)
    assert home.versions() == before

    reopened = lending("period", "reopen", "--end", str(FEBRUARY), "--by", "Bo", "--reason", "a late receipt")
    assert (reopened.returncode, reopened.stderr) == (0, "")
    materialise(FEBRUARY, FEBRUARY, "trial_balance")
    listed = lending("period", "list").stdout.splitlines()
    assert listed[0].split()[:4] == ["period", "end", "state", "locked"]
    assert listed[1].startswith("2025-02-28    reopened  Ann ")
    assert listed[1].endswith(" a late receipt")
    assert len(listed) == 2
    with home.register() as session:
        from lending_pipelines.register import AuditLog

        kept = [(entry.action, entry.resource) for entry in AuditLog(session).recent()]
    assert kept == [
        ("period.reopen", "period ending 2025-02-28"),
        ("period.lock", "period ending 2025-02-28"),
    ]


def test_a_period_with_open_days_is_not_locked(home):
    refused = lending("period", "lock", "--end", "2025-03-16", "--by", "Ann", "--yes")
    assert refused.stderr == (
        "Error: period ending 2025-03-16: 2 days from 2025-03-15 are not closed: run"
        " `lending close --from 2025-03-15 --to 2025-03-16` first\n"
    )
    assert lending("period", "list").stdout == ""
