"""Measures programs: they take turns, each in its own process, and are compared by ratios.

A benchmark is a module of this package with a function `run(options) -> list[Row]`, found by `python -m benchmarks`.
Its name is the module's name. The programs that it compares are top-level functions with JSON values as arguments:

    def ours(path, rows): ...
    def duckdb_copy(path, rows): ...

    def run(options):
        data = make_data(options.folder)
        rows = 1_000_000 if options.full else 100_000
        return compare("exports", f"csv, {rows:,} rows", [ours, duckdb_copy], str(data), rows, amount=rows, unit="rows")

The first program is this project's. All programs must return the same value (a count, a checksum); otherwise the
comparison is invalid. `run` prepares data that only the comparison needs. This module does not know the measured code.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """The command line's options.

    `full` is whether to run the large sizes, and `folder` keeps data between runs. A benchmark that generates loans
    generates `loans` of them instead of its own number.
    """

    full: bool
    folder: Path
    loans: int | None = None


@dataclass(frozen=True)
class Measured:
    """One run of one program: elapsed and CPU seconds without imports, peak memory in GB, and its result."""

    seconds: float
    cpu_seconds: float
    gigabytes: float
    answer: Any


@dataclass(frozen=True)
class Row:
    """One program in one case.

    `ratio` is its seconds ÷ this project's: above 1, this project is faster. `aim` is the minimum.
    """

    benchmark: str
    case: str
    contender: str
    seconds: float
    cpu_seconds: float
    gigabytes: float
    ratio: float
    aim: float | None
    amount: int
    unit: str

    def __str__(self) -> str:
        aim = f"  (aim {self.aim:g})" if self.aim else ""
        return (
            f"{self.case:<36}{self.contender:<20}{self.seconds:>9.2f} s{self.cpu_seconds:>9.2f} s CPU"
            f"{self.gigabytes:>7.2f} GB{self.amount / self.seconds:>14,.0f} {self.unit}/s{self.ratio:>8.2f} x{aim}"
        )


def measure(contender: Callable[..., Any], *arguments: Any) -> Measured:
    """Run the program once in a new process. Its output is printed if it fails."""
    command = [sys.executable, "-m", __name__, contender.__module__, contender.__name__, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{contender.__module__}.{contender.__name__} failed:\n{done.stdout}{done.stderr}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def compare(
    benchmark: str,
    case: str,
    contenders: Sequence[Callable[..., Any]],
    *arguments: Any,
    amount: int,
    unit: str,
    rounds: int = 3,
    once: Sequence[Callable[..., Any]] = (),
    aims: Mapping[str, float] | None = None,
) -> list[Row]:
    """Measure the programs in turns with the same arguments, print a row for each, and return the rows.

    The fastest of `rounds` counts. Programs in `once`, which are slow, run once. `amount` of `unit` is the work done in
    a turn. `aims` are the minimum ratios by program.
    """
    best: dict[str, Measured] = {}
    for number in range(rounds):
        for contender in contenders:
            if number and contender in once:
                continue
            found = measure(contender, *arguments)
            name = contender.__name__
            if name not in best or found.seconds < best[name].seconds:
                best[name] = found
    first = best[contenders[0].__name__]
    for name, found in best.items():
        if found.answer != first.answer:
            sys.exit(f"{benchmark}, {case}: {name} answered {found.answer}, {contenders[0].__name__} {first.answer}")
    rows = [
        Row(
            benchmark,
            case,
            name,
            found.seconds,
            found.cpu_seconds,
            found.gigabytes,
            found.seconds / first.seconds,
            (aims or {}).get(name),
            amount,
            unit,
        )
        for name, found in best.items()
    ]
    for row in rows:
        print(row, flush=True)
    return rows


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_gigabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: Linux includes the parent's memory from before the start of this program.
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1024**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**3


def _child(module: str, name: str, arguments: str) -> None:
    contender = getattr(import_module(module), name)
    started, cpu_started = time.monotonic(), _cpu_seconds()
    answer = contender(*json.loads(arguments))
    seconds, cpu_seconds = time.monotonic() - started, _cpu_seconds() - cpu_started
    print()
    print(json.dumps(asdict(Measured(seconds, cpu_seconds, _peak_gigabytes(), answer))))


if __name__ == "__main__":
    _child(*sys.argv[1:])
