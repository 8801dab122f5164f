"""The whole API against its own OpenAPI document, by schemathesis: no failure of the server, no undocumented answer."""

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from lending_pipelines.register import Accounts, ApiTokens, TokenScope

EXAMPLES = 20
"""Requests per operation that are made up from its schemas. The more, the longer."""


@pytest.fixture(scope="module")
def token(portal_home) -> str:
    """A token of an administrator."""
    with portal_home.register() as session:
        account = Accounts(session).get("admin")
        return ApiTokens(session).create(account.account_id, "schemathesis", TokenScope(), 1)[1]


@pytest.fixture(scope="module")
def document(app: FastAPI, token: str):
    """The API's document, and the app without its end: schemathesis starts and ends an app for each request."""

    async def running(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for answer in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{answer}.complete"})

    config = schemathesis.Config.from_dict({"auth": {"openapi": {"token": {"bearer": token}}}})
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", running, config=config)


def test_every_answer_is_documented_and_none_is_a_failure(document, app):
    faults, answered = [], {}
    operations = [found.ok() for found in document.get_all_operations()]
    for operation in operations:

        @given(
            case=operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
        )
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            # The same requests in each run: a failure belongs to the change that made it.
            derandomize=True,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        def ask(case):
            # Limits count per process, and are tested elsewhere.
            app.state.portal.limits.reset()
            # A cursor, an id or a password that only looks right is refused, as documented.
            excluded = [positive_data_acceptance]
            if not case.operation.body:
                # In a query, a list of one number is sent as the number, which is valid.
                excluded.append(negative_data_rejection)
            answer = case.call_and_validate(excluded_checks=excluded)
            answered.setdefault(case.operation.label, set()).add(answer.status_code)

        try:
            ask()
        except (Exception, BaseExceptionGroup) as error:
            faults.append(f"{operation.label}: {_words(error)}")
    assert faults == []
    assert len(operations) > 20
    # The requests reach what they are for: every list and table had rows to give.
    reads = [each for each in operations if each.method == "get" and "{" not in each.path]
    assert [each.label for each in reads if 200 not in answered[each.label]] == []


def _words(error: BaseException) -> str:
    """What schemathesis found: the failures of a group, or the error."""
    inner = getattr(error, "exceptions", ())
    return "; ".join(_words(each) for each in inner) if inner else f"{type(error).__name__}: {error}"
