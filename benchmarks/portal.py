"""The portal under load: 100,000 loans and 20 people at once who read every page and table, with and without a close.

The real server runs in a process of its own. Each person waits a second before the next request, as people do. A row is
one path: `seconds` is the p95 until the last byte, `cpu_seconds` the CPU time of the server per request. Each query was
asked once before; the slowest of these first answers is printed. The ratio is the aim of 0.1 s ÷ p95.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import quantiles

import httpx

from benchmarks import close
from benchmarks.harness import Options, Row
from benchmarks.sample_data import make_data
from lending_pipelines.portal.queries.resources import RESOURCES
from lending_pipelines.register import Accounts, ApiTokens, Register, RoleGiven, Sessions, TokenScope

LOANS, PEOPLE, REQUESTS, THINKING = 100_000, 20, 6, 1.0
"""The loans, the people, the requests of each person per path, and the seconds between them."""

_CLOSED = LOANS - 1
"""The loans of the lake that is closed meanwhile. Another number is another lake: the portal's own does not change."""

AIM = 0.1
MOST_BYTES = 200_000
"""The p95 in seconds, and the size of a page as it is sent, that are aimed at."""

_TABLES = {
    f"/api/v1/{resource.path}": [
        f"?limit={limit}&sort={sign}{order}" for limit in (20, 50) for sign in ("", "-") for order in resource.orders
    ]
    for resource in RESOURCES
    # Only a run of the close records its days.
    if resource.path != "closed-days"
}
_SECTIONS = (
    "/today",
    "/portfolios",
    "/loans",
    "/managers",
    "/alerts",
    "/reports",
    "/tapes",
    "/ledger",
    "/data-health",
    "/platform",
    "/people",
)
_PAGES = {path: [""] for path in _SECTIONS} | {
    "/portfolios/all/*": [""],
    "/portfolios/all/*/vintages": [""],
    "/search": [f"?q={number:03}" for number in range(50)],
}


def run(options: Options) -> list[Row]:
    """Every path, without a close and while one runs."""
    folder = options.folder / "portal"
    folder.mkdir(exist_ok=True)
    lake = options.folder / f"close-{LOANS}"
    if not all((lake / table).exists() for table in close.TABLES):
        close.make_lake(LOANS, options.folder)
        for table in close.TABLES:
            close.month(str(lake), table)
    make_data(_CLOSED, options.folder)
    token, cookie = _account(folder)
    rows = []
    with _served(folder, lake) as (server, address):
        for case in ("quiet", "during a close"):
            with _closing(options.folder, wanted=case != "quiet"):
                for path, queries in {**_TABLES, **_PAGES}.items():
                    rows.append(_measured(server, address, case, path, queries, token, cookie))
    return rows


def _account(folder: Path) -> tuple[str, str]:
    """A new register with an account: its token for the API and its cookie for the pages."""
    (folder / "register.db").unlink(missing_ok=True)
    register = Register(f"sqlite:///{folder / 'register.db'}")
    register.upgrade()
    with register.session() as session:
        account = Accounts(session).create("reader", "Reader", [RoleGiven.checked("admin", {})])
        _, token = ApiTokens(session).create(account.account_id, "load", TokenScope(), 1)
        cookie = Sessions(session).start(account.account_id, "127.0.0.1", "benchmark")
    register.dispose()
    return token, cookie


@contextmanager
def _served(folder: Path, lake: Path) -> Iterator[tuple[int, str]]:
    """The process id and the address of a server of the lake."""
    environment = os.environ | {"LENDING_HOME": str(folder), "LENDING_LAKE": str(lake.absolute())}
    port = "8765"
    server = subprocess.Popen([sys.executable, "-m", "lending_pipelines.portal", "--port", port], env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            with suppress(httpx.TransportError):
                httpx.get(f"{address}/health", timeout=120)
                break
            if server.poll() is not None:
                sys.exit("the portal did not start")
            time.sleep(0.2)
        yield server.pid, address
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _closing(folder: Path, *, wanted: bool) -> Iterator[None]:
    """Compute the positions of the month again and again in another process, in a lake of its own."""
    if not wanted:
        yield
        return
    code = "from benchmarks import close; from pathlib import Path; import sys\n"
    code += "lake = close.make_lake(int(sys.argv[1]), Path(sys.argv[2]))\n"
    code += "while True: [close.month(str(lake), table) for table in close.TABLES]"
    closing = subprocess.Popen([sys.executable, "-c", code, str(_CLOSED), str(folder)])
    try:
        yield
        if closing.poll() is not None:
            sys.exit("the close ended before the measurement: its error is above")
    finally:
        closing.kill()
        closing.wait()


def _measured(server: int, address: str, case: str, path: str, queries: list[str], token: str, cookie: str) -> Row:
    """Let the people read one path."""
    seconds: list[float] = []
    sizes: list[int] = []
    headers = {"Authorization": f"Bearer {token}"} if path.startswith("/api") else {"Cookie": f"lending={cookie}"}

    def person(number: int) -> None:
        chosen = random.Random(number)
        with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
            time.sleep(chosen.random() * THINKING)
            for _ in range(REQUESTS):
                started = time.perf_counter()
                with client.stream("GET", path + chosen.choice(queries)) as answer:
                    size = sum(len(part) for part in answer.iter_raw())
                seconds.append(time.perf_counter() - started)
                sizes.append(size)
                if answer.status_code != 200:
                    sys.exit(f"{path}: the answer is {answer.status_code}")
                time.sleep(THINKING)

    cold = _first(address, headers, path, queries)
    before = _cpu(server)
    people = [threading.Thread(target=person, args=(number,)) for number in range(PEOPLE)]
    for each in people:
        each.start()
    for each in people:
        each.join()
    p95 = quantiles(seconds, n=20)[-1]
    median = quantiles(seconds, n=2)[0]
    cpu = (_cpu(server) - before) / len(seconds)
    size = f"{max(sizes):,} bytes{' (too large)' if max(sizes) > MOST_BYTES else ''}"
    times = f"first {cold * 1000:.0f} ms  p50 {median * 1000:.1f} ms  p95 {p95 * 1000:.1f} ms  CPU {cpu * 1000:.1f} ms"
    print(f"{path:<26}{case:<16}{times}  {size}", flush=True)
    return Row("portal", f"{path}, {case}", "ours", p95, cpu, 0.0, AIM / p95, 1.0, 1, "request")


def _first(address: str, headers: dict[str, str], path: str, queries: list[str]) -> float:
    """Ask each query once, alone. Returns the slowest answer: it compiles the query and reads the lake."""
    slowest = 0.0
    with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
        for query in queries:
            started = time.perf_counter()
            client.get(path + query)
            slowest = max(slowest, time.perf_counter() - started)
    return slowest


def _cpu(process: int) -> float:
    """The CPU seconds of a process so far; of this machine's clock ticks where /proc has them."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
