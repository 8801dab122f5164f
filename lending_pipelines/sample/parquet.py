"""Writes the sample to Parquet files for benchmarks. stream.py generates it."""

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lending_pipelines.sample.spec import SampleError, SampleSpec
from lending_pipelines.sample.stream import Progress, write_sample
from lending_pipelines.tables import SERVICING


def fill_parquet(spec: SampleSpec, directory: str | Path, *, progress: Progress | None = None) -> dict[str, int]:
    """Write each servicing table as <directory>/<table>/<part>.parquet. Returns the rows per table.

    The files are written next to the directory and moved together.

    Raises:
        SampleError: The directory is not empty, or cannot be written.
    """
    root = Path(directory).absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise SampleError(f"{root} is not an empty directory: write the sample to a new one")
    building = root.with_name(root.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    parts = dict.fromkeys(SERVICING, 0)

    def write(name: str, rows: pa.Table) -> None:
        pq.write_table(rows, building / name / f"{parts[name]:05}.parquet", compression="zstd", compression_level=1)
        parts[name] += 1

    try:
        for name in SERVICING:
            (building / name).mkdir(parents=True)
        counts = write_sample(spec, write, progress)
        os.replace(building, root)
    except OSError as error:
        raise SampleError(f"the sample cannot be written to {root}: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return counts
