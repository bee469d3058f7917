"""Response headers that keep pages safe: Content-Security-Policy (level 3), no sniffing, no framing, no referrers."""

from flask import Flask, Response

ADMIN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src 'self' data: https: http:; font-src https:; base-uri 'none'; form-action 'none'; "
)
FRAMED, UNFRAMED = "frame-ancestors 'self'", "frame-ancestors 'none'"


def add_headers(app: Flask) -> None:
    """Give every response the strict policy unless its view gave one."""
    app.after_request(_headers)


def _headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", ADMIN_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
    if response.mimetype == "text/html":
        headers.setdefault("Cache-Control", "no-store")
    return response


def mail_response(html: str, *, framed: bool) -> Response:
    """Return a mail's HTML as a page of its own that can run nothing and knows no cookie.

    `framed`: may stand in a frame of our own pages (previews); a mail viewed in the browser may not.
    """
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = MAIL_POLICY + (FRAMED if framed else UNFRAMED)
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
