"""What a server prepares at its start, before the first request: the lake's copies, the chart library, and the SQL of
queries that take long to compile.
"""

import logging
import threading

from lending_pipelines.portal.lake.scoped_lake import NotMade, ScopedLake
from lending_pipelines.portal.lake.table_rules import Shown
from lending_pipelines.portal.portal import Portal
from lending_pipelines.portal.queries import portfolios as queries
from lending_pipelines.portal.routes.portfolios import LEVELS, MONTHS
from lending_pipelines.portal.scope import Scope
from lending_pipelines.portal.web.static_files import CHARTS, static_files

_LOGGER = logging.getLogger(__name__)


def start(portal: Portal) -> threading.Thread:
    """Prepare the portal in a thread. What fails is made by the first request that needs it."""
    thread = threading.Thread(target=_warm, args=(portal,), name="warm", daemon=True)
    thread.start()
    return thread


def _warm(portal: Portal) -> None:
    for make in (_lake, _chart_library):
        try:
            make(portal)
        except Exception:
            _LOGGER.info("not warmed: %s", make.__name__, exc_info=True)


def _lake(portal: Portal) -> None:
    """Copy the lake's tables, and compile the queries of losses by age."""
    with portal.snapshots.current():
        pass
    # The first snapshot leaves large tables as they are; this one copies them.
    portal.snapshots.follow()
    with portal.snapshots.current() as snapshot:
        shown = Shown(staff=True, borrowers=False)
        lake = ScopedLake(portal.snapshots, snapshot, portal.results, (Scope(),), shown)
        for level in ("all", *LEVELS) if lake.last_day else ():
            scope_id = {} if level == "all" else {"scope_id": ""}
            try:
                lake.rows(queries.losses_by_age, level, MONTHS, portal.conventions, day=lake.last_day, **scope_id)
            except NotMade:
                return


def _chart_library(portal: Portal) -> None:
    _ = static_files()[CHARTS].compressed
