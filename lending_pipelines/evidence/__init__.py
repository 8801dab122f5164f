"""Close certificates: what is certified about a close, the chain of statements, and its verification.

A certificate is a row of the lake's table close_certificates. inventory.py lists the files that are certified,
register_rows.py the rows of the register. statement.py defines the content of a close's certificate. chain.py links,
signs and stores statements. verify.py reads everything again. pack.py and page.py write files for an auditor. Nothing
here computes a number that the close reports.
"""

from lending_pipelines.evidence.chain import CERTIFICATES, Certificate, append, certificates
from lending_pipelines.evidence.inventory import EvidenceError, Places
from lending_pipelines.evidence.keys import KeyUnusable, SigningKey, make_key
from lending_pipelines.evidence.rewrites import upkeep_certified
from lending_pipelines.evidence.verify import Verdict, verify

__all__ = [
    "CERTIFICATES",
    "Certificate",
    "EvidenceError",
    "KeyUnusable",
    "Places",
    "SigningKey",
    "Verdict",
    "append",
    "certificates",
    "make_key",
    "upkeep_certified",
    "verify",
]
