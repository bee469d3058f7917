"""Addresses of relays as values: `smtp[s]://user:pass@host:port?starttls=…`. Pure."""

import ipaddress
from dataclasses import dataclass, field
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
