"""Snapshots of the lake: when a request sees a change, copies and views of large tables, and a lake without a close."""

import shutil

import ibis
import pytest
from homes import LAST, Home

from lending_pipelines.portal.lake import stored_tables
from lending_pipelines.portal.lake.scoped_lake import NotMade, Results, ScopedLake
from lending_pipelines.portal.lake.snapshots import Snapshots
from lending_pipelines.portal.lake.table_rules import Shown
from lending_pipelines.portal.scope import Scope
from lending_pipelines.tables import TABLES


def lake_of(snapshots: Snapshots, snapshot, results: Results) -> ScopedLake:
    """The lake without limits and masks."""
    return ScopedLake(snapshots, snapshot, results, (Scope(),), Shown(staff=True, borrowers=True))


def everything(lake, name):
    return lake.table(name)


def test_a_change_of_the_lake_is_seen_at_the_next_request_and_not_within_one(closed_home, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(closed_home.folder / "lake", home.folder / "lake")
    snapshots = Snapshots(str(home.folder / "lake"), check_every=3600)
    results = Results()

    def total(lake, name):
        rows = lake.table(name)
        return rows.agg(rows=rows.count())

    def rows_of(snapshot, name):
        lake = lake_of(snapshots, snapshot, results)
        return lake.row(total, name)["rows"], lake.etag()

    with snapshots.current() as before:
        first = rows_of(before, "programs")
        with home.lake() as lake:
            new = ibis.memtable({"program_id": ["NEW"], "name": ["New"]})
            lake.merge("programs", new)
        snapshots.follow()
        with snapshots.current() as after:
            assert after.number != before.number
            assert rows_of(after, "programs")[0] == first[0] + 1
            assert rows_of(after, "programs")[1] != first[1]
            # What did not change is not read again.
            assert after.tables["loans"] is before.tables["loans"]
            assert rows_of(after, "loans") == rows_of(before, "loans")
        assert rows_of(before, "programs") == first
    snapshots.follow()
    with snapshots.current() as again:
        assert again is after
    snapshots.close()


def test_large_tables_have_the_same_rows_as_views_of_files_and_as_copies(closed_home, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_tables, "SMALL_ROWS", 50)
    monkeypatch.setattr(stored_tables, "COPIED_ROWS", 3000)
    home = Home(tmp_path / "home")
    shutil.copytree(closed_home.folder / "lake", home.folder / "lake")
    snapshots = Snapshots(str(home.folder / "lake"), check_every=3600)
    positions = {(row["loan_id"], row["business_date"]): row for row in home.rows("loan_positions")}

    def check() -> set[str]:
        """The tables that are to be copied later."""
        with snapshots.current() as snapshot:
            lake = lake_of(snapshots, snapshot, Results())
            for name in ("transactions", "installments", "loans"):
                key = TABLES[name].key
                seen = sorted(lake.rows(everything, name), key=lambda row: tuple(row[each] for each in key))
                assert seen == home.rows(name)
            seen = lake.rows(everything, "loan_positions")
            assert {(row["loan_id"], row["business_date"]): row for row in seen} == positions
            history = lake.rows(everything, "loan_history")
            assert {(row["loan_id"], row["business_date"]) for row in history} == set(positions)
            for row in history:
                whole = positions[row["loan_id"], row["business_date"]]
                assert row == {name: whole[name] for name in row}
            return {name for name, stored in snapshot.tables.items() if stored.quick}

    snapshots.follow(quick=True)
    assert {"transactions", "loans", "loan_history"} <= check()
    snapshots.follow()
    # installments have more than 3,000 rows, so they stay a view.
    assert check() == set()
    # A day is closed again: one loan has another balance.
    with home.lake() as lake:
        rows = lake.table("loan_positions", LAST, LAST).mutate(past_due_amount=ibis.literal(7, "decimal(18, 2)"))
        lake.replace_days("loan_positions", rows, LAST, LAST)
    positions = {(row["loan_id"], row["business_date"]): row for row in home.rows("loan_positions")}
    assert {row["past_due_amount"] for (_, day), row in positions.items() if day == LAST} == {7}
    snapshots.follow()
    check()
    snapshots.close()


def test_a_home_without_a_close_has_no_data_and_says_so(tmp_path):
    snapshots = Snapshots(str(tmp_path / "lake"))
    with snapshots.current() as snapshot:
        lake = lake_of(snapshots, snapshot, Results())
        assert (lake.last_day, lake.days()) == (None, ())
        assert lake.rows(everything, "closed_days") == ()
        with pytest.raises(NotMade, match="there is no data of loan_positions: no day is closed yet"):
            lake.rows(everything, "loan_positions")
        with pytest.raises(NotMade, match="there is no data of loans: it was not synced yet"):
            lake.rows(everything, "loans")
    snapshots.close()
