"""A run for tests that makes daily tables on Spark and waits in its first write of positions until it is released.

    python held_write.py FOLDER FIRST LAST ASSET...

Each task that writes hands its first rows on, names itself in a file of FOLDER, whose content is the task's working
directory, and waits until FOLDER has a file `go`.
"""

import os
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
from homes import materialise
from pyspark.sql.classic.dataframe import DataFrame


def hold_writes(folder: Path) -> None:
    """Make every task of `write_parquet` that writes positions wait after its first rows.

    The rows come to it from Spark's hint to rebalance.
    """
    rebalanced = DataFrame.hint

    def held(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch
            if not (folder / "go").exists():
                (folder / f"{os.getpid()}.tmp").write_text(os.getcwd())
                (folder / f"{os.getpid()}.tmp").rename(folder / f"{os.getpid()}.held")
            while not (folder / "go").exists():
                time.sleep(0.01)

    def hint(frame: DataFrame, name: str, *parameters: str) -> DataFrame:
        evened = rebalanced(frame, name, *parameters)
        if "days_past_due" not in evened.columns:
            # The record of the days as reported, which is written before the positions.
            return evened
        return evened.mapInArrow(held, evened.schema)

    DataFrame.hint = hint


if __name__ == "__main__":
    folder, first, last, *assets = sys.argv[1:]
    hold_writes(Path(folder))
    materialise(date.fromisoformat(first), date.fromisoformat(last), *assets)
