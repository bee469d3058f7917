"""The head of an HTTP/1.1 request, read strictly (RFC 9112), as far as the tracking endpoint needs it. Pure.

What could be read in two ways is refused: a body whose length is not one plain number, a folded line, a lone CR or LF,
a space before a colon. So nobody, whatever stands in front of us, can take a part of one request for another one.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024
_REQUEST = re.compile(r"([A-Z]{1,20}) ((?:http://[^/\s?#]+)?/[!-~\x80-\xff]*) HTTP/1\.([01])")
_NAME = re.compile(r"[!#$%&'*+.^`|~0-9A-Za-z_-]+")
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


def parse_head(head: bytes) -> RequestHead:
    """Read what stands before the empty line.

    Raises:
        BadRequestError: it is not a request that could be answered.
    """
    text = head.decode("latin-1")
    lines = text.split("\r\n")
    if text.count("\r") != len(lines) - 1 or text.count("\n") != len(lines) - 1 or "\0" in text:
        raise BadRequestError
    request = _REQUEST.fullmatch(lines[0])
    if request is None:
        raise BadRequestError
    method, target, minor = request.groups()
    environ = {"REQUEST_METHOD": method, "PATH_INFO": _path_of(target)}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = _key_of(name)
        if not colon or not key:
            raise BadRequestError
        if key not in environ:
            environ[key] = value.strip(" \t")
        elif key in _ONCE:
            raise BadRequestError
        else:
            environ[key] += "," + value.strip(" \t")
    if minor == "1" and "HTTP_HOST" not in environ:
        raise BadRequestError
    words = environ.get("HTTP_CONNECTION", "").lower()
    is_kept_alive = minor == "1" and "close" not in words and "HTTP_EXPECT" not in environ
    return RequestHead(environ, _body_bytes(environ), is_kept_alive)


def _path_of(target: str) -> str:
    """Return the path, percent signs undone (RFC 3986), one character a byte (PEP 3333)."""
    if target[0] != "/":
        target = target[target.index("/", 7) :]
    path = target.partition("?")[0]
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1") if "%" in path else path


@lru_cache(_REMEMBERED)
def _key_of(name: str) -> str:
    """Return what WSGI calls a header; nothing for what is no name.

    One with an underscore gets a name that nobody asks for: it must not pass for the one with a hyphen.
    """
    if _NAME.fullmatch(name) is None:
        return ""
    return "HTTP_" + name.upper().replace("_", " ").replace("-", "_")


def _body_bytes(environ: dict[str, str]) -> int:
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise BadRequestError("411 Length Required")
    length = environ.get("HTTP_CONTENT_LENGTH", "0")
    if _LENGTH.fullmatch(length) is None:
        raise BadRequestError
    if int(length) > MAX_BODY:
        raise BadRequestError("413 Content Too Large")
    return int(length)
