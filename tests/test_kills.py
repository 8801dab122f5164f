"""A close and deliveries killed at random moments. tests/kills.py does it, in a process that has opened nothing yet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).with_name("kills.py")


@pytest.mark.parametrize(("kind", "number"), [("closes", 1), ("deliveries", 2)])
def test_nothing_is_torn_lost_or_doubled_and_nothing_is_left_over(closed_home, tmp_path, kind, number):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", KILLS, kind, str(number), closed_home.folder],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert done.returncode == 0, done.stderr[-5000:]
    assert f"{kind} {number}: sound" in done.stdout
