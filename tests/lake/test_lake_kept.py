"""Earlier versions stay readable, however many commits and months lie behind."""

import os
import time
from pathlib import Path

import ibis

from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.tables import TABLES

DAYS_AGO = 90
COMMITS = 102  # past Delta's checkpoint at each hundredth commit, with which writers delete old logs


def test_a_version_of_three_months_and_a_hundred_commits_ago_is_still_there(tmp_path):
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    lake = Lake(str(tmp_path / "lake"), engine)
    log = Path(lake.url) / "branches" / "_delta_log"
    then = time.time() - DAYS_AGO * 86400
    for number in range(COMMITS):
        rows = {"branch_id": ["B"], "name": [str(number)], "region": ["North"]}
        lake.replace("branches", ibis.memtable(rows, schema=TABLES["branches"].schema))
        for file in log.iterdir():
            os.utime(file, (then, then))

    assert lake.version("branches") == COMMITS - 1
    assert lake.table("branches", version=3).to_pyarrow()["name"].to_pylist() == ["3"]
    engine.close()
