"""Compaction and vacuum of the lake's tables, on a folder and on an object store."""

import os
import time
from datetime import timedelta
from pathlib import Path

import fsspec
import ibis
import pytest

from lending_pipelines.lake import Lake, LakeError, upkeep
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.tables import TABLES

AT_ONCE = timedelta(0)
SCHEMA = TABLES["branches"].schema


@pytest.fixture(params=["folder", "object store"])
def lake(request, tmp_path):
    url = (
        str(tmp_path / "lake") if request.param == "folder" else f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    )
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    yield Lake(url, engine)
    engine.close()


@pytest.fixture
def local(tmp_path):
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    yield Lake(str(tmp_path / "lake"), engine)
    engine.close()


def rows(*names):
    return ibis.memtable({"branch_id": list(names), "name": list(names), "region": ["N"] * len(names)}, schema=SCHEMA)


def names(lake, version=None):
    return sorted(lake.table("branches", version=version).name.to_pyarrow().to_pylist())


def files(lake):
    filesystem, root = fsspec.url_to_fs(f"{lake.url}/branches", use_listings_cache=False)
    return len(filesystem.glob(f"{root}/*.parquet"))


def test_compaction_leaves_one_file_and_the_same_rows(lake):
    for name in ("A", "B", "C"):
        lake.append("branches", rows(name))
    assert upkeep.small_files(lake, "branches") == 3
    upkeep.compact(lake, "branches")
    assert names(lake) == ["A", "B", "C"]
    assert names(lake, 1) == ["A", "B"]
    assert len(lake.delta("branches").file_uris()) == 1
    assert upkeep.small_files(lake, "branches") == 0
    lake.append("branches", rows("D"))
    assert names(lake) == ["A", "B", "C", "D"]


def test_vacuum_removes_what_no_kept_version_has(lake):
    for name in ("A", "B", "C", "D"):
        lake.replace("branches", rows(name))
    found = upkeep.unneeded(lake, "branches", [1], AT_ONCE)
    # Versions 0 and 2 go: one file each.
    assert len(found.files) == 2
    assert found.bytes > 0
    assert files(lake) == 4
    upkeep.vacuum(lake, "branches", [1], AT_ONCE)
    assert files(lake) == 2
    assert (names(lake), names(lake, 1)) == (["D"], ["B"])
    with pytest.raises(LakeError, match="this version is no longer readable, because 1 of its 1 files are gone"):
        names(lake, 2)


def test_a_vacuum_opens_only_versions_with_files_of_their_own(local):
    for name in ("A", "B", "C"):
        local.append("branches", rows(name))
    local.replace("branches", rows("D"))
    local.append("branches", rows("E"))
    kept = {0, 1, 2, 3, 4}
    # Versions 0 and 1 have files of version 2, and version 3 has a file of version 4.
    assert upkeep.covering(local, "branches", kept) == [2, 4]
    # Without version 2, version 1 is the last one that has the files of A and B.
    assert upkeep.covering(local, "branches", {0, 1, 3}) == [1, 3]
    upkeep.vacuum(local, "branches", kept, AT_ONCE)
    assert [names(local, version) for version in range(5)] == [["A"], ["A", "B"], ["A", "B", "C"], ["D"], ["D", "E"]]


def test_files_of_killed_runs_go_only_when_they_are_old(local):
    lake = local
    lake.replace("branches", rows("A"))
    orphan = Path(lake.url) / "branches" / "dead.parquet"
    orphan.write_bytes(b"half")
    day = timedelta(hours=24)
    assert upkeep.unneeded(lake, "branches", [0], day).files == ()
    ago = time.time() - 25 * 3600
    os.utime(orphan, (ago, ago))
    assert upkeep.unneeded(lake, "branches", [0], day) == upkeep.Unneeded(("dead.parquet",), 4)
    upkeep.vacuum(lake, "branches", [0], day)
    assert not orphan.exists()
    assert names(lake) == ["A"]


def test_the_note_of_the_last_write_is_still_the_note(local):
    local.replace("branches", rows("A"))
    local.replace("branches", rows("B"), note="offered")
    upkeep.vacuum(local, "branches", [], AT_ONCE)
    assert files(local) == 1
    assert local.note("branches") == "offered"
    local.append("branches", rows("C"))
    upkeep.compact(local, "branches")
    assert local.note("branches") == ""


def test_commits_say_when_versions_were_replaced_and_which_correct(local):
    local.replace("branches", rows("A", "B"))
    local.correct("branches", rows("A"), rows("B").select("branch_id"))
    first, second = upkeep.commits(local, "branches")
    assert (first.version, second.version) == (0, 1)
    assert first.replaced_at == second.made_at
    assert second.replaced_at is None
    assert (first.corrects, second.corrects) == (False, True)
