"""The chain: signatures, sealed JSON, and the sums that a certificate states."""

import json
from datetime import date
from decimal import Decimal
from subprocess import run
from sys import executable
from zipfile import ZipFile

import pytest
from homes import LAST, lending, materialise
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from lending_pipelines.evidence import KeyUnusable, SigningKey, certificates, make_key, verify
from lending_pipelines.evidence.roll_forward import roll_forward
from lending_pipelines.evidence.totals import DayTotals
from lending_pipelines.places import SealBroken, sealed, unsealed
from lending_pipelines.url_secrets import Secret

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50)
@given(JSON, st.data())
def test_sealed_json_is_read_as_written_and_refused_with_any_changed_bit(value, data):
    try:
        content = bytearray(sealed(value))
    except UnicodeEncodeError:
        return
    assert unsealed(bytes(content), "file") == value
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken, match="file is damaged"):
        unsealed(bytes(content), "file")


def totals(**sums: str) -> DayTotals:
    columns = ("disbursed", "capitalized", "paid", "charged_off", "forgiven", "outstanding")
    filled = dict.fromkeys(columns, "0.00") | sums
    return DayTotals(
        0, {}, {"EUR": 1}, {"EUR": {f"principal_{name}": Decimal(value) for name, value in filled.items()}}
    )


def test_a_roll_forward_explains_the_change_of_the_balance():
    # 1,000.00 + 200.00 disbursed + 5.00 capitalized − 150.00 repaid − 30.00 charged off − 2.00 forgiven = 1,023.00.
    before = totals(disbursed="1000.00", outstanding="1000.00")
    losses = {"charged_off": "30.00", "forgiven": "2.00"}
    after = totals(disbursed="1200.00", capitalized="5.00", paid="150.00", outstanding="1023.00", **losses)
    assert roll_forward(before, after) == {
        "EUR": {
            "opening": "1000.00",
            "disbursed": "200.00",
            "capitalized": "5.00",
            "repaid": "-150.00",
            "charged_off": "-30.00",
            "forgiven": "-2.00",
            "closing": "1023.00",
            "unexplained": "0.00",
        }
    }
    # 10.00 more than the flows explain.
    after.sums["EUR"]["principal_outstanding"] = Decimal("1033.00")
    assert roll_forward(before, after)["EUR"]["unexplained"] == "10.00"


def test_the_certificate_states_the_sums_of_the_day(home, places):
    said = certificates(places.lake, LAST)[-1].content
    rows = home.rows("loan_positions", LAST, LAST)
    for currency in {row["currency"] for row in rows}:
        of_currency = [row for row in rows if row["currency"] == currency]
        stated = said["tables"]["loan_positions"]["totals"][currency]
        assert stated["rows"] == len(of_currency)
        assert stated["principal_outstanding"] == str(sum(row["principal_outstanding"] for row in of_currency))
        assert said["roll_forward"][currency]["closing"] == stated["principal_outstanding"]
        assert said["roll_forward"][currency]["unexplained"] == "0.00"
    assert said["previous_day"] == "2025-03-13"
    assert len(said["tieouts"]) == len(home.rows("ledger_tieouts", LAST, LAST))
    assert said["checks"]["failed"] == {}
    assert said["program"]["lending_pipelines"] == "1.0.0"


def test_a_signed_chain_is_checked_with_the_key(home, places, tmp_path, monkeypatch):
    file = tmp_path / "lender.pem"
    made = lending("signing-key", str(file))
    key = SigningKey.of(Secret(str(file)))
    assert f"Public key: {key.public}" in made.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert "File exists" in lending("signing-key", str(file)).stderr
    # The text of the file is a key too, with lines that end in \n as environment files have them.
    assert SigningKey.of(Secret(file.read_text().strip().replace("\n", "\\n"))).public == key.public
    monkeypatch.setenv("LENDING_SIGNING_KEY", str(file))
    materialise(LAST, LAST, "close_certificates")
    assert certificates(places.lake)[-1].signed_by == key.public
    assert verify(places, trusted=[key.public]).findings == []
    other = make_key(tmp_path / "other.pem").public
    assert verify(places, trusted=[other]).findings == [
        f"Certificate 32 of {LAST}: it is signed by another key: {key.public}."
    ]
    assert lending("verify", "--public-key", other).returncode == 1
    monkeypatch.delenv("LENDING_SIGNING_KEY")
    materialise(LAST, LAST, "close_certificates")
    assert verify(places).findings == [f"Certificate 33 of {LAST} is not signed, and certificate 32 is."]


@pytest.mark.parametrize("setting", ["/nowhere/key.pem", "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END"])
def test_an_unusable_key_is_named_by_its_setting(setting):
    with pytest.raises(KeyUnusable, match="LENDING_SIGNING_KEY"):
        SigningKey.of(Secret(setting))


def test_an_auditor_checks_the_evidence_in_an_empty_folder(home, tmp_path, monkeypatch):
    monkeypatch.setenv("LENDING_SIGNING_KEY", str(tmp_path / "key.pem"))
    make_key(tmp_path / "key.pem")
    materialise(LAST, LAST, "close_certificates")
    archive, folder = tmp_path / "evidence.zip", tmp_path / "empty"
    packed = lending("export-evidence", "--date", str(LAST), "--to", str(archive))
    assert packed.returncode == 0, packed.stderr
    ZipFile(archive).extractall(folder)
    assert len((folder / "check.py").read_text().splitlines()) <= 50

    def check(*arguments: str) -> tuple[int, str]:
        done = run([executable, "-I", "check.py", *arguments], cwd=folder, env={}, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    # The first 31 certificates were made without a key.
    status, said = check()
    assert (status, said.startswith(f"{LAST}: everything matches the certificate")) == (0, True), said
    assert check("00" * 32)[0] == 1
    chain = (folder / "chain.jsonl").read_text().splitlines()
    (folder / "certificate.json").write_text(json.dumps(json.loads(chain[31]) | {"sha256": ""}))
    assert check()[1].splitlines() == ["the certificate is not in the chain"]
    (folder / "certificate.json").write_text(chain[31])
    (positions,) = folder.glob("data/lake/loan_positions/*/*.parquet")
    content = bytearray(positions.read_bytes())
    content[100] ^= 1
    positions.write_bytes(content)
    assert check()[0] == 1
    assert (folder / "definitions.md").read_text().startswith("# What every number means")


def test_a_certificate_is_one_page(home, tmp_path):
    written = lending("certificate", "--date", str(LAST), "--to", str(tmp_path / "new"))
    assert written.returncode == 0, written.stderr
    pages = PdfReader(tmp_path / "new" / f"certificate_{LAST}_31.pdf").pages
    assert len(pages) == 1
    assert "Unexplained" in pages[0].extract_text()
    said = json.loads((tmp_path / "new" / f"certificate_{LAST}_31.json").read_bytes())
    assert json.loads(said["statement"])["business_date"] == str(LAST)
    assert "has no certificate" in lending("certificate", "--date", str(date(2024, 1, 1))).stderr
