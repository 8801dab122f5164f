"""`lending close --manager` of somebody who has no loans on the day."""

from datetime import date

import ibis
import pytest

from lending_pipelines.cli.close import _tell_manager
from lending_pipelines.errors import LendingError


class MadeLake:
    """A lake in which S-1 has loans, and S-2, who left, has none."""

    def has(self, name):
        return name == "staff"

    def table(self, name, first=None, last=None):
        if name == "staff":
            return ibis.memtable({"staff_id": ["S-1", "S-2"]})
        return ibis.memtable({"manager_id": ["S-1"], "currency": ["EUR"], "total_loans": [3]})


def test_a_member_of_staff_without_loans_is_no_error(capsys):
    _tell_manager(MadeLake(), "S-2", date(2025, 3, 14))
    assert capsys.readouterr().out == "\nS-2 has no loans on 2025-03-14, and so no metrics.\n"


def test_an_unknown_manager_is_an_error():
    with pytest.raises(LendingError, match="no manager 'S-3' has loans on 2025-03-14; did you mean 'S-"):
        _tell_manager(MadeLake(), "S-3", date(2025, 3, 14))
