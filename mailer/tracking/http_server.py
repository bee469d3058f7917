"""The tracking endpoint as a process of its own: one event loop, no threads in the way (RFC 9112).

It serves nothing else, so it needs no server that can do more, which took half of the time of a request. Requests
that are there when the loop comes round are kept together: one write and one sync for all of them, then their
answers. The loop stands still meanwhile, and so would they. Only what has to wait for something else, a link that was
never seen or the name on a page, is decided by a thread.
"""

import asyncio
import resource
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from mailer.errors import SetupError
from mailer.log import get_logger
from mailer.tracking.endpoint import Decision, TrackingEndpoint, without_hit
from mailer.tracking.http_session import Session

log = get_logger("tracking")
IDLE_SECONDS = 75.0
"""Until a connection is closed that has sent no whole request."""
_LOOK_EVERY = 5.0
_SESSIONS = 8_192
_SPARE_FILES = 100
_BACKLOG = 1_024
_THREADS = 16
_WAITING = 1_024
_BROKEN = Decision("500 Internal Server Error", (("Content-Length", "0"),))
_BUSY = Decision("503 Service Unavailable", (("Retry-After", "5"), ("Content-Length", "0")))


class TrackingServer:
    """Connections, the hits to be kept together, and the endpoint that decides."""

    def __init__(self, endpoint: TrackingEndpoint, most: int) -> None:
        self._sessions: set[Session] = set()
        self._endpoint = endpoint
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._group: list[tuple[Session, Decision]] = []
        self._threads = ThreadPoolExecutor(_THREADS, "track")
        self._asking = 0

    def open_session(self) -> Session:
        """Return what reads from a new connection."""
        return Session(self._ask, self._sessions, self._most)

    def _ask(self, session: Session, environ: dict[str, str]) -> None:
        """Have a request answered, now or in a moment."""
        try:
            decision = self._endpoint.decide(environ, may_wait=False)
        except Exception as error:  # noqa: BLE001 - one request must not end the others
            decision = _broken(error)
        if decision is not None:
            self._take(session, decision)
        elif self._asking >= _WAITING:
            session.answer(_BUSY)
        else:
            self._asking += 1
            asked = self._threads.submit(self._endpoint.decide, environ)
            asked.add_done_callback(partial(self._hand_back, session))

    def _hand_back(self, session: Session, done: "Future[Decision | None]") -> None:
        """Return to the loop from a thread; when it has ended meanwhile, nobody waits any more."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take_late, session, done)

    def _take_late(self, session: Session, done: "Future[Decision | None]") -> None:
        self._asking -= 1
        error = done.exception()
        self._take(session, _broken(error) if error else done.result() or _BUSY)

    def _take(self, session: Session, decision: Decision) -> None:
        if decision.hit is None:
            session.answer(decision)
            return
        if not self._group:
            self._loop.call_soon(self._keep)
        self._group.append((session, decision))

    def _keep(self) -> None:
        """Keep all hits that have come, then answer."""
        group, self._group = self._group, []
        is_kept = self._endpoint.keep([decision.hit for _, decision in group if decision.hit is not None])
        for session, decision in group:
            session.answer(decision if is_kept else without_hit(decision))

    def close_idle(self, before: float) -> None:
        """Close connections that have sent no whole request since a time, and are owed no answer."""
        for session in list(self._sessions):
            if session.since < before and not session.is_waiting:
                session.drop()

    async def close(self) -> None:
        """Answer a last group, then close all connections and let go of the spool."""
        await asyncio.sleep(0)
        for session in list(self._sessions):
            session.close()
        await asyncio.sleep(0)
        self._endpoint.close()


def _broken(error: BaseException) -> Decision:
    log.error("request_failed", error=type(error).__name__)
    return _BROKEN


async def serve(
    endpoint: TrackingEndpoint, host: str, port: int, stop: asyncio.Event, ready: Callable[[int], None] | None = None
) -> None:
    """Answer until `stop`; what was read before is kept and answered.

    Raises:
        SetupError: the port cannot be had.
    """
    most = min(_SESSIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES)
    tracking, loop = TrackingServer(endpoint, most), asyncio.get_running_loop()
    try:
        server = await loop.create_server(tracking.open_session, host, port, backlog=_BACKLOG)
    except OSError as error:
        raise SetupError(f"cannot listen on {host}:{port}: {error.strerror}", mend="choose another --port") from error
    if ready is not None:
        ready(server.sockets[0].getsockname()[1])
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_EVERY)
        tracking.close_idle(time.monotonic() - IDLE_SECONDS)
    server.close()
    await tracking.close()
