"""The sensor tape_deliveries as a test uses it: at a time of its own, its runs run at once, as the daemon would."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import dagster as dg
import pytest
from homes import ERRORS_ONLY

from lending_pipelines.definitions import definitions
from lending_pipelines.event_log import open_instance
from lending_pipelines.runs import instance_home
from lending_pipelines.sensors import tape_deliveries
from lending_pipelines.settings import Settings

CLOCKS = ("lending_pipelines.sensors.tape_deliveries", "lending_pipelines.register.tape_deliveries")


def opened() -> dg.DagsterInstance:
    """The home's Dagster instance, whose event log keeps its connections open."""
    return open_instance(instance_home(Settings.from_environment()))


class Daemon:
    """Evaluates the sensor. Nothing is remembered between two ticks but what the register and Dagster hold."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._instance: dg.DagsterInstance | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep Dagster's instance open between the ticks in the block, as the daemon does."""
        with opened() as instance:
            self._instance = instance
            try:
                yield
            finally:
                self._instance = None

    def at(self, text: str) -> "Daemon":
        """The daemon at a time in UTC, as 2025-04-01 02:00."""
        now = datetime.fromisoformat(text).replace(tzinfo=UTC)
        for module in CLOCKS:
            self._monkeypatch.setattr(import_module(module), "utc_now", lambda: now)
        return self

    def requests(self) -> list[dg.RunRequest]:
        """What the sensor asks for."""
        register = {"register": definitions.resources["register"]}
        with (
            self._opened() as instance,
            dg.build_sensor_context(
                instance, repository_def=definitions.get_repository_def(), resources=register
            ) as context,
        ):
            return tape_deliveries.evaluate_tick(context).run_requests or []

    def tick(self) -> list[bool]:
        """Evaluate the sensor and run what it asks for; which runs succeeded."""
        return [self.run(request) for request in self.requests()]

    def run(self, request: dg.RunRequest) -> bool:
        """Run what was asked for, once for each run key."""
        key = {"dagster/run_key": str(request.run_key)}
        with self._opened() as instance:
            assert not instance.get_runs(dg.RunsFilter(tags=key)), "asked for again"
            job = definitions.resolve_job_def(str(request.job_name or "deliver_tape"))
            return job.execute_in_process(
                {**ERRORS_ONLY, **request.run_config}, instance, tags={**request.tags, **key}, raise_on_error=False
            ).success

    def _opened(self) -> AbstractContextManager[dg.DagsterInstance]:
        return nullcontext(self._instance) if self._instance else opened()


def configured(home: Any, name: str, **settings: Any) -> None:
    """Change a tape's configuration."""
    from lending_pipelines.register import TapeConfigs

    with home.register() as session:
        config = TapeConfigs(session).by_name(name)
        for setting, value in settings.items():
            setattr(config, setting, value)


def deliveries(home: Any) -> list[Any]:
    """Every delivery, the earliest day first."""
    from lending_pipelines.register import TapeDeliveries

    with home.register() as session:
        return list(reversed(TapeDeliveries(session).recent(limit=1000)))


def told(home: Any, notification_type: str = "tape_delayed") -> list[tuple[str, str]]:
    """Subject and body of the notifications of a type, the earliest first."""
    from lending_pipelines.register import Notifications

    with home.register() as session:
        recent = reversed(Notifications(session).recent())
        return [(each.subject, each.body) for each in recent if each.notification_type == notification_type]
