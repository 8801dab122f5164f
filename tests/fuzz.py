"""Odd inputs for everything that reads what people write: settings, files, forms, and the arguments of every command.

`python tests/fuzz.py 100000` tries so many. tests/test_fuzz.py tries some in each run of the tests.
"""

import json
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import date
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

os.environ.setdefault("LENDING_HOME", tempfile.mkdtemp(prefix="lending-fuzz-"))
os.environ.setdefault("DAGSTER_HOME", f"{os.environ['LENDING_HOME']}/dagster")

from lending_pipelines.errors import CONTROL, LONGEST_QUOTED, LendingError

TOML_FAULTS = (
    b"",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"name = 1\nname = 2\n",
    b"a = " + b"[" * 3000,
    b"a = " + b"9" * 5000,
    b"a = 1e999999999\n",
    b"a = nan\nb = -inf\n",
    b"\x00\x01",
    b"[" + b"a" * 5000 + b"]\n",
    b"a = 0001-01-01\nb = 9999-12-31\n",
    b"[[rules]]\n[[report]]\n[[rule]]\n",
    b'a = "' + b"x" * 100_000 + b'"\n',
)
WORDS = (
    "", " ", "0", "-1", "1", "12", "1.5", "-0.0", "nan", "inf", "-inf", "1e309", "٣", "²", "10" * 200, "9" * 5000,
    "0001-01-01", "1900-01-01", "2025-01-31", "2025-02-30", "9999-12-31", "10000-01-01", "-2025-01-01", "٢٠٢٥-٠١-٣١",
    "2025-01-31T25:00", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "2025Q5", "0000", "ALL", "latest", "unset",
    "true", "null", "\x00", "a\x00b", "\x1b[2J", "\ud800", "\u202e", "x" * 300, "x" * 100_000, "ß" * 5000, "../..",
    "/", ".", "/dev/null", "/proc/self/mem", "~", "${HOME}", "${NO_SUCH_NAME}", "$", "%", "%00", "a=b", "=", "a;b",
    "'; DROP TABLE loans; --", "{}", "[]", "{" * 5000, '{"all": [' * 2000, "sqlite:///", "postgresql://h:99999999/d",
    "postgresql://u:p@ss#w/d@h/d", "http://[::1", "s3://", "sftp://u:pw@h:-1/x", "smtp://h:port", "simplecache::file://",
    "* * * * *", "0 0 31 2 *", "61 * * * *", "@reboot", "Mars/Base", "-", "--", "--help", "a" * 200 + "@example.com",
    "a@b", "<script>alert(1)</script>", "💣" * 60,
)  # fmt: skip

texts = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.characters(), max_size=30),
    st.text(st.characters(categories=("Cs", "Cc", "Nd", "Zs")), max_size=10),
)
numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63), 10**30, 10**400, 100_000_000]),
    st.floats(),
    st.booleans(),
)
days = st.one_of(st.dates(), st.sampled_from([date.min, date.max, date(2025, 1, 31)]))
values = st.recursive(
    texts | numbers | days | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


def refused(act: Callable[[], object]) -> None:
    """Do it. Whatever it raises is a LendingError in plain characters that quotes at most 200 of a value."""
    try:
        act()
    except LendingError as error:
        text = str(error)
        text.encode()
        assert max(map(len, text.split()), default=0) <= LONGEST_QUOTED + 20, text
        assert not CONTROL.search(text), text


def _toml_value(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list):
        return "[" + ", ".join(filter(None, map(_toml_value, value))) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml_value(each) or 0}" for key, each in value.items()) + "}"
    return None


@st.composite
def toml(draw: st.DrawFn, names: tuple[str, ...], header: str = "", always: str = "") -> bytes:
    """The bytes of a file that could be TOML, mostly with names that the file has."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(TOML_FAULTS) | st.binary(max_size=50))
    chosen = draw(st.lists(st.sampled_from(names) | texts.filter(bool), max_size=4, unique=True))
    lines = [f"{name if name in names else json.dumps(name)} = {_toml_value(draw(values)) or 1}" for name in chosen]
    return "\n".join([header, always, *lines]).encode("utf-8", "surrogatepass")


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="lending-fuzz-files-"))


def _file(content: bytes, name: str = "given.toml") -> Path:
    path = _folder() / name
    path.write_bytes(content)
    return path


@cache
def _register() -> Any:
    from lending_pipelines.register import Portfolios, Register

    register = Register(f"sqlite:///{_folder() / 'register.db'}")
    register.upgrade()
    with register.session() as session:
        Portfolios(session).create("Pool", date(2025, 1, 1))
    return register


class _NotKept(LendingError):
    """Undoes a transaction."""


@contextmanager
def _session() -> Iterator[Any]:
    """A session whose changes are undone."""
    with suppress(_NotKept), _register().session() as session:
        yield session
        session.flush()
        raise _NotKept


def the_settings(data: st.DataObject) -> None:
    """LENDING_* variables."""
    from lending_pipelines.settings import VARIABLES, Settings

    variables = data.draw(st.dictionaries(st.sampled_from(VARIABLES), texts, max_size=3))
    refused(lambda: repr(Settings.from_environment({"LENDING_SETTINGS": "/dev/null", **variables})))


def the_settings_file(data: st.DataObject) -> None:
    """lending.toml."""
    from lending_pipelines.settings import FILE_NAMES, Settings

    file = _file(data.draw(toml(tuple(FILE_NAMES))))
    refused(lambda: Settings.from_environment({"LENDING_SETTINGS": str(file)}))


def the_toml_files(data: st.DataObject) -> None:
    """Conventions, retention, schedules of reports, alert rules and facility rules."""
    from lending_pipelines.alerts.rule_files import load_rules
    from lending_pipelines.alerts.rules import AlertRule
    from lending_pipelines.conventions import Conventions
    from lending_pipelines.metrics.facility import Eligibility, FacilityRules
    from lending_pipelines.portal.auth.oidc import RoleRules
    from lending_pipelines.reports import facility_rules
    from lending_pipelines.reports.scheduled import ScheduledReport, scheduled_reports
    from lending_pipelines.retention import Retention
    from lending_pipelines.sources.mapped.mapping import read_mapping
    from lending_pipelines.tables import SERVICING

    def names(model: Any) -> tuple[str, ...]:
        return tuple(model.model_fields)

    rule = 'name = "R"\nmetric = "portfolio_snapshots.par_30"\noperator = ">"'
    mapped = 'from = "books"\n[[tables.loans]]\nfrom = "loans.csv"\n[tables.loans.columns]'
    kinds: list[tuple[Callable[[Path], object], st.SearchStrategy[bytes]]] = [
        (Conventions.load, toml(names(Conventions))),
        (Retention.load, toml(names(Retention))),
        (scheduled_reports, toml(names(ScheduledReport), "[[report]]")),
        (load_rules, toml(names(AlertRule), "[[rules]]")),
        (load_rules, toml(tuple(set(names(AlertRule)) - {"name", "metric", "operator"}), "[[rules]]", rule)),
        (lambda file: facility_rules.load(str(file)), toml(names(FacilityRules))),
        (lambda file: facility_rules.load(str(file)), toml(names(Eligibility), "[eligibility]")),
        (read_mapping, toml(("from", "tables"))),
        (read_mapping, toml(tuple(SERVICING["loans"].names), mapped)),
        (lambda file: RoleRules.load(str(file)), toml(("value", "role", "scope"), "[[rule]]")),
    ]
    load, contents = data.draw(st.sampled_from(kinds))
    file = _file(data.draw(contents))
    refused(lambda: load(file))


def the_tape_configurations(data: st.DataObject) -> None:
    """The TOML file of a tape, saved in a register."""
    import inspect

    from lending_pipelines.register import TapeConfigs
    from lending_pipelines.tapes import load_tape_config

    named = set(inspect.signature(TapeConfigs.create).parameters) - {"self", "portfolio_id", "name"}
    file = _file(data.draw(toml((*sorted(named), "investor"), always='name = "Daily"\nportfolio = "Pool"')))

    def save() -> None:
        with _session() as session:
            load_tape_config(session, file)

    refused(save)


def the_tape_form(data: st.DataObject) -> None:
    """The portal's form of a tape."""
    from lending_pipelines.portal.views.tape_views import settings_from
    from lending_pipelines.tapes import save_tape_config

    fields = ("tape_format", "tape_schedule", "template", "holiday_calendar", "delivery_url", "recipient_email",
              "required_fields", "template_values", "deliver_from", "late_after_hours", "investor")  # fmt: skip
    sent = {"deliver_from": "2025-01-31", "late_after_hours": "12"}
    sent |= data.draw(st.dictionaries(st.sampled_from(fields), texts, max_size=4))
    _, given_settings, faults = settings_from(sent)
    if faults:
        return

    def save() -> None:
        from lending_pipelines.register import Portfolios

        with _session() as session:
            save_tape_config(session, "Daily", Portfolios(session).by_name("Pool").portfolio_id, **given_settings)

    refused(save)


def the_rules_and_lists(data: st.DataObject) -> None:
    """JSON rules of portfolios and facilities, and lists of loans."""
    from lending_pipelines.criteria import FIELDS, read_criteria
    from lending_pipelines.register import read_loan_list
    from lending_pipelines.reports import facility_rules

    condition = st.fixed_dictionaries(
        {}, optional={"field": st.sampled_from(sorted(FIELDS)) | texts, "op": texts | st.just("eq"), "value": values}
    )
    rule = st.recursive(condition, lambda inner: st.dictionaries(st.sampled_from(["all", "any"]), st.lists(inner)))
    text = data.draw(rule.map(lambda given: json.dumps(given, default=str)) | texts)
    match data.draw(st.integers(0, 2)):
        case 0:
            refused(lambda: read_criteria(text))
        case 1:
            refused(lambda: facility_rules.load(text))
        case _:
            header = data.draw(st.sampled_from(["loan_id\n", "loan_id,price\n", "loan_id;price\n", "", "sep=\t\n"]))
            cells = data.draw(st.lists(texts, max_size=4))
            listed = _file((header + "\n".join(cells)).encode("utf-8", "surrogatepass"), "loans.csv")
            refused(lambda: read_loan_list(listed))


def the_report_parameters(data: st.DataObject) -> None:
    """The form of every report."""
    from lending_pipelines.jobs import report_run_config
    from lending_pipelines.reports.registry import get, report_types

    report_type = data.draw(st.sampled_from(report_types()))
    fields = tuple(get(report_type).parameters.model_fields)
    sent = data.draw(st.dictionaries(st.sampled_from(fields) | texts, texts | numbers | values, max_size=3))
    refused(lambda: report_run_config(report_type, sent, output_format="csv", requested_by="fuzz"))


@cache
def _commands() -> tuple[tuple[tuple[str, ...], Any], ...]:
    """Every command with its words, but for those that start servers, make a sample or would wait for a person."""
    import typer

    from lending_pipelines.cli import app

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        if getattr(command, "commands", None):
            for name, inner in command.commands.items():
                yield from walk(inner, (*words, name))
        else:
            yield words, command

    left_out = {("ui",), ("portal",), ("demo",), ("sample",), ("people", "token", "rotate-key")}
    root = typer.main.get_command(app)
    return tuple((words, command) for words, command in walk(root, ()) if words not in left_out)


def the_commands(data: st.DataObject) -> None:
    """The arguments of every command. Runs of jobs are refused: they are not about arguments."""
    import typer

    from lending_pipelines import runs
    from lending_pipelines.cli import app

    words, command = data.draw(st.sampled_from(_commands()))
    arguments = list(words)
    for parameter in command.params:
        wanted = data.draw(st.integers(0, 3)) > 0 or parameter.required
        if parameter.name == "help" or not wanted:
            continue
        is_flag = getattr(parameter, "is_flag", False)
        value = data.draw(texts | st.sampled_from(["2025-01-31", str(_folder() / "given.toml"), "Pool", "10"]))
        option = next((each for each in parameter.opts if each.startswith("--")), None)
        arguments += [option] if is_flag else [option, value] if option else [value]
    arguments += [] if data.draw(st.integers(0, 9)) else [data.draw(texts)]

    def no_run(*_: object, **__: object) -> None:
        raise LendingError("no run in a fuzzed command")

    def run() -> None:
        root = typer.main.get_command(app)
        with (
            mock.patch.object(runs, "run_job", no_run),
            mock.patch("sys.stdin", StringIO("")),
            redirect_stdout(StringIO()),
            redirect_stderr(StringIO()),
        ):
            root.main(arguments, prog_name="lending", standalone_mode=True)

    with suppress(SystemExit):
        refused(run)


KINDS = (
    the_settings,
    the_settings_file,
    the_toml_files,
    the_tape_configurations,
    the_tape_form,
    the_rules_and_lists,
    the_report_parameters,
    the_commands,
)


def fuzz(kind: Callable[[st.DataObject], None], examples: int) -> None:
    """Try so many inputs of a kind."""

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        kind(data)

    attempt()


def _main(total: int) -> int:
    warnings.filterwarnings("ignore", category=HypothesisWarning)
    failed = 0
    for kind in KINDS:
        try:
            fuzz(kind, total // len(KINDS))
        except Exception:
            traceback.print_exc()
            failed += 1
        print(f"{kind.__name__}: {total // len(KINDS):,} inputs", flush=True)
    print(f"{failed} of {len(KINDS)} kinds failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1])))
