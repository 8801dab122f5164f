"""Leftovers of killed runs and tapes in an object store."""

from datetime import UTC, datetime, timedelta

import fsspec

from lending_pipelines.housekeeping.leftovers import leftover_chores

SOON = datetime.now(UTC) + timedelta(days=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_partial_files_in_an_object_store_go_when_they_are_old(bucket, tmp_path):
    home = f"{bucket}/{tmp_path.name}"
    lake, exports = f"{home}/lake", f"{home}/exports"
    partial = f"exports/reports/x/.{'a' * 32}.part"
    filesystem, root = fsspec.url_to_fs(home)
    for path in (partial, "lake/_scratch/dead/0.parquet", "exports/reports/x/whole.csv"):
        filesystem.pipe_file(f"{root}/{path}", b"half")

    assert [chore.files for chore in leftover_chores(lake, exports, LONG_AGO)[:2]] == [0, 0]
    chores = leftover_chores(lake, exports, SOON)[:2]
    assert [(chore.files, chore.bytes) for chore in chores] == [(1, 4), (1, 4)]
    for chore in chores:
        chore.do()
        chore.do()
    filesystem.invalidate_cache()
    assert [path.removeprefix(f"{root}/") for path in filesystem.find(root)] == ["exports/reports/x/whole.csv"]
