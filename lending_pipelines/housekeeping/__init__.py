"""Housekeeping: data that the retention policy no longer keeps, found first and removed on request.

A chore says what it would remove and how much, and can remove it: a dry run prints the same chores that an applied run
does. There is one module per place: the lake, the exports, the register, and leftovers of killed runs. references.py
collects what must never be removed. run_history.py, outside this package, prunes Dagster's own records.
"""

from lending_pipelines.housekeeping.chore import Chore, ChoreFailed, do_all
from lending_pipelines.housekeeping.chores import Places, all_chores
from lending_pipelines.housekeeping.printed import as_markdown, as_text

__all__ = ["Chore", "ChoreFailed", "Places", "all_chores", "as_markdown", "as_text", "do_all"]
