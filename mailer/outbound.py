"""The one helper that fetches something from outside: certificates, checks of links, calls of webhooks.

What an address resolves to is checked before anything is sent, and the connection goes to the very address that was
checked: a name that points elsewhere a moment later (DNS rebinding) gains nothing. Redirects are not followed.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from mailer.errors import MailerError

_PORTS = {"https": 443, "http": 80}
_CHUNK = 16_384


class OutboundRefusedError(MailerError):
    """We will not fetch this: its scheme, host, port or address is not one that we go to, or it is too large."""


class OutboundFailedError(MailerError):
    """It could not be fetched: no such name, no connection, no answer in time."""


@dataclass(frozen=True)
class Fetched:
    """An answer; `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def fetch(
    url: str,
    *,
    allowed_hosts: Callable[[str], bool] | None = None,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 5.0,
    max_bytes: int = 65_536,
    allow_private: bool = False,
    allow_http: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Fetched:
    """Return what `url` answers, whatever its status; a redirect is returned as it is.

    `timeout` in seconds is for the whole of it. `allow_private` permits addresses and ports of one's own network, for a
    receiver that an administrator named.

    Raises:
        OutboundRefusedError: it must not be fetched, or the answer is larger than `max_bytes`.
        OutboundFailedError: the network.
    """
    deadline = time.monotonic() + timeout
    parts = check_url(url, allowed_hosts, allow_private=allow_private, allow_http=allow_http)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    address = _resolve(host, port, allow_private=allow_private)
    connection = _connection(parts.scheme, host, port, address, timeout, tls)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    end = threading.Timer(timeout, _cut, [connection])  # a header that comes byte by byte is never late for the socket
    end.daemon = True
    end.start()
    try:
        connection.request(method, path, body=body, headers={"User-Agent": "mailer", **(headers or {})})
        response = connection.getresponse()
        return Fetched(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            _read(response, max_bytes, deadline),
        )
    except (OSError, HTTPException) as error:
        raise OutboundFailedError(f"{host} did not answer: {error or type(error).__name__}") from error
    finally:
        end.cancel()
        connection.close()


def _cut(connection: HTTPConnection) -> None:
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def check_url(
    url: str,
    allowed_hosts: Callable[[str], bool] | None = None,
    *,
    allow_private: bool = False,
    allow_http: bool = False,
) -> SplitResult:
    """Return the parts of an address that may be fetched by its looks; what it resolves to is checked when it is.

    Raises:
        OutboundRefusedError: scheme, host or port is not one that we go to.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise OutboundRefusedError("that is no address of a page") from error
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        raise OutboundRefusedError(f"{parts.scheme or 'no scheme'} is not fetched", mend="use https")
    if not parts.hostname or parts.username is not None or any(sign <= " " for sign in url):
        raise OutboundRefusedError("an address needs a host, and no name or password in it")
    if port not in (None, *_PORTS.values()) and not allow_private:
        raise OutboundRefusedError(f"port {port} is not one of the web's")
    if allowed_hosts is not None and not allowed_hosts(parts.hostname.lower().rstrip(".")):
        raise OutboundRefusedError(f"{parts.hostname} is not one of the hosts allowed here")
    return parts


def _resolve(host: str, port: int, *, allow_private: bool) -> str:
    """Return an address of `host`; refused where any one of them is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OutboundFailedError(f"{host} has no address") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not allow_private and not is_public(address):
            raise OutboundRefusedError(f"{host} is inside a private network")
    return addresses[0]


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, looking through IPv4 in IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052


def _connection(
    scheme: str, host: str, port: int, address: str, timeout: float, tls: ssl.SSLContext | None
) -> HTTPConnection:
    if scheme == "http":
        return _Pinned(host, port, address, timeout)
    return _PinnedTls(host, port, address, timeout, tls or ssl.create_default_context())


class _Pinned(HTTPConnection):
    """A connection to the address that was checked, under the name that was asked for."""

    def __init__(self, host: str, port: int, address: str, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._address = address

    def connect(self) -> None:
        """Connect without another look-up."""
        self.sock = socket.create_connection((self._address, self.port), self.timeout)


class _PinnedTls(HTTPSConnection):
    """The same over TLS: the certificate is checked against the name."""

    def __init__(self, host: str, port: int, address: str, timeout: float, tls: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout, context=tls)
        self._address, self._tls = address, tls

    def connect(self) -> None:
        """Connect without another look-up."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def _read(response: HTTPResponse, max_bytes: int, deadline: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while chunk := response.read1(_CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise OutboundRefusedError(f"the answer is larger than {max_bytes} bytes")
        if time.monotonic() > deadline:
            raise OutboundFailedError("the answer came too slowly")
        parts.append(chunk)
    return b"".join(parts)
