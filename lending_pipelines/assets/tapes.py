"""loan_tapes: the tapes of active configurations that are due on each day.

A tape that cannot be made does not stop other tapes or the close: its fault is recorded, its owner is notified, and
later runs retry. Writing a tape is in tape_files.py.
"""

from collections import defaultdict
from datetime import date, timedelta

import dagster as dg
from pydantic import Field

from lending_pipelines.assets.describe import OWNERS
from lending_pipelines.assets.reports import require_checks
from lending_pipelines.assets.tape_days import OutdatedDay, require_current
from lending_pipelines.assets.tape_files import EmptyTape, make_tape
from lending_pipelines.errors import LendingError
from lending_pipelines.partitions import BUSINESS_DATES, first_and_last
from lending_pipelines.register import Register, TapeConfigs, TapeFaults
from lending_pipelines.register.models import LoanTapeConfig
from lending_pipelines.register.tape_faults import listed
from lending_pipelines.resources import (
    ConventionsResource,
    ExportsResource,
    LakeReportSource,
    LakeResource,
    RegisterResource,
    message_first,
)
from lending_pipelines.tapes import TABLES_READ, TapeManifest
from lending_pipelines.tapes.parts import POSITIONS
from lending_pipelines.tapes.schedule import due_days

Due = tuple[date, LoanTapeConfig]
"""A tape to make: its business date and configuration."""

TAPES_MADE = "tapes_made"
"""The check that fails when a due tape could not be made."""


class TapesConfig(dg.Config):
    """The tapes to make."""

    tapes: list[str] = Field([], description="Names of tape configurations to make. Empty: those due on each day.")


@dg.asset(
    name="loan_tapes",
    description="Loan tapes with their manifests, for every active configuration that is due on the day.",
    deps=list(TABLES_READ),
    partitions_def=BUSINESS_DATES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="tapes",
    owners=[*OWNERS, "team:capital-markets"],
    kinds={"csv"},
    check_specs=[
        dg.AssetCheckSpec(
            TAPES_MADE,
            asset="loan_tapes",
            description="Every due tape was made. Later runs retry a tape that was not.",
        )
    ],
)
@message_first
def loan_tapes(
    context: dg.AssetExecutionContext,
    config: TapesConfig,
    lake: LakeResource,
    register: RegisterResource,
    exports: ExportsResource,
    conventions: ConventionsResource,
) -> dg.MaterializeResult:
    """Make the tapes due on the run's days, and retry the tapes that earlier runs could not make."""
    source = LakeReportSource(lake.lake, conventions.get())
    days = first_and_last(context.partition_key_range)
    run = _Run(context, source, exports, register.register)
    due = run.due(config.tapes, *days)
    if due:
        require_checks(source, (POSITIONS,), sorted({day for day, _ in due}), "the loan tape")
    for day, tape in due:
        run.make(day, tape)
    if not config.tapes:
        run.try_again(days)
    faults = run.record()
    return dg.MaterializeResult(
        metadata={
            "tapes": len(run.manifests),
            "dagster/row_count": sum(manifest.row_count for manifest in run.manifests),
            "files": dg.MetadataValue.json(
                {each.file_name: {"sha256": each.sha256, "rows": each.row_count} for each in run.manifests}
            ),
        },
        check_results=[_check_result(faults)],
    )


class _Run:
    """The tapes of one run: those made, and the faults of the others."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        source: LakeReportSource,
        exports: ExportsResource,
        register: Register,
    ) -> None:
        self.manifests: list[TapeManifest] = []
        self._context = context
        self._source = source
        self._exports = exports
        self._register = register
        self._configs: dict[str, LoanTapeConfig] = {}
        self._faults: dict[str, dict[date, str]] = defaultdict(dict)
        self._waiting: set[tuple[str, date]] = set()
        # A run that makes the positions uses current data, so the days need not be checked.
        self._is_close = dg.AssetKey(POSITIONS) in context.job_def.asset_layer.selected_asset_keys

    def due(self, wanted: list[str], first: date, last: date) -> list[Due]:
        """The tapes to make, by day. A configuration whose due dates cannot be computed has a fault on each day."""
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        with self._register.session() as session:
            configs = TapeConfigs(session)
            chosen = [configs.in_use(name) for name in wanted] or configs.active()
        if wanted:
            return [(day, config) for day in days for config in chosen]
        due: list[Due] = []
        for config in chosen:
            try:
                due += [(day, config) for day in due_days(config, first, last)]
            except LendingError as error:
                for day in days:
                    self._fail(day, config, error)
        return sorted(due, key=lambda each: each[0])

    def make(self, day: date, config: LoanTapeConfig) -> None:
        """Make one tape. A failure is recorded as its fault and does not affect other tapes."""
        try:
            if not self._is_close:
                require_current(config, day, self._source, self._register)
            self.manifests.append(make_tape(config, day, self._source, self._exports, self._register))
        except Exception as error:
            self._context.log.error(f"tape {config.name!r} of {day} was not made: {error}", exc_info=error)
            self._fail(day, config, error)

    def try_again(self, days: tuple[date, date]) -> None:
        """Make the tapes of other days that an earlier run could not make, if they are still due."""
        with self._register.session() as session:
            active = {config.config_id: config for config in TapeConfigs(session).active()}
            faults = TapeFaults(session).all()
        for fault in faults:
            # Tapes that wait for their day to be closed again are made by the run that closes it.
            if fault.waits_for_close or days[0] <= fault.business_date <= days[1]:
                continue
            config = active.get(fault.config_id)
            if config is None or not self._is_due(config, fault.business_date):
                with self._register.session() as session:
                    TapeFaults(session).clear(fault.config_id, fault.business_date)
            else:
                self._make_again(fault.business_date, config)

    def record(self) -> list[str]:
        """Record the faults in the register and notify the owners. Returns one line for each tape with faults."""
        lines = []
        for config_id, reasons in self._faults.items():
            config = self._configs[config_id]
            with self._register.session() as session:
                TapeFaults(session).record(config, reasons, {day for tape, day in self._waiting if tape == config_id})
            lines.append(listed(reasons))
        return lines

    def _make_again(self, day: date, config: LoanTapeConfig) -> None:
        try:
            require_checks(self._source, (POSITIONS,), [day], f"tape {config.name!r}")
            require_current(config, day, self._source, self._register)
        except LendingError as error:
            self._fail(day, config, error)
        else:
            self.make(day, config)

    def _is_due(self, config: LoanTapeConfig, day: date) -> bool:
        try:
            return bool(due_days(config, day, day))
        except LendingError as error:
            self._fail(day, config, error)
            return True

    def _fail(self, day: date, config: LoanTapeConfig, error: Exception) -> None:
        self._configs[config.config_id] = config
        self._faults[config.config_id][day] = str(error) or type(error).__name__
        if isinstance(error, OutdatedDay | EmptyTape):
            self._waiting.add((config.config_id, day))


def _check_result(faults: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=TAPES_MADE,
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"not made: {'; '.join(faults)}" if faults else "every due tape was made",
        metadata={"faults": dg.MetadataValue.json(faults)},
    )
