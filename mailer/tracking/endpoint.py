"""The tracking endpoint: `/o/<token>.gif` and `/c/<token>` as a bare WSGI callable, mounted before Flask (RFC 9110).

Verify the token, append one record to the local spool, answer. No database and no Redis in the path. GET and HEAD
change nothing beyond that log; a link that asks first acts on POST only, which is a person's doing. Every bad token
gets the same 404. A link that was never seen gets 503 with Retry-After: it may have come while the database is away.
"""

from collections.abc import Callable, Iterable
from typing import Any

from mailer import tokens
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import UntrustedRequestError
from mailer.log import get_logger
from mailer.tokens import Keys, TrackToken, read_track_token
from mailer.tracking.confirm_page import CONTENT_POLICY, Step, render_link_page
from mailer.tracking.link_map import LinkMap, Target
from mailer.tracking.records import GET, HEAD, POST, PREFETCH, RawHit, pack_hit
from mailer.tracking.service import find_recipient
from mailer.tracking.spool import SpoolWriter

log = get_logger("tracking")
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;"
)
_SAFETY = [
    ("Cache-Control", "no-store, max-age=0"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Robots-Tag", "noindex"),
]
_GIF = [*_SAFETY, ("Content-Type", "image/gif"), ("Content-Length", str(len(PIXEL)))]
_PAGE = [*_SAFETY, ("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", CONTENT_POLICY)]
_TEXT = [*_SAFETY, ("Content-Type", "text/plain; charset=utf-8")]
_NOT_FOUND = b"There is no such page.\n"
_METHODS = {"GET": GET, "HEAD": HEAD, "POST": POST}
_LOOPBACK = ("127.0.0.1", "::1", "")
_WAIT_FOR_LINK = 1.5


class TrackingEndpoint:
    """Answers tracking requests; everything else goes to `behind`, or is not found where there is nothing behind."""

    def __init__(
        self,
        keys: Keys,
        spool: SpoolWriter,
        links: LinkMap,
        *,
        behind: WsgiApp | None = None,
        recipient_of: Callable[[int], str | None] = lambda _: None,
        form_base: str = "",
    ) -> None:
        """`form_base`: where forms are, for links that open one; tracking may run on a host of its own."""
        self._keys = keys
        self._spool = spool
        self._links = links
        self._behind = behind
        self._recipient_of = recipient_of
        self._form_base = form_base

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        path: str = environ.get("PATH_INFO", "")
        if path.startswith("/c/"):
            return self._click(environ, start_response, path[3:])
        if path.startswith("/o/") and path.endswith(".gif"):
            return self._open(environ, start_response, path[3:-4])
        if self._behind is None:
            return _not_found(start_response)
        return self._behind(environ, start_response)

    def _open(self, environ: Environ, start_response: StartResponse, text: str) -> Iterable[bytes]:
        token = self._read(text, tokens.OPEN)
        if token is None:
            return _not_found(start_response)
        method = _METHODS.get(environ["REQUEST_METHOD"])
        if method not in (GET, HEAD):
            return _not_allowed(start_response, "GET, HEAD")
        self._note(environ, token, method)
        start_response("200 OK", _GIF)
        return [b""] if method == HEAD else [PIXEL]

    def _click(self, environ: Environ, start_response: StartResponse, text: str) -> Iterable[bytes]:
        token = self._read(text, tokens.CLICK)
        if token is None:
            return _not_found(start_response)
        target = self._links.find(token.message_id, token.link, wait_seconds=_WAIT_FOR_LINK)
        if target is None:
            return _try_later(start_response)
        method = _METHODS.get(environ["REQUEST_METHOD"])
        if method is None or (method == POST and not target.is_confirm):
            return _not_allowed(start_response, "GET, HEAD, POST" if target.is_confirm else "GET, HEAD")
        kept = self._note(environ, token, method)
        if method == POST and not kept:
            return _try_later(start_response)  # a press of the button must not be lost
        if target.is_confirm or target.is_page:
            return self._page(start_response, text, token, target, method)
        location = f"{self._form_base}/f/m/{text}" if target.is_form else _as_header(target.url)
        start_response("302 Found", [*_TEXT, ("Location", location), ("Content-Length", "0")])
        return [b""]

    def _page(
        self, start_response: StartResponse, text: str, token: TrackToken, target: Target, method: int
    ) -> Iterable[bytes]:
        recipient = self._recipient_of(token.message_id) if self._links.is_fresh and method != HEAD else None
        step = Step.TEXT if target.is_page else Step.DONE if method == POST else Step.ASK
        page = render_link_page(target, step, action=f"/c/{text}", recipient=recipient)
        start_response("200 OK", [*_PAGE, ("Content-Length", str(len(page)))])
        return [b""] if method == HEAD else [page]

    def _read(self, text: str, kind: int) -> TrackToken | None:
        try:
            token = read_track_token(self._keys, text)
        except UntrustedRequestError:
            return None
        return token if token.kind == kind else None

    def _note(self, environ: Environ, token: TrackToken, method: int) -> bool:
        """Append the hit; False where it could not be kept. A person is answered all the same."""
        hit = RawHit(
            at=utc_now().timestamp(),
            kind=token.kind,
            method=method,
            message_id=token.message_id,
            link=token.link,
            flags=_flags(environ),
            ip=_client_ip(environ),
            user_agent=environ.get("HTTP_USER_AGENT", ""),
        )
        try:
            self._spool.append(pack_hit(hit))
        except OSError as error:
            log.warning("hit_not_kept", error=type(error).__name__, errno=error.errno)
            return False
        return True


def build_endpoint(ctx: Context, behind: WsgiApp | None = None) -> TrackingEndpoint:
    """Return the endpoint of this process, its link map polling; nothing is written before the first hit."""
    links, settings = LinkMap(ctx), ctx.settings
    links.start()
    limit_bytes = settings.spool_limit_mb * 1_000_000
    spool = SpoolWriter(settings.spool_dir, durable=settings.tracking_durable, limit_bytes=limit_bytes)
    return TrackingEndpoint(
        ctx.keys,
        spool,
        links,
        behind=behind,
        recipient_of=lambda message_id: find_recipient(ctx, message_id),
        form_base=settings.public_url.rstrip("/"),
    )


def _client_ip(environ: Environ) -> str:
    """Return the client's address; a proxy on this host is believed, nobody else."""
    remote: str = environ.get("REMOTE_ADDR", "")
    if remote in _LOOPBACK and (forwarded := environ.get("HTTP_X_FORWARDED_FOR")):
        return str(forwarded).rpartition(",")[2].strip()
    return remote


def _flags(environ: Environ) -> int:
    purpose = environ.get("HTTP_SEC_PURPOSE") or environ.get("HTTP_PURPOSE") or environ.get("HTTP_X_PURPOSE") or ""
    return PREFETCH if "prefetch" in purpose or "preview" in purpose else 0


def _as_header(url: str) -> str:
    """Return a URL as WSGI wants header text: its UTF-8 bytes, one character each (PEP 3333)."""
    return url.encode().decode("latin-1")


def _not_found(start_response: StartResponse) -> Iterable[bytes]:
    start_response("404 Not Found", [*_TEXT, ("Content-Length", str(len(_NOT_FOUND)))])
    return [_NOT_FOUND]


def _not_allowed(start_response: StartResponse, allowed: str) -> Iterable[bytes]:
    start_response("405 Method Not Allowed", [*_TEXT, ("Allow", allowed), ("Content-Length", "0")])
    return [b""]


def _try_later(start_response: StartResponse) -> Iterable[bytes]:
    body = b"Please try again in a moment.\n"
    start_response("503 Service Unavailable", [*_TEXT, ("Retry-After", "5"), ("Content-Length", str(len(body)))])
    return [body]
