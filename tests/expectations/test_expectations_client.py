"""The validating process: what it answers, and how it ends."""

import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from lending_pipelines.expectations import client, fast_gx
from lending_pipelines.expectations.messages import Expectation, Suite

ROWS = pa.table({"id": ["a", "b", "b"], "amount": [1.0, None, -2.0]})
EXPECTED = (
    Expectation("ExpectColumnValuesToNotBeNull", {"column": "amount"}),
    Expectation("ExpectColumnValuesToBeBetween", {"column": "amount", "min_value": 0}, "warning"),
    Expectation("ExpectColumnValuesToBeUnique", {"column": "id"}),
    Expectation("ExpectColumnValuesToBeInSet", {"column": "id", "value_set": ["a", "b"]}),
)


def suite(*expectations, table="fees"):
    return Suite(table, expectations, ("id",), ROWS)


def test_failures_are_named_by_their_position():
    verdict = client.validate_alone(suite(*EXPECTED)).result()
    assert verdict.evaluated == 4
    observed = {failure.position: failure.observed for failure in verdict.failures}
    assert sorted(observed) == [0, 1, 2]
    assert observed[1] == (-2.0,)
    assert observed[2] == ("b", "b")


def test_the_installed_release_is_the_one_whose_functions_are_replaced():
    """After an upgrade, compare the functions in fast_gx.py with those of the new release, and set RELEASE."""
    assert fast_gx.is_known()


def test_the_site_holds_the_pages_of_its_run_alone():
    with client.expectations() as opened:
        opened.validate(suite(*EXPECTED)).result()
        earlier = opened.site()
    with client.expectations() as opened:
        pages = [opened.validate(suite(*EXPECTED, table=table)).result().page for table in ("fees", "loans")]
        site = Path(opened.site())
        assert str(site) != earlier
        assert sorted(str(page.relative_to(site)) for page in site.glob("validations/**/*.html")) == sorted(pages)
        index = (site / "index.html").read_text()
        assert all(page in index for page in pages)
        assert "expect values in column" not in index
        page = (site / pages[0]).read_text()
        assert "amount" in page


def test_suites_that_are_begun_together_each_get_their_own_verdict():
    with client.expectations() as opened:
        begun = [opened.validate(suite(*EXPECTED)), opened.validate(suite(EXPECTED[3]))]
        assert [len(each.result().failures) for each in reversed(begun)] == [0, 3]


def test_an_expectation_that_cannot_be_evaluated_is_an_error_and_the_next_is_answered():
    with client.expectations() as opened:
        with pytest.raises(client.ValidationError, match="no_such_column"):
            opened.validate(suite(Expectation("ExpectColumnValuesToNotBeNull", {"column": "no_such_column"}))).result()
        assert opened.validate(suite(EXPECTED[3])).result().failures == ()


def test_a_process_that_died_is_an_error_and_the_next_run_has_a_new_one():
    with client.expectations() as opened:
        opened.validate(suite(EXPECTED[3])).result()
        client.start().kill()
        with pytest.raises(client.ValidationError, match="run the checks again"):
            opened.validate(suite(EXPECTED[3])).result()
    assert client.validate_alone(suite(EXPECTED[3])).result().failures == ()


def test_the_process_ends_when_its_parent_is_killed():
    script = (
        "import time; from lending_pipelines.expectations import client; "
        "print(client.start().pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    for _ in range(300):
        if not _running(worker):
            return
        time.sleep(0.2)
    pytest.fail(f"process {worker} still runs")


def _running(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
