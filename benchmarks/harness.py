"""How every benchmark here measures: contenders in turn, each in a process of its own, and rows of ratios.

A benchmark is a module of this package with a function `run(options) -> list[Row]`; `python -m benchmarks` finds it by
that, and its name is the module's. Its contenders are functions at the top of a module, that take JSON values:

    def ours(path, rows): ...
    def duckdb_copy(path, rows): ...

    def run(options):
        data = make_data(options.folder)
        rows = 1_000_000 if options.full else 100_000
        return compare("exports", f"csv, {rows:,} rows", [ours, duckdb_copy], str(data), rows, amount=rows, unit="rows")

The first contender is ours. What a contender returns (a count, a checksum) must be the same for all of them: a wrong
answer has no speed. What only the comparison needs is prepared before, in `run`. Nothing here knows what is measured.
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
    """What the command line asks: the large sizes too, and the folder in which data is kept between runs."""

    full: bool
    folder: Path


@dataclass(frozen=True)
class Measured:
    """One run of one contender: seconds of wall and of CPU (imports apart), peak memory in GB, what it returned."""

    seconds: float
    cpu_seconds: float
    gigabytes: float
    answer: Any


@dataclass(frozen=True)
class Row:
    """One contender at one case. `ratio` is its seconds ÷ ours: above 1 we are faster; `aim` is the least wanted."""

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
    """Run the contender once in a fresh process; its output is shown when it fails."""
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
    """Measure the contenders in turns with the same arguments, print a row each and return them.

    The fastest of `rounds` counts; contenders in `once`, slow ones, take a single turn. `amount` of `unit` is the work
    done in a turn; `aims` are the least ratios wanted by a contender's name.
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
        # Not ru_maxrss, into which Linux counts the parent's memory of before the start of this program.
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
