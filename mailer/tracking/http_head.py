"""The head of an HTTP/1.1 request (RFC 9112), as far as the tracking endpoint needs it: llhttp reads, we judge. Pure.

What could be read in two ways is refused: a body whose length is not one plain number, a folded line, a lone CR or LF,
a space before a colon. So nobody, whatever stands in front of us, can take a part of one request for another one.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024
_TARGET = re.compile(r"(?:http://[^/?#]+)?(/[!-~\x80-\xff]*)")
_LENGTH = re.compile(r"[0-9]{1,15}")
_ONCE = ("HTTP_HOST", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")
_REMEMBERED = 256


class BadRequestError(Exception):
    """A request that cannot be understood, or must not be; `status` is what is answered."""

    def __init__(self, status: str = "400 Bad Request") -> None:
        super().__init__(status)
        self.status = status


class RequestHead(NamedTuple):
    """`environ` as WSGI has it (method, path, headers); bytes of body to skip; whether the connection goes on."""

    environ: dict[str, str]
    body_bytes: int
    is_kept_alive: bool


class _Heard:
    """What the parser tells of one request."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_whole = False

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.is_whole = True


def parse_head(head: bytes) -> RequestHead:
    """Read what stands before the empty line.

    Raises:
        BadRequestError: it is not a request that could be answered.
    """
    heard = _Heard()
    parser = HttpRequestParser(heard)
    try:
        parser.feed_data(head + b"\r\n\r\n")
    except HttpParserUpgrade:  # asked for another protocol, and answered in this one
        pass
    except HttpParserError as error:
        raise BadRequestError from error
    minor = {"1.0": 0, "1.1": 1}.get(parser.get_http_version())
    method = parser.get_method()
    if not heard.is_whole or minor is None or not head.startswith(b"%b %b HTTP/" % (method, heard.target)):
        raise BadRequestError
    environ = {"REQUEST_METHOD": method.decode("ascii"), "PATH_INFO": _path_of(heard.target)}
    _add_headers(environ, heard.headers)
    if minor and "HTTP_HOST" not in environ:
        raise BadRequestError
    words = environ.get("HTTP_CONNECTION", "").lower()
    is_kept_alive = bool(minor) and "close" not in words and "HTTP_EXPECT" not in environ
    return RequestHead(environ, _body_bytes(environ), is_kept_alive)


def _add_headers(environ: dict[str, str], headers: list[tuple[bytes, bytes]]) -> None:
    for name, raw in headers:
        key, value = _key_of(name), raw.decode("latin-1").strip(" \t")
        if key not in environ:
            environ[key] = value
        elif key in _ONCE:
            raise BadRequestError
        else:
            environ[key] += "," + value


def _path_of(target: bytes) -> str:
    """Return the path, percent signs undone (RFC 3986), one character a byte (PEP 3333)."""
    found = _TARGET.fullmatch(target.decode("latin-1"))
    if found is None:
        raise BadRequestError
    path = found[1].partition("?")[0]
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1") if "%" in path else path


@lru_cache(_REMEMBERED)
def _key_of(name: bytes) -> str:
    """Return what WSGI calls a header.

    One with an underscore gets a name that nobody asks for: it must not pass for the one with a hyphen.
    """
    return "HTTP_" + name.decode("latin-1").upper().replace("_", " ").replace("-", "_")


def _body_bytes(environ: dict[str, str]) -> int:
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise BadRequestError("411 Length Required")
    length = environ.get("HTTP_CONTENT_LENGTH", "0")
    if _LENGTH.fullmatch(length) is None:
        raise BadRequestError
    if int(length) > MAX_BODY:
        raise BadRequestError("413 Content Too Large")
    return int(length)
