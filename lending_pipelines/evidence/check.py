"""Checks the certificate of a closed day: `python check.py [PUBLIC_KEY]`. Needs Python, pyarrow and cryptography."""

import hashlib
import json
import pathlib
import sys
from decimal import Decimal

import pyarrow.compute as pc
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

folder = pathlib.Path(__file__).parent
certificate = json.loads((folder / "certificate.json").read_bytes())
chain = [json.loads(line) for line in (folder / "chain.jsonl").read_text("utf-8").splitlines()]
said = json.loads(certificate["statement"])
trusted = sys.argv[1] if len(sys.argv) > 1 else certificate["signed_by"]
faults = [] if certificate in chain else ["the certificate is not in the chain"]
previous = signed = None
for number, link in enumerate(chain, 1):  # each is intact, linked, and signed from the first signed one on
    data = link["statement"].encode()
    if hashlib.sha256(data).hexdigest() != link["sha256"] or json.loads(data)["previous_sha256"] != previous:
        faults.append(f"statement {number} or its link is broken")
    previous, signed = link["sha256"], signed or link["signature"]
    try:
        if trusted and signed:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(trusted)).verify(bytes.fromhex(link["signature"]), data)
    except Exception as error:
        faults.append(f"the signature of statement {number} is not valid: {error!r}")
for name, table in said["tables"].items():  # the files are the certified ones, and add up to the certified totals
    found: dict = {}
    for path, sha256 in table["files"].items():
        if hashlib.sha256((folder / "data" / path).read_bytes()).hexdigest() != sha256:
            faults.append(f"{path} is not the certified file")
        rows = pq.ParquetFile(folder / "data" / path).read()
        if "business_date" in rows.column_names:
            rows = rows.filter(pc.equal(rows["business_date"].cast("string"), said["business_date"]))
        for row in rows.to_pylist():
            sums = found.setdefault(row["currency"], dict.fromkeys(table["totals"].get(row["currency"], {}), 0))
            for column in sums:
                sums[column] += 1 if column == "rows" else row[column] or Decimal("0.00")
    if {key: {k: Decimal(v) for k, v in sums.items()} for key, sums in table["totals"].items()} != found:
        faults.append(f"{name}: the control totals differ")
for row in [*said["roll_forward"].values(), *said["tieouts"]]:  # the statement's own arithmetic
    amounts = {key: Decimal(value) for key, value in row.items() if key not in ("control_for", "currency")}
    total = amounts.pop("closing", None) if "closing" in amounts else amounts["ledger_balance"]
    if total != sum(amounts.values()) - amounts.get("ledger_balance", 0):
        faults.append(f"the amounts do not add up: {row}")
print("\n".join(faults) or f"{said['business_date']}: everything matches the certificate {certificate['sha256']}")
sys.exit(bool(faults))
