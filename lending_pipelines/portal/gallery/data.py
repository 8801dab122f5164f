"""Invented data for the gallery: a lender's day, with values that are difficult to display.

Names are hostile (markup), very long, right to left, Chinese; amounts are huge, negative, zero and missing.
"""

import random
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

LENDER = {"name": "Harbour & Sons Lending", "logo": None}
PERSON = {"name": "Ana Oliveira", "role": "controller", "initials": "AO"}
SECTIONS = [
    ("Today", "/today"),
    ("Portfolios", "/components"),
    ("Loans", "/loans"),
    ("Managers", "/managers"),
    ("Alerts", "/states"),
    ("Reports", "/forms"),
    ("Tapes", "/charts"),
    ("Ledger", "/ledger"),
    ("Data health", "/health"),
    ("Generate", "/generate"),
    ("People", "/people"),
]
DAY = date(2026, 11, 28)
HOSTILE = "<script>alert('owned')</script>"

NAMES = [
    "Elena Duarte",
    "Farid Haddad",
    HOSTILE,
    "Grace O’Connor-Whitfield & Partners Agricultural Cooperative of the Northern Valley",
    "شركة النور للتمويل",
    "山田 太郎",
    "Noah Bergström",
    "Olga Petrova",
    '"><img src=x onerror=alert(1)>',
    "Maya Iyer",
    "Hugo Silva",
    "Karin Vogel",
    "Liam Byrne",
    "Jonas Weber",
    "Carla Mendes",
    "Ben Okafor",
]
PRODUCTS = ["Working capital loan", "Vehicle loan", "Personal loan", "Group microloan", "Harvest loan", "Bridge loan"]
STATUSES = ["current", "current", "current", "current", "late", "defaulted", "charged_off", "paid_off", "modified"]


def _walk(start: float, step: float, count: int, seed: int) -> list[float]:
    chance = random.Random(seed)
    values = [start]
    for _ in range(count - 1):
        values.append(values[-1] + chance.uniform(-0.4, 1) * step)
    return values


def _loans() -> list[dict[str, Any]]:
    chance = random.Random(7)
    rows = []
    for n in range(240):
        status = STATUSES[chance.randrange(len(STATUSES))]
        late = {"late": chance.randrange(1, 60), "defaulted": chance.randrange(90, 400)}.get(status, 0)
        balance = Decimal(chance.randrange(20_000, 6_000_000)) / 100
        rows.append(
            {
                "loan_id": f"L-{100_200 + n}",
                "borrower": NAMES[n % len(NAMES)],
                "product": PRODUCTS[n % len(PRODUCTS)],
                "branch": ["Springfield", "Riverside", "Lisbon"][n % 3],
                "status": status,
                "currency": "EUR" if n % 3 == 2 else "USD",
                "balance": Decimal(0) if status in ("paid_off", "charged_off") else balance,
                "days_past_due": late or None,
                "rate": Decimal("0.14") + Decimal(chance.randrange(0, 1400)) / 10_000,
                "next_due": None
                if status in ("paid_off", "charged_off")
                else DAY + timedelta(days=chance.randrange(1, 30)),
                "trend": [float(balance) * (1 + 0.03 * k) for k in range(12, 0, -1)],
            }
        )
    rows[1]["balance"], rows[4]["balance"] = Decimal("987654321098.76"), Decimal("-1234.50")
    rows[2]["rate"] = rows[2]["trend"] = None
    return rows


LOANS = _loans()
PAGE = 25

RESULTS = [
    *(
        {
            "kind": "loan",
            "title": f"{row['loan_id']} {row['borrower']}",
            "subtitle": f"{row['product']}, {row['branch']}",
            "url": f"/loan?id={row['loan_id']}",
        }
        for row in LOANS[:60]
    ),
    {"kind": "portfolio", "title": "Small business lending", "subtitle": "1,204 loans", "url": "/components"},
    {"kind": "report", "title": "Delinquency aging", "subtitle": "Report", "url": "/forms"},
]


def loans(query: Mapping[str, str]) -> dict[str, Any]:
    """A page of loans by search, status, sort and row number; the real pages use keyset cursors."""
    searched, status, sort = query.get("q", "").lower(), query.get("status"), query.get("sort", "-balance")
    rows = [row for row in LOANS if searched in f"{row['loan_id']} {row['borrower']}".lower()]
    counts = {name: sum(row["status"] == name for row in rows) for name in sorted(set(STATUSES))}
    rows = [row for row in rows if not status or row["status"] == status]
    key = sort.lstrip("-") if sort.lstrip("-") in LOANS[0] else "balance"
    rows.sort(key=lambda row: (row[key] is not None, row[key] or 0), reverse=sort.startswith("-"))
    first = int(query.get("after", "0"))
    return {
        "rows": rows[first : first + PAGE],
        "sort": sort,
        "total": len(rows),
        "first": first,
        "counts": counts,
        "last": min(first + PAGE, len(rows)),
        "previous": first - PAGE if first else None,
        "next": first + PAGE if first + PAGE < len(rows) else None,
        "day": DAY,
    }


def today() -> dict[str, Any]:
    """The first page."""
    return {
        "day": DAY,
        "closed_at": datetime(2026, 11, 29, 1, 12),
        "balance": _walk(41.2, 0.2, 30, 1),
        "par": _walk(4.1, 0.03, 30, 2),
        "collected": _walk(310, 9, 30, 3),
        "alerts": [
            {
                "alert": "PAR 30 of Harvest loan is above 8 %",
                "severity": "critical",
                "scope": "Rural inclusion",
                "since": DAY - timedelta(days=3),
                "value": Decimal("0.0871"),
            },
            {
                "alert": "Balance of manager " + NAMES[3] + " fell by a fifth",
                "severity": "warning",
                "scope": "Riverside",
                "since": DAY - timedelta(days=1),
                "value": Decimal("-0.2114"),
            },
            {
                "alert": "No payments from branch Lisbon",
                "severity": "warning",
                "scope": "Lisbon",
                "since": DAY,
                "value": None,
            },
        ],
        "changes": [
            {
                "portfolio": "Small business lending",
                "currency": "USD",
                "balance": Decimal("18204113.42"),
                "before": Decimal("120433.10"),
                "par": Decimal("0.0312"),
                "trend": _walk(18, 0.1, 14, 4),
            },
            {
                "portfolio": "Consumer lending",
                "currency": "USD",
                "balance": Decimal("15990210.00"),
                "before": Decimal("-38220.55"),
                "par": Decimal("0.0455"),
                "trend": _walk(16, -0.1, 14, 5),
            },
            {
                "portfolio": "Rural inclusion",
                "currency": "USD",
                "balance": Decimal("7122980.18"),
                "before": Decimal("0.00"),
                "par": Decimal("0.0871"),
                "trend": _walk(7, 0.0, 14, 6),
            },
            {
                "portfolio": "Iberia " + HOSTILE,
                "currency": "EUR",
                "balance": Decimal("2210044.91"),
                "before": Decimal("8812.00"),
                "par": None,
                "trend": _walk(2, 0.05, 14, 8),
            },
        ],
        "checks": [
            ("Blocking checks", "passed", "142 of 142"),
            ("Warnings", "warning", "3 checks"),
            ("Tie-outs", "passed", "9 of 9"),
            ("Tapes delivered", "delivered", "4 of 4"),
            ("Servicing data", "fresh", "read 01:02"),
        ],
    }


def loan() -> dict[str, Any]:
    """One loan: facts, schedule, strip, history."""
    months = [DAY.replace(day=1) - timedelta(days=30 * n) for n in range(23, -1, -1)]
    strip = [None, None, *[0] * 9, 4, 12, 0, 0, 31, 58, 92, 121, 45, 12, 0, 0, 0]
    schedule = [
        {
            "due_on": DAY + timedelta(days=30 * (n - 2)),
            "principal": Decimal("812.40") + n,
            "interest": Decimal("201.10") - n,
            "fees": Decimal("25.00") if n == 1 else None,
            "paid": Decimal("1013.50") if n < 2 else Decimal(0) if n == 2 else None,
            "status": "done" if n < 2 else "due" if n == 2 else "scheduled",
            "currency": "USD",
        }
        for n in range(8)
    ]
    events = [
        {
            "title": "Payment of 1,013.50 USD",
            "when": "27 Nov 2026, 14:02",
            "tone": "good",
            "icon": "money",
            "text": "Allocated: 812.40 principal, 201.10 interest",
        },
        {
            "title": "Modified: term extended by 6 months",
            "when": "2 Jun 2026",
            "tone": "info",
            "icon": "edit",
            "text": "Version 2 of the schedule; forbearance",
        },
        {
            "title": "121 days past due",
            "when": "30 Apr 2026",
            "tone": "bad",
            "icon": "warn",
            "text": "Moved to bucket 120+",
        },
        {"title": "Included in the tape of Meridian Capital", "when": "31 Mar 2026, 06:00", "icon": "package"},
        {"title": "Disbursed 24,000.00 USD", "when": "12 Dec 2024", "icon": "up"},
    ]
    return {
        "row": LOANS[3] | {"balance": Decimal("16204.11")},
        "strip": [(f"{m:%b}" if m.month > 1 else f"{m:%Y}", d) for m, d in zip(months, strip, strict=True)],
        "schedule": schedule,
        "events": events,
        "day": DAY,
    }


def managers() -> dict[str, Any]:
    """The managers by health."""
    chance = random.Random(3)
    rows = []
    for n, name in enumerate(NAMES[:12]):
        score = [91, 84, 77, 71, 66, 58, 52, 49, 44, 38, 31, None][n]
        rows.append(
            {
                "manager_id": f"M-{n + 1}",
                "manager": name,
                "team": ["North", "South", "Iberia"][n % 3],
                "score": score,
                "category": "Critical"
                if score is None or score < 40
                else "Warning"
                if score < 60
                else "Good"
                if score < 80
                else "Excellent",
                "loans": chance.randrange(80, 900),
                "balance": Decimal(chance.randrange(10**7, 10**9)) / 100,
                "currency": "USD",
                "par30": Decimal(chance.randrange(100, 1200)) / 10_000,
                "par90": Decimal(chance.randrange(0, 700)) / 10_000,
                "collected": Decimal(chance.randrange(7000, 10100)) / 10_000,
                "trend": _walk(50, 2, 12, n),
                "alerts": chance.randrange(0, 5),
            }
        )
    counts = [
        (name, sum(row["category"] == name for row in rows)) for name in ("Excellent", "Good", "Warning", "Critical")
    ]
    return {"rows": rows, "counts": counts, "day": DAY}


def components() -> dict[str, Any]:
    """Rows for the tables of the components' page."""
    buckets = ["Current", "1–29", "30–59", "60–89", "90+"]
    rates = [
        [0.94, 0.05, 0, 0, 0],
        [0.38, 0.41, 0.2, 0, 0],
        [0.12, 0.14, 0.38, 0.34, 0],
        [0.05, 0.02, 0.08, 0.31, 0.52],
        [0.01, 0, 0.01, 0.02, 0.93],
    ]
    rolls = [
        {"from": name, **{f"b{n}": rate for n, rate in enumerate(row)}}
        for name, row in zip(buckets, rates, strict=True)
    ]
    return {"rolls": rolls, "buckets": buckets, "names": NAMES, "loans": LOANS[:5], "walk": _walk(10, 1, 24, 9)}
