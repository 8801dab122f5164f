"""The web server's own parts: whose home it shows, the files of the exports, and the order of a report's form."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.message import Message

import dagster as dg
import dagster_webserver.app
import pytest
import uvicorn
import yaml
from dagster._cli import dev
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql.schema.pipelines import pipeline

from lending_pipelines.webserver.launchpad import run_config_yaml
from lending_pipelines.webserver.server import LendingWebserver

Get = Callable[[str], tuple[int, Message, str]]


@pytest.fixture
def get(empty_home, monkeypatch) -> Iterator[Get]:
    """Asks the web server of the home of Harbour & Sons for a page: its status, headers and text."""
    monkeypatch.setenv("LENDING_NAME", "Harbour & Sons")
    folder = empty_home.folder / "exports" / "data_docs"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<p>docs</p>")
    (folder.parent / "loan tape.xlsx").write_bytes(b"PK")
    (empty_home.folder / "register.db").write_text("secret")

    def ask(path: str) -> tuple[int, Message, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    with (
        dg.instance_for_test() as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        port = listener.getsockname()[1]
        app = LendingWebserver(context).create_asgi_app()
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        yield ask
        server.should_exit = True
        thread.join(timeout=20)


@pytest.mark.parametrize("page", ["/", "/runs", "/assets/reports/trial_balance"])
def test_every_page_says_whose_home_it_shows(get, empty_home, page):
    _, headers, text = get(page)
    assert f'<div id="lending-home">Harbour &amp; Sons<span>{empty_home.folder}</span></div>' in text
    # Dagster's own headers and page are kept.
    assert "script-src 'nonce-" in headers["content-security-policy"]
    assert '<div id="root">' in text


def test_files_of_the_exports_and_nothing_else_are_sent(get):
    assert get("/exports/loan%20tape.xlsx")[2] == "PK"
    for outside in ("/exports/../register.db", "/exports/%2e%2e/register.db", "/exports/..%2fregister.db"):
        assert "secret" not in get(outside)[2]
    assert get("/exports/absent.xlsx")[0] == 404


def test_pages_of_data_docs_cannot_act_as_the_ui(get):
    _, headers, text = get("/exports/data_docs/index.html")
    assert text == "<p>docs</p>"
    assert headers["content-security-policy"].startswith("sandbox ")
    assert "allow-same-origin" not in headers["content-security-policy"]


def test_a_report_s_form_begins_with_the_date_and_ends_with_what_is_rarely_changed():
    form = dict.fromkeys(("as_of", "by", "branch", "known_at", "output_format", "portfolio", "report_id", "new"), "x")
    text = run_config_yaml({"ops": {"reports__portfolio_summary": {"config": form}}, "resources": {}})
    shown = yaml.safe_load(text)
    assert list(shown) == ["ops"]
    assert list(shown["ops"]["reports__portfolio_summary"]["config"]) == [
        "as_of",
        "portfolio",
        "branch",
        "by",
        "output_format",
        "known_at",
        "report_id",
        "new",
    ]


def test_run_config_of_other_jobs_and_of_reports_that_are_gone_is_shown_in_full():
    other = {"ops": {"sell": {"config": {"price": "1", "date": "2"}}}, "resources": {"lake": {"config": {"url": "x"}}}}
    assert yaml.safe_load(run_config_yaml(other)) == other
    gone = {"ops": {"reports__gone": {"config": {"b": 1, "a": 2}}}}
    assert yaml.safe_load(run_config_yaml(gone)) == gone


def test_what_is_replaced_in_dagster_is_there():
    """A release of Dagster that names it otherwise must not go unnoticed."""
    assert callable(pipeline.dump_run_config_yaml)
    assert "dagster_webserver" in dev.dev_command_impl.__code__.co_consts
    assert issubclass(LendingWebserver, dagster_webserver.app.DagsterWebserver)
