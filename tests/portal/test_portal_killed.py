"""The real server is killed in writes, before their commit and after it: repeated, each is done once."""

import multiprocessing
import os
import signal
import time
from contextlib import closing, contextmanager, suppress

import httpx2
import pytest
from dying_server import serve_until
from fastapi.testclient import TestClient
from people import add_people
from servers import free_port

from lending_pipelines.portal.app import create_app
from lending_pipelines.register import Accounts, ApiTokens, TokenScope
from lending_pipelines.register.account_models import ApiToken, AuditEntry
from lending_pipelines.register.alert_models import Alert, AlertEvent
from lending_pipelines.register.models import Report
from lending_pipelines.settings import Settings

API = "/api/v1"

# Each server is a process of its own, forked from one that has imported what a server needs, which takes seconds.
SERVERS = multiprocessing.get_context("forkserver")
SERVERS.set_forkserver_preload(["lending_pipelines.portal.server"])


@contextmanager
def served(home, port: int, dies: str):
    """A server of the home, which kills itself at a point of its first request."""
    server = SERVERS.Process(target=serve_until, args=(home.environment, port, dies))
    server.start()
    try:
        for _ in range(600):
            with suppress(httpx2.TransportError):
                httpx2.get(f"http://127.0.0.1:{port}/health", timeout=60)
                break
            assert server.is_alive()
            time.sleep(0.1)
        os.kill(server.pid, signal.SIGUSR1)
        yield server
    finally:
        server.kill()
        server.join()


@pytest.fixture
def writer(home):
    """A token of an administrator of a home of the test's own, and an open alert in it."""
    add_people(home)
    with home.register() as session:
        account = Accounts(session).get("admin")
        _, value = ApiTokens(session).create(account.account_id, "writer", TokenScope(), 1)
        # Used a moment ago: reading with it writes nothing.
        alert_id = session.query(Alert).filter_by(state="open").order_by(Alert.alert_id).first().alert_id
    return value, alert_id


def test_a_server_that_is_killed_in_a_write_loses_and_doubles_nothing(home, writer):
    (value, alert_id), port = writer, free_port()
    address = f"http://127.0.0.1:{port}"
    writes = {
        "step": (f"{API}/alerts/{alert_id}/acknowledge", {"reason": "We call them."}),
        "report": (f"{API}/reports", {"report_type": "portfolio_summary", "output_format": "csv"}),
        "token": (f"{API}/tokens", {"name": "made while killed"}),
    }

    def send(client, name):
        path, content = writes[name]
        headers = {"authorization": f"Bearer {value}", "idempotency-key": f"key-of-{name}"}
        return client.post(path, json=content, headers=headers)

    points = {"step": "before the answer", "report": "before the commit", "token": "before the answer"}
    for name, point in points.items():
        with served(home, port, point) as server:
            with httpx2.Client(base_url=address, timeout=60) as client, pytest.raises(httpx2.TransportError):
                send(client, name)
            server.join(30)
            assert server.exitcode == -signal.SIGKILL
        with home.register() as session:
            made = {
                "step": session.query(AlertEvent).filter_by(alert_id=alert_id, step="acknowledged").count(),
                "report": session.query(Report).filter_by(requested_by="admin").count(),
                "token": session.query(ApiToken).filter_by(name="made while killed").count(),
            }
        assert made[name] == (1 if point == "before the answer" else 0)
    # The next server, in this process.
    app = create_app(Settings.from_environment({"LENDING_HOME": str(home.folder)}))
    with closing(app.state.portal):
        client = TestClient(app)
        sent = {name: [send(client, name) for _ in range(2)] for name in writes}
    assert {answer.status_code for both in sent.values() for answer in both} == {200, 201, 202}, sent["step"][0].text
    answers = {name: [answer.json() for answer in both] for name, both in sent.items()}
    with home.register() as session:
        steps = session.query(AlertEvent).filter_by(alert_id=alert_id, step="acknowledged").count()
        reports = [report.report_id for report in session.query(Report).filter_by(requested_by="admin")]
        tokens = [token.token_id for token in session.query(ApiToken).filter_by(name="made while killed")]
        recorded = {entry.resource for entry in session.query(AuditEntry).filter_by(outcome="allowed")}
        state = session.get(Alert, alert_id).state
    assert (steps, state) == (1, "acknowledged")
    assert reports == list({answer["report_id"] for answer in answers["report"]})
    assert tokens == list({answer["token_id"] for answer in answers["token"]})
    assert len(reports) == len(tokens) == 1
    # What was done is recorded in the same transaction.
    assert {f"alert {alert_id}", f"report portfolio_summary {reports[0]}", f"token {tokens[0]} of admin"} <= recorded
