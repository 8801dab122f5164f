"""A second, slow implementation of loan positions in plain Python, by docs/definitions.md, a loan and a day at a time.

Independent of the package, to compare it with. Nothing here is shared with it but the settings' names.
"""

from collections import defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

ZERO = Decimal("0.00")
DAY = timedelta(days=1)
SPLIT = ("principal", "interest", "fees")
OFF = ("charge_off", "write_off")
PERIODS = {"weekly": 7, "biweekly": 14}
BUCKETS = [(120, "120+"), (90, "90-119"), (60, "60-89"), (30, "30-59"), (1, "1-29"), (0, "current")]


class Reference:
    """Every position of a book's loans, by (day as text, loan_id)."""

    def __init__(self, rows, known_at=None, *, dpd_method="rolling", delinquency_method="MBA"):
        self.rows = {
            name: [row for row in table if known_at is None or row.get("posted_at", known_at) <= known_at]
            for name, table in rows.items()
        }
        self.by_loan = defaultdict(list)
        for name, table in self.rows.items():
            for row in table:
                self.by_loan[name, row.get("loan_id")].append(row)
        self.strict = dpd_method == "strict"
        self.ots = delinquency_method == "OTS"
        self.by_id = {row["transaction_id"]: row for row in self.table("transactions")}
        self._charge_offs, self._spells = {}, {}

    def table(self, name):
        return self.rows.get(name, [])

    def of(self, name, loan_id):
        return self.by_loan[name, loan_id]

    def positions(self, first, last, days=None):
        """The positions of the days first..last, or of some of them alone."""
        found = {}
        for loan in self.table("loans"):
            first_miss = None
            on = loan["disbursed_on"] or last + DAY
            events = self.events(loan["loan_id"])
            while on <= last:
                asked = on >= first and (days is None or on in days)
                # strict: the first miss counts until nothing is past due, so that every day counts
                if asked or self.strict:
                    row = self.position(loan, events, on)
                    if row["past_due_amount"] > 0:
                        first_miss = min(first_miss or row["oldest_due_on"], row["oldest_due_on"])
                    else:
                        first_miss = None
                    self.age(row, loan, (first_miss if self.strict else None) or row["oldest_due_on"])
                if asked:
                    found[str(on), loan["loan_id"]] = row
                on += DAY
        return found

    def events(self, loan_id):
        """(effective_on, root transaction, +1 or -1) of every transaction; a reversal undoes what it reverses."""
        events = []
        for row in self.of("transactions", loan_id):
            root, sign = row, 1
            while root and root["type"] == "reversal":
                root, sign = self.by_id.get(root["reverses_id"]), -sign
            if root:
                events.append((row["effective_on"], root, sign))
        return events

    def position(self, loan, events, on):
        all_events, events = events, [event for event in events if event[0] <= on]

        def total(types, *parts):
            return sum((sign * root[part] for _, root, sign in events for part in parts if root["type"] in types), ZERO)

        after = self.charge_offs(events)

        def paid(part):
            return total(("repayment",), part) - total(("refund",), part) - after[part]

        row = {
            "business_date": on,
            "loan_id": loan["loan_id"],
            "borrower_id": loan["borrower_id"],
            "currency": loan["currency"],
            "product_id": loan["product_id"],
            "branch_id": loan["branch_id"],
            "program_id": self.program(loan),
            "portfolio_id": self.holder("portfolio_membership", "portfolio_id", loan, on),
            "investor_id": self.holder("loan_ownership", "investor_id", loan, on),
            "officer_id": self.officer(loan, on),
            "vintage": f"{loan['disbursed_on'].year}Q{(loan['disbursed_on'].month + 2) // 3}",
            "annual_rate": self.rate(loan, on),
            "disbursed_on": loan["disbursed_on"],
            "matures_on": loan["matures_on"],
            "principal_disbursed": total(("disbursement",), "principal"),
            "principal_capitalized": total(("capitalization",), "interest", "fees"),
            "principal_paid": paid("principal"),
            "interest_paid": paid("interest"),
            "fees_paid": paid("fees"),
            "principal_charged_off": after["taken"],
            "principal_forgiven": total(("waiver",), "principal"),
            "recovered": total(("recovery",), *SPLIT) + sum(after[part] for part in SPLIT),
        }
        row["principal_outstanding"] = (
            row["principal_disbursed"]
            + row["principal_capitalized"]
            - row["principal_paid"]
            - row["principal_charged_off"]
            - row["principal_forgiven"]
        )
        row["total_collected"] = row["principal_paid"] + row["interest_paid"] + row["fees_paid"] + row["recovered"]
        interest_settled = self.interest_settled(events)
        row["settled"] = row["principal_paid"] + row["principal_forgiven"] + interest_settled

        schedule = self.schedule(loan, on)
        drawn_on, repaid_on = self.spell(all_events, on)
        asked = sum((i["principal"] + i["interest"] for i in schedule if repaid_on and i["due_on"] <= repaid_on), ZERO)
        charged_off_on = after["since"]
        if row["principal_disbursed"] <= 0:
            row["status"] = "pending"
        elif charged_off_on:
            row["status"] = "charged_off"
        elif row["principal_outstanding"] <= 0 and asked <= max(ZERO, row["settled"]):
            row["status"] = "closed"
        else:
            row["status"] = "active"
        active = row["status"] == "active"

        # An active loan with repaid principal owes nothing of what falls due later.
        due_by = repaid_on if active and repaid_on else on
        due = [item for item in schedule if item["due_on"] <= due_by]
        row["scheduled_due"] = sum((item["principal"] + item["interest"] for item in due), ZERO)
        principal_due = sum((item["principal"] for item in due), ZERO)
        row["past_due_amount"] = max(ZERO, row["scheduled_due"] - max(ZERO, row["settled"])) if active else ZERO
        row["past_due_principal"] = min(
            row["past_due_amount"], max(ZERO, principal_due - row["principal_paid"] - row["principal_forgiven"])
        )
        row["past_due_interest"] = row["past_due_amount"] - row["past_due_principal"]
        row["oldest_due_on"] = self.oldest_due(schedule, max(ZERO, row["settled"])) if active else None

        if row["status"] == "pending":
            row["interest_earned"] = ZERO
        elif row["status"] == "charged_off":
            # as on the day before, as if no charge-off had been made
            before = [event for event in all_events if event[1]["type"] not in OFF]
            row["interest_earned"] = self.position(loan, before, charged_off_on - DAY)["interest_earned"]
        elif row["status"] == "closed":
            row["interest_earned"] = interest_settled
        else:
            before = [event for event in events if drawn_on and event[0] < drawn_on]
            again = drawn_on and self.disbursed(before) > 0
            settled_before = self.interest_settled(before) if again else ZERO
            row["interest_earned"] = settled_before + self.earned(loan, on, drawn_on or loan["disbursed_on"])
        row["interest_receivable"] = max(ZERO, row["interest_earned"] - interest_settled) if active else ZERO

        payments = self.dates_in_force(events, ("repayment",))
        row["last_payment_on"] = max(payments, default=None)
        row["last_payment_amount"] = payments.get(row["last_payment_on"])
        ahead = [item for item in schedule if item["due_on"] > on] if active and not repaid_on else []
        row["next_due_on"] = ahead[0]["due_on"] if ahead else None
        row["next_due_amount"] = ahead[0]["principal"] + ahead[0]["interest"] if ahead else None
        return row

    def age(self, row, loan, since):
        if since and self.ots:
            days = PERIODS.get(loan["payment_frequency"])
            months = 3 if loan["payment_frequency"] == "quarterly" else 1
            since = since + days * DAY if days else add_months(since, months)
        late = row["status"] == "active" and since
        row["days_past_due"] = max(0, (row["business_date"] - since).days) if late else 0
        row["bucket"] = next(label for edge, label in BUCKETS if row["days_past_due"] >= edge)
        row["non_accrual"] = row["status"] == "active" and row["days_past_due"] >= 90

    def charge_offs(self, events):
        """What charge-offs took and what was recovered, as things stand: without what was reversed, day by day."""
        # The same events give the same: most days have no new ones.
        key = names(events)
        if key not in self._charge_offs:
            self._charge_offs[key] = self._find_charge_offs(events)
        return self._charge_offs[key]

    @staticmethod
    def _find_charge_offs(events):
        net = defaultdict(int)
        roots = {}
        for _, root, sign in events:
            net[root["transaction_id"]] += sign
            roots[root["transaction_id"]] = root
        owed, any_off, found = ZERO, False, {"taken": ZERO, "since": None} | dict.fromkeys(SPLIT, ZERO)
        for day in sorted({root["effective_on"] for root in roots.values()}):
            of_day = [(net[key], root) for key, root in roots.items() if root["effective_on"] == day]

            def total(part, *types, of_day=of_day):
                return sum((times * root[part] for times, root in of_day if root["type"] in types), ZERO)

            def received(part, total=total):
                return total(part, "repayment") - total(part, "refund")

            wholly = any_off and owed <= 0
            owed += total("principal", "disbursement") - total("principal", "waiver")
            owed += total("interest", "capitalization") + total("fees", "capitalization")
            if wholly:
                for part in SPLIT:
                    found[part] += received(part)
            else:
                kept = min(received("principal"), max(owed, ZERO)) if any_off else received("principal")
                found["principal"] += received("principal") - kept
                owed -= kept
            taken = min(total("principal", *OFF), max(owed, ZERO))
            found["taken"] += taken
            owed -= taken
            any_off = any_off or sum(times for times, root in of_day if root["type"] in OFF) > 0
            if not (any_off and owed <= 0):
                found["since"] = None
            elif found["since"] is None:
                found["since"] = day
        return found

    def spell(self, events, on):
        """(the day of the last drawing from nothing, the day since which nothing is owed), day by day up to `on`."""
        events = [event for event in events if event[0] <= on]
        key = names(events)
        if key not in self._spells:
            self._spells[key] = self._find_spell(events)
        return self._spells[key]

    def _find_spell(self, events):
        drawn_on = repaid_on = None
        owed = disbursed = ZERO
        for day in sorted({event[0] for event in events}):
            known = [event for event in events if event[0] <= day]
            now, paid_out = self.owed(known), self.disbursed(known)
            if now > 0 >= owed and paid_out > disbursed:
                drawn_on = day
            repaid_on = None if now > 0 else repaid_on or day
            owed, disbursed = now, paid_out
        return drawn_on, repaid_on

    @staticmethod
    def disbursed(events):
        return sum((sign * root["principal"] for _, root, sign in events if root["type"] == "disbursement"), ZERO)

    def owed(self, events):
        after = self.charge_offs(events)
        owed = after["principal"] - after["taken"]
        for _, root, sign in events:
            match root["type"]:
                case "disbursement" | "refund":
                    owed += sign * root["principal"]
                case "repayment" | "waiver":
                    owed -= sign * root["principal"]
                case "capitalization":
                    owed += sign * (root["interest"] + root["fees"])
        return owed

    @staticmethod
    def dates_in_force(events, types):
        """Amounts of the events of these types by their own date, without those that were reversed."""
        amounts, counts = {}, {}
        for _, root, sign in events:
            if root["type"] in types:
                on = root["effective_on"]
                counts[on] = counts.get(on, 0) + sign
                amounts[on] = amounts.get(on, ZERO) + sign * root["amount"]
        return {on: amounts[on] for on, count in counts.items() if count > 0}

    def schedule(self, loan, on):
        """The installments of the highest version in force; one of nothing has no due date."""
        rows = [row for row in self.of("installments", loan["loan_id"]) if row["effective_on"] <= on]
        version = max((row["version"] for row in rows), default=None)
        rows = [row for row in rows if row["version"] == version and row["principal"] + row["interest"] != 0]
        return sorted(rows, key=lambda row: (row["due_on"], row["number"]))

    @staticmethod
    def oldest_due(schedule, settled):
        cumulative = ZERO
        for item in schedule:
            cumulative += item["principal"] + item["interest"]
            if cumulative - settled >= Decimal("0.01"):
                return item["due_on"]
        return None

    def interest_settled(self, events):
        settled = -self.charge_offs(events)["interest"]
        for _, root, sign in events:
            if root["type"] in ("repayment", "waiver", "capitalization"):
                settled += sign * root["interest"]
            elif root["type"] == "refund":
                settled -= sign * root["interest"]
        return settled

    def earned(self, loan, on, drawn_on):
        """Scheduled interest × the elapsed share of each period; none begins before principal is drawn."""
        earned, start = Decimal(0), drawn_on
        for item in self.schedule(loan, on):
            if item["due_on"] < drawn_on:
                continue
            if on >= item["due_on"]:
                earned += item["interest"]
            elif on > start:
                earned += item["interest"] * (on - start).days / (item["due_on"] - start).days
            start = max(item["due_on"], drawn_on)
        return earned.quantize(ZERO, ROUND_HALF_EVEN)

    def rate(self, loan, on):
        changes = [
            row
            for row in self.of("modifications", loan["loan_id"])
            if row["after_rate"] is not None and row["after_rate"] != row["before_rate"]
        ]
        changes.sort(key=lambda row: (row["effective_on"], row["posted_at"], row["modification_id"]))
        before = [row for row in changes if row["effective_on"] <= on]
        if before:
            return before[-1]["after_rate"]
        if changes and changes[0]["before_rate"] is not None:
            return changes[0]["before_rate"]
        return loan["annual_rate"]

    def officer(self, loan, on):
        assigned = [row for row in self.of("officer_assignments", loan["loan_id"]) if row["assigned_on"] <= on]
        if not assigned:
            return loan["officer_id"]
        last = max(assigned, key=lambda row: row["assigned_on"])
        released = last["released_on"] is not None and last["released_on"] <= on
        return None if released else last["officer_id"]

    def holder(self, table, column, loan, on):
        for row in self.of(table, loan["loan_id"]):
            if row["assigned_on"] <= on and (row["removed_on"] is None or on < row["removed_on"]):
                return row[column]
        return None

    def program(self, loan):
        ids = [row["program_id"] for row in self.table("products") if row["product_id"] == loan["product_id"]]
        return ids[0] if ids else None


def names(events):
    """What tells a list of events from any other of the same book."""
    return tuple((on, root["transaction_id"], sign) for on, root, sign in events)


def add_months(on, months):
    """The same day of a later month, or its last day where it has none such."""
    year, month = divmod(on.year * 12 + on.month - 1 + months, 12)
    for number in range(on.day, 0, -1):
        try:
            return date(year, month + 1, number)
        except ValueError:
            continue
    raise AssertionError
