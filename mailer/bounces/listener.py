"""The bounce listener: SMTP (or LMTP behind an MTA) for mail to the bounce domain (RFC 5321, RFC 2033).

250 is said only after the raw report is committed, so a report is never lost; what it means is found out later.
"""

import asyncio
from collections.abc import Callable

from mailer.bounces.service import Received, record_reports
from mailer.bounces.smtpd import Incoming, Limits, run_until_signal, serve
from mailer.context import Context

_LIMITS = Limits(message_bytes=10_000_000, recipients=20)
_GROUP = 100


class ListenerHandler:
    """Stores reports in groups: whatever came while one group was being committed makes up the next."""

    def __init__(self, ctx: Context, source: str) -> None:
        self._ctx = ctx
        self._source = source
        self._waiting: list[tuple[list[Received], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    def why_not_recipient(self, address: str) -> str | None:
        """Refuse mail for other domains: this is no relay."""
        ours = self._ctx.settings.bounce_domain.lower()
        if ours and address.rpartition("@")[2].lower() != ours:
            return "550 5.7.1 mail for this domain is not taken here"
        return None

    async def take(self, mail: Incoming) -> str:
        """Commit the mail, then say so."""
        reports = [Received(mail.raw, self._source, mail.mail_from, recipient) for recipient in mail.recipients]
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((reports, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await future
        return "250 2.0.0 ok, stored"

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
            everything = [report for reports, _ in group for report in reports]
            try:
                await asyncio.to_thread(record_reports, self._ctx, everything)
            except Exception as error:  # noqa: BLE001 - each sender is told to try again
                _settle([future for _, future in group], error)
            else:
                _settle([future for _, future in group], None)


def _settle(futures: "list[asyncio.Future[None]]", error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


async def serve_listener(
    ctx: Context,
    host: str,
    port: int,
    *,
    is_lmtp: bool = False,
    ready: Callable[[int], None] | None = None,
    stop: asyncio.Event,
) -> None:
    """Serve until `stop` is set; SetupError where the port cannot be had."""
    handler = ListenerHandler(ctx, "lmtp" if is_lmtp else "smtp")
    await serve(handler, host, port, is_lmtp=is_lmtp, limits=_LIMITS, ready=ready, stop=stop)


def run_listener(
    ctx: Context, host: str, port: int, *, is_lmtp: bool = False, ready: Callable[[int], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT."""
    run_until_signal(lambda stop: serve_listener(ctx, host, port, is_lmtp=is_lmtp, ready=ready, stop=stop))
