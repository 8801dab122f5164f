"""Housekeeping: data that the retention policy no longer keeps, found first and removed on request.

A chore names what it would remove and how much, and removes it when asked: a dry run prints the chores that an applied
run does. One module per place: the lake, the exports, the register, and leftovers of killed runs. What must never be
removed is collected in references.py. Dagster's own records are pruned by run_history.py, outside this package.
"""

from lending_pipelines.housekeeping.chore import Chore, ChoreFailed, do_all
from lending_pipelines.housekeeping.chores import Places, all_chores
from lending_pipelines.housekeeping.printed import as_markdown, as_text

__all__ = ["Chore", "ChoreFailed", "Places", "all_chores", "as_markdown", "as_text", "do_all"]
