"""Relays as values: `smtp[s]://user:pass@host:port?starttls=…`, and which of several a batch goes through. Pure."""

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from urllib.parse import parse_qs, unquote, urlsplit

from mailer.errors import InputError, Problem

_PORTS = {"smtp": 25, "smtps": 465}
_YES = ("yes", "true", "1", "on", "required", "always")
_NO = ("no", "false", "0", "off", "never")


class Tls(StrEnum):
    """How a session is secured: not at all, by STARTTLS (RFC 3207), or from the first byte (RFC 8314)."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Relay:
    """A server that takes our mail. `ca_file`: PEM file of a private authority; empty: the system's."""

    host: str
    port: int
    tls: Tls = Tls.NONE
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({self.tls})"


def parse_relay(url: str) -> Relay:
    """Return the relay that `url` names.

    `smtps` means TLS from the first byte. `smtp` means STARTTLS, except on loopback, unless `starttls=yes|no` is given.
    `ca_file=PATH` names a private authority. User and password are percent-encoded.

    Raises:
        InputError: lists every problem; the password is never part of it.
    """
    problems: list[Problem] = []
    parts = urlsplit(url)
    port = _read_port(url, problems)
    if parts.scheme not in _PORTS or not parts.hostname:
        problems.append(
            Problem("SMTP URL", "not the address of a relay", "use smtp://USER:PASSWORD@HOST:PORT or smtps://…")
        )
        raise InputError(problems)
    options = parse_qs(parts.query, keep_blank_values=True)
    unknown = options.keys() - {"starttls", "ca_file"}
    problems += [Problem("SMTP URL", f"unknown option {name}", "known: starttls, ca_file") for name in sorted(unknown)]
    tls = _read_tls(parts.scheme, parts.hostname, options.get("starttls", [""])[-1].lower(), problems)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if user and tls is Tls.NONE and not _is_loopback(parts.hostname):
        problems.append(Problem("SMTP URL", "a password would travel in the clear", "use smtps:// or starttls=yes"))
    if problems:
        raise InputError(problems)
    return Relay(parts.hostname, port or _PORTS[parts.scheme], tls, user, password, options.get("ca_file", [""])[-1])


def _read_port(url: str, problems: list[Problem]) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        problems.append(Problem("SMTP URL", "the port is not a number from 1 to 65535"))
        return None


def _read_tls(scheme: str, host: str, word: str, problems: list[Problem]) -> Tls:
    if scheme == "smtps":
        return Tls.IMPLICIT
    if word in _YES:
        return Tls.STARTTLS
    if word in _NO:
        return Tls.NONE
    if word:
        problems.append(Problem("SMTP URL", f"starttls={word} is not known", "use starttls=yes or starttls=no"))
    return Tls.NONE if _is_loopback(host) else Tls.STARTTLS


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# ------------------------------------------------------------------ several relays


@dataclass(frozen=True, slots=True)
class PlannedRelay:
    """A relay as a worker may use it: `connections` are this worker's share, `rate_per_second` None is no limit.

    `adapts`: it slows down for a mailbox provider after 421 and 4.7.x. `has_failed`: it failed last time, so that the
    first success is news.
    """

    key: str
    name: str
    relay: Relay
    weight: int = 1
    connections: int = 2
    rate_per_second: float | None = 5.0
    adapts: bool = True
    has_failed: bool = False


_GOLDEN = 0.6180339887498949


def choose_relay(relays: Sequence[PlannedRelay], number: int, resting: Collection[str] = ()) -> PlannedRelay | None:
    """Return the relay for the `number`-th batch, by weight; None where all of them rest.

    Numbers that follow each other are spread evenly, without a counter that workers would have to share. A relay of
    weight 0 is a spare: it is chosen only while no other works.
    """
    awake = [one for one in relays if one.key not in resting]
    first = [one for one in awake if one.weight > 0]
    shares = [(one, one.weight) for one in first] or [(one, 1) for one in awake]
    place = number * _GOLDEN % 1 * sum(share for _, share in shares)
    for one, share in shares:
        place -= share
        if place < 0:
            return one
    return shares[-1][0] if shares else None


TRIES_BEFORE_REST = 3
_FIRST_REST, _LONGEST_REST = timedelta(seconds=30), timedelta(minutes=10)
HOLD_AFTER = timedelta(minutes=10)
"""All relays down for so long: sendings are held with reason `relay_down`."""


def decide_rest(failures: int) -> timedelta:
    """Return how long a relay is left alone after so many failures in a row; nothing before the third."""
    if failures < TRIES_BEFORE_REST:
        return timedelta()
    doublings: int = min(failures - TRIES_BEFORE_REST, 10)
    return min(_LONGEST_REST, _FIRST_REST * (1 << doublings))
