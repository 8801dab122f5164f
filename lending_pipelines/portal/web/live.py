"""Parts of pages that are updated while something runs, as server-sent events.

    <div sse-connect="…/events" sse-close="done"><div sse-swap="status">…</div></div>

An answer stays open for a few seconds, then the browser connects again. The sign-in is checked again each time, and a
snapshot of the lake is released soon.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

OPEN_SECONDS, LOOK_EVERY, AGAIN_AFTER_MS = 10, 0.5, 500
"""The seconds that an answer stays open, the seconds between two looks, and the time until the browser reconnects."""

Look = Callable[[], tuple[str, bool]]
"""Returns the part as HTML, and whether it has ended."""


def live(look: Look) -> StreamingResponse:
    """The event `status` with the part at first and after each change; `done` when it has ended."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(look), media_type="text/event-stream", headers=headers)


async def _events(look: Look) -> AsyncIterator[str]:
    """The events of one answer, until it has been open for OPEN_SECONDS or the part has ended."""
    yield f"retry: {AGAIN_AFTER_MS}\n\n"
    shown, until = "", time.monotonic() + OPEN_SECONDS
    while time.monotonic() < until:
        # Run it outside the event loop, because it reads files and databases.
        html, ended = await run_in_threadpool(look)
        if html != shown:
            yield _event("status", html)
            shown = html
        if ended:
            yield _event("done", "")
            return
        await asyncio.sleep(LOOK_EVERY)


def _event(name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
