"""The tracking endpoint: `/o/<token>.gif` and `/c/<token>` as a bare WSGI callable, mounted before Flask (RFC 9110).

Verify the token, append one record to the local spool, answer. No database and no Redis in the path. GET and HEAD
change nothing beyond that log; a link that asks first acts on POST only, which is a person's doing. Every bad token
gets the same 404. A link that was never seen gets 503 with Retry-After: it may have come while the database is away.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from mailer import tokens
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import UntrustedRequestError
from mailer.log import get_logger
from mailer.tokens import Keys, TrackToken, read_track_token
from mailer.tracking.confirm_page import CONTENT_POLICY, Step, render_link_page
from mailer.tracking.link_map import LinkMap, Target
from mailer.tracking.queries import find_recipient
from mailer.tracking.records import GET, HEAD, POST, PREFETCH, RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter

log = get_logger("tracking")
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Headers = tuple[tuple[str, str], ...]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;"
)
_SAFETY = (
    ("Cache-Control", "no-store, max-age=0"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Robots-Tag", "noindex"),
)
_GIF = (*_SAFETY, ("Content-Type", "image/gif"), ("Content-Length", str(len(PIXEL))))
_PAGE = (*_SAFETY, ("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", CONTENT_POLICY))
_TEXT = (*_SAFETY, ("Content-Type", "text/plain; charset=utf-8"))
_METHODS = {"GET": GET, "HEAD": HEAD, "POST": POST}
_LOOPBACK = ("127.0.0.1", "::1", "")
_WAIT_FOR_LINK = 1.5


class Decision(NamedTuple):
    """What is answered; `hit` is to be kept before, and without it `must_keep` makes the answer "try later"."""

    status: str
    headers: Headers
    body: bytes = b""
    hit: RawHit | None = None
    must_keep: bool = False


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
        """`form_base`: where forms are; a link that opens one leads to its own target where that is not known."""
        self._keys = keys
        self._spool = spool
        self._links = links
        self._behind = behind
        self._recipient_of = recipient_of
        self._form_base = form_base

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        path: str = environ.get("PATH_INFO", "")
        if self._behind is not None and not (path.startswith("/c/") or _names_pixel(path)):
            return self._behind(environ, start_response)
        decision = self.decide(environ) or _TRY_LATER
        if decision.hit is not None and not self.keep([decision.hit]):
            decision = without_hit(decision)
        start_response(decision.status, list(decision.headers))
        return [decision.body]

    def decide(self, environ: Environ, *, may_wait: bool = True) -> Decision | None:
        """Return what a request is answered; None where that would take waiting for somebody and `may_wait` forbids it.

        Of a WSGI environ the path, the method, the address and the headers are looked at.
        """
        path: str = environ.get("PATH_INFO", "")
        if path.startswith("/c/"):
            return self._click(environ, path[3:], may_wait=may_wait)
        return self._open(environ, path[3:-4]) if _names_pixel(path) else _NOT_FOUND

    def keep(self, hits: Sequence[RawHit]) -> bool:
        """Append hits, all at once; False where they could not be kept. A person is answered all the same."""
        try:
            self._spool.append(b"".join(map(pack_hit, hits)), records=len(hits))
        except OSError as error:
            log.warning("hit_not_kept", error=type(error).__name__, errno=error.errno, hits=len(hits))
            return False
        return True

    def close(self) -> None:
        """Let go of the spool."""
        self._spool.close()

    def _open(self, environ: Environ, text: str) -> Decision:
        token = self._read(text, tokens.OPEN)
        if token is None:
            return _NOT_FOUND
        method = _METHODS.get(environ["REQUEST_METHOD"])
        if method not in (GET, HEAD):
            return _not_allowed("GET, HEAD")
        return Decision("200 OK", _GIF, b"" if method == HEAD else PIXEL, _hit(environ, token, method))

    def _click(self, environ: Environ, text: str, *, may_wait: bool) -> Decision | None:
        token = self._read(text, tokens.CLICK)
        if token is None:
            return _NOT_FOUND
        target = self._links.find(token.message_id, token.link, wait_seconds=_WAIT_FOR_LINK if may_wait else 0.0)
        if target is None:
            return _TRY_LATER if may_wait else None
        method = _METHODS.get(environ["REQUEST_METHOD"])
        if method is None or (method == POST and not target.is_confirm):
            return _not_allowed("GET, HEAD, POST" if target.is_confirm else "GET, HEAD")
        hit = _hit(environ, token, method)
        if target.is_confirm or target.is_page:
            return self._page(text, target, hit) if may_wait else None
        opens_form = target.is_form and self._form_base
        location = f"{self._form_base}/f/m/{text}" if opens_form else _as_header(target.url)
        return Decision("302 Found", (*_TEXT, ("Location", location), ("Content-Length", "0")), hit=hit)

    def _page(self, text: str, target: Target, hit: RawHit) -> Decision:
        recipient = self._recipient_of(hit.message_id) if self._links.is_fresh and hit.method != HEAD else None
        step = Step.TEXT if target.is_page else Step.DONE if hit.method == POST else Step.ASK
        page = render_link_page(target, step, action=f"/c/{text}", recipient=recipient)
        headers = (*_PAGE, ("Content-Length", str(len(page))))
        # A press of the button must not be lost.
        return Decision("200 OK", headers, b"" if hit.method == HEAD else page, hit, must_keep=hit.method == POST)

    def _read(self, text: str, kind: int) -> TrackToken | None:
        try:
            token = read_track_token(self._keys, text)
        except UntrustedRequestError:
            return None
        return token if token.kind == kind else None


def without_hit(decision: Decision) -> Decision:
    """Return what is answered where the hit could not be kept."""
    return _TRY_LATER if decision.must_keep else decision


def _names_pixel(path: str) -> bool:
    return path.startswith("/o/") and path.endswith(".gif")


def _hit(environ: Environ, token: TrackToken, method: int) -> RawHit:
    return RawHit(
        at=utc_now().timestamp(),
        kind=token.kind,
        method=method,
        message_id=token.message_id,
        link=token.link,
        flags=_flags(environ),
        ip=_client_ip(environ),
        user_agent=environ.get("HTTP_USER_AGENT", ""),
    )


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
        recipient_of=partial(_find_recipient, ctx),
        form_base=settings.public_url.rstrip("/"),
    )


def _find_recipient(ctx: Context, message_id: int) -> str | None:
    """Return the address a message went to; None where it is not known or the database is away."""
    try:
        with ctx.read() as session:
            return find_recipient(session, message_id)
    except SQLAlchemyError:
        return None


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


def _not_allowed(allowed: str) -> Decision:
    return Decision("405 Method Not Allowed", (*_TEXT, ("Allow", allowed), ("Content-Length", "0")))


def _said(status: str, body: bytes, *headers: tuple[str, str]) -> Decision:
    return Decision(status, (*_TEXT, *headers, ("Content-Length", str(len(body)))), body)


_NOT_FOUND = _said("404 Not Found", b"There is no such page.\n")
_TRY_LATER = _said("503 Service Unavailable", b"Please try again in a moment.\n", ("Retry-After", "5"))
