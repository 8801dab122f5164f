"""How a process of this package ends."""

import subprocess
import sys

HOLDS_A_CYCLE = """
import ibis
from lending_pipelines.processes import collect_rarely

class Cycle:
    def __init__(self, held):
        self.held, self.own = held, self

    def __del__(self):
        print("collected")

collect_rarely()
Cycle(ibis.duckdb.connect().create_table("loans", schema={"loan_id": "string"}))
"""


def test_a_process_ends_without_collecting_its_objects_or_reporting_them():
    ended = subprocess.run([sys.executable, "-c", HOLDS_A_CYCLE], capture_output=True, text=True, timeout=100)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
