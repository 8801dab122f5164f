"""The resources: plain classes behind fields that are empty until a run starts."""

from pathlib import Path

import dagster as dg
import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.resources import ConventionsResource, ExportsResource, LakeResource, SourceResource
from lending_pipelines.sources import SourceError


def test_an_empty_field_is_taken_from_the_environment_when_it_is_used(tmp_path, monkeypatch):
    exports, conventions = ExportsResource(), ConventionsResource()
    assert conventions.get() == Conventions()
    (tmp_path / "conventions.toml").write_text("non_accrual_days = 60")

    monkeypatch.setenv("LENDING_EXPORTS", "s3://bucket/exports/")
    monkeypatch.setenv("LENDING_CONVENTIONS", str(tmp_path / "conventions.toml"))

    assert exports.place("reports/a.csv") == "s3://bucket/exports/reports/a.csv"
    assert conventions.get() == Conventions(non_accrual_days=60)


def test_a_field_that_is_given_wins_over_the_environment(tmp_path, monkeypatch):
    (tmp_path / "given.toml").write_text('par_operator = ">"')
    monkeypatch.setenv("LENDING_EXPORTS", "/elsewhere")
    monkeypatch.setenv("LENDING_CONVENTIONS", "/nowhere.toml")

    assert ExportsResource(url="/mine").place("a.csv") == "/mine/a.csv"
    assert ConventionsResource(file=str(tmp_path / "given.toml")).get().par_operator == ">"


def test_conventions_that_cannot_be_read_are_not_the_defaults(monkeypatch):
    monkeypatch.setenv("LENDING_CONVENTIONS", "/nowhere.toml")

    with pytest.raises(LendingError, match=r"conventions file /nowhere\.toml cannot be read"):
        ConventionsResource().get()


def test_an_unknown_adapter_is_refused_with_those_there_are(monkeypatch):
    monkeypatch.setenv("LENDING_SOURCE", "canonicall")

    with pytest.raises(SourceError, match="'canonicall': set LENDING_SOURCE to one of absee, canonical"):
        SourceResource().open()


def test_the_engine_is_closed_with_the_run(empty_home):
    spilled: list[Path] = []

    @dg.op
    def look(lake: LakeResource) -> None:
        spilled.append(Path(lake.lake.engine._spill.name))
        assert spilled[0].exists()
        assert not lake.lake.has("loans")

    @dg.job
    def looking():
        look()

    assert looking.execute_in_process(resources={"lake": LakeResource()}).success
    assert not spilled[0].exists()
