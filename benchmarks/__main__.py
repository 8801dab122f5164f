"""Runs the benchmarks and writes the results as JSON and charts.

python -m benchmarks                 every benchmark at its default size, under 15 minutes together
python -m benchmarks --full          also the large sizes
python -m benchmarks --only exports  one benchmark (can be repeated)
python -m benchmarks --only fineract --loans 200000
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import benchmarks
from benchmarks import charts
from benchmarks.harness import Options, Row


def load(names: Sequence[str]) -> dict[str, ModuleType]:
    """Load the benchmarks with these names; without names, all modules of the package with a `run` function."""
    every = sorted(module.name for module in iter_modules(benchmarks.__path__) if not module.name.startswith("_"))
    modules = {name: import_module(f"benchmarks.{name}") for name in names or every}
    return {name: module for name, module in modules.items() if hasattr(module, "run")}


def machine() -> dict[str, object]:
    """The machine and versions of the measurement."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return {
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the large sizes too")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="run this benchmark alone")
    parser.add_argument("--loans", type=int, help="the number of loans, for fineract")
    parser.add_argument("--folder", type=Path, default=Path(".lending/bench"), help="where data and results are kept")
    parser.add_argument("--charts", type=Path, help="where the charts go; the same folder without it")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    started = time.monotonic()
    for name, benchmark in load(options.only).items():
        print(f"\n{name}", flush=True)
        rows += benchmark.run(Options(options.full, options.folder, options.loans))
    results = {"machine": machine(), "seconds": time.monotonic() - started, "rows": [asdict(row) for row in rows]}
    (options.folder / "results.json").write_text(json.dumps(results, indent=1))
    drawn = options.charts or options.folder
    charts.ratios(rows, drawn / "benchmark-ratios.svg")
    charts.cost(rows, drawn / "benchmark-cost.svg")
    print(f"\nWritten: {options.folder}/results.json and {drawn}/benchmark-*.svg")


if __name__ == "__main__":
    main()
