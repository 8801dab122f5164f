"""The portal with 20 people at once: the time in which 95 of 100 requests to a page or table are answered.

The server is a process of its own, as in production. Each person opens a page, reads for about a second, and opens the
next. The aim is 100 ms at 100,000 loans. There is no alternative to compare with.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import httpx

from benchmarks import close
from benchmarks.harness import Options, Row
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.register import Accounts, Register, RoleGiven, Sessions

PEOPLE, SECONDS, AIM = 20, 60, 0.1
PORT = 8765

PATHS = (
    "/",
    "/today",
    "/portfolios",
    "/loans",
    "/loans?sort=-days_past_due",
    "/loans/{loan}",
    "/api/v1/positions",
    "/api/v1/snapshots",
)


def run(options: Options) -> list[Row]:
    """100,000 loans with a closed month; the slowest of PATHS counts."""
    loans = 100_000
    lake = close.make_lake(loans, options.folder)
    for table in close.TABLES:
        close.month(str(lake), table)
    return [measured(lake, loans)]


def measured(lake: Path, loans: int) -> Row:
    """Serve the lake and open its pages; prints the times of each path."""
    register = Register(f"sqlite:///{lake}.register.db")
    register.upgrade()
    cookies = sign_in(register, lake)
    environment = os.environ | {"LENDING_LAKE": str(lake), "LENDING_REGISTER_URL": f"sqlite:///{lake}.register.db"}
    command = [sys.executable, "-m", "lending_pipelines.portal", "--port", str(PORT)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for_server(server)
        times = ask(cookies, some_loans(lake))
    finally:
        server.terminate()
        server.wait(timeout=30)
    for path, seconds in sorted(times.items(), key=lambda item: percentile(item[1])):
        print(f"{path:<36}{len(seconds):>6} requests, p95 {1000 * percentile(seconds):>7.1f} ms")
    slowest = max(percentile(seconds) for seconds in times.values())
    case = f"{PEOPLE} people, {loans:,} loans, slowest p95"
    return Row("portal", case, "portal", slowest, 0.0, 0.0, 1.0, None, sum(map(len, times.values())), "requests")


def sign_in(register: Register, lake: Path) -> list[str]:
    """A session of each person: half see everything, half their own loans."""
    engine = DuckDBEngine()
    positions = Lake(str(lake), engine).table("loan_positions", close.DAY, close.DAY)
    officers = positions.officer_id.value_counts(name="loans").order_by("loans").to_pyarrow()["officer_id"].to_pylist()
    engine.close()
    officers = [each for each in officers if each][-PEOPLE:]
    with register.session() as session:
        cookies = []
        for number in range(PEOPLE):
            scope = {"officer": officers[number]} if number % 2 else {}
            role = RoleGiven.checked("loan_officer" if number % 2 else "auditor", scope)
            account = Accounts(session).find(f"person{number}") or Accounts(session).create(
                f"person{number}", f"Person {number}", [role]
            )
            cookies.append(Sessions(session).start(account.account_id, "127.0.0.1", "benchmark"))
    return cookies


def some_loans(lake: Path) -> list[str]:
    """Ids of loans."""
    engine = DuckDBEngine()
    ids = Lake(str(lake), engine).table("loans").loan_id.as_table().limit(2000).to_pyarrow()["loan_id"].to_pylist()
    engine.close()
    return ids


def wait_for_server(server: subprocess.Popen) -> None:
    """Wait until the server answers and has copied its tables."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and server.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{PORT}/health", timeout=60)
            break
        except httpx.TransportError:
            time.sleep(0.5)
    for _ in range(30):
        httpx.get(f"http://127.0.0.1:{PORT}/health", timeout=60)
        time.sleep(1)


def ask(cookies: list[str], loans: list[str]) -> dict[str, list[float]]:
    """Open the pages as all people at once; the seconds of each answer by path."""
    times: dict[str, list[float]] = defaultdict(list)
    until = time.monotonic() + SECONDS

    def person(cookie: str, seed: int) -> None:
        chance = random.Random(seed)
        with httpx.Client(cookies={"lending": cookie}, base_url=f"http://127.0.0.1:{PORT}", timeout=60) as browser:
            while time.monotonic() < until:
                path = chance.choice(PATHS)
                started = time.monotonic()
                answer = browser.get(path.replace("{loan}", chance.choice(loans)))
                if answer.status_code not in (200, 303, 403, 404):
                    sys.exit(f"{path}: {answer.status_code}: {answer.text[:500]}")
                times[path].append(time.monotonic() - started)
                time.sleep(chance.uniform(0.5, 1.5))

    threads = [threading.Thread(target=person, args=(cookie, number)) for number, cookie in enumerate(cookies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def percentile(seconds: list[float]) -> float:
    """The time in which 95 of 100 requests are answered."""
    return sorted(seconds)[int(0.95 * (len(seconds) - 1))]
