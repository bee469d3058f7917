"""Try a relay without a mail: connect, greet, TLS, AUTH, and keep the server's own words. The password is in none."""

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mailer.delivery.codes import Phase
from mailer.delivery.relays import Relay
from mailer.delivery.smtp import Connection
from mailer.delivery.smtp_wire import Timeouts
from mailer.errors import TransportError

_TIMEOUTS = Timeouts(connect=10.0, greeting=20.0, command=20.0)


@dataclass(frozen=True)
class Said:
    """What the server answered at one step, line by line."""

    phase: str
    lines: tuple[str, ...]


@dataclass
class Finding:
    """What came of a try: `error` is empty where a mail could be handed over now."""

    relay: str
    error: str = ""
    mend: str = ""
    said: list[Said] = field(default_factory=list)
    extensions: list[str] = field(default_factory=list)
    tls: str = ""
    certificate_until: datetime | None = None

    @property
    def is_usable(self) -> bool:
        """Whether the session stood."""
        return not self.error


class _Listening(Connection):
    """A session that keeps every reply."""

    def __init__(self, relay: Relay) -> None:
        super().__init__(relay, _TIMEOUTS, "")
        self.said: list[Said] = []

    def _reply_received(self, phase: Phase, lines: list[bytes]) -> None:
        texts = tuple(line.decode("utf-8", "replace").rstrip() for line in lines)
        self.said.append(Said(phase.value, texts))
        super()._reply_received(phase, lines)

    async def stand(self) -> None:
        """Go through the whole beginning of a session."""
        await self._greet(await self._connect())

    def secured_by(self) -> ssl.SSLObject | None:
        """Return the TLS of the session."""
        found: Any = self._transport.get_extra_info("ssl_object") if self._transport else None
        return found if isinstance(found, ssl.SSLObject) else None


async def _probe(relay: Relay) -> Finding:
    connection, finding = _Listening(relay), Finding(str(relay))
    try:
        await connection.stand()
        _note_tls(connection, finding)
    except TransportError as error:
        finding.error, finding.mend = error.message, error.mend
    except OSError as error:  # the file of a private authority
        finding.error, finding.mend = f"TLS cannot be set up: {error}", "check ca_file in the address"
    finally:
        connection.abandon()
    finding.said = connection.said
    finding.extensions = [f"{word} {rest}".strip() for word, rest in connection.extensions.items()]
    return finding


def _note_tls(connection: _Listening, finding: Finding) -> None:
    secured = connection.secured_by()
    if secured is None:
        return
    cipher = secured.cipher()
    finding.tls = " ".join(part for part in (secured.version(), cipher[0] if cipher else "") if part)
    until = (secured.getpeercert() or {}).get("notAfter")
    if isinstance(until, str):
        finding.certificate_until = parsedate_to_datetime(until)


def probe_relay(relay: Relay) -> Finding:
    """Open a session with `relay` and end it; a failure is a finding, never an error."""
    return asyncio.run(_probe(relay))
