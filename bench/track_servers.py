"""The plain way beside which `bench.track` measures: a Flask route with an INSERT, in the server of our pages.

`python -m bench.track_servers PORT`; settings come from MAILER_*.
"""

import sys

from flask import Flask, Response, redirect, request
from granian.constants import Interfaces
from granian.server import Server
from sqlalchemy import select, text
from werkzeug.wrappers import Response as AnyResponse

from mailer import tokens
from mailer.clock import utc_now
from mailer.context import make_context
from mailer.jobs import SilentBell
from mailer.schema.content import TrackedLink
from mailer.settings import load_settings
from mailer.tracking.endpoint import PIXEL

THREADS = 32


def plain() -> Flask:
    """A route as most would write it: verify, INSERT, commit, answer."""
    ctx = make_context(load_settings(), bell=SilentBell(), pool_size=THREADS)
    app = Flask(__name__)
    insert = text(
        "INSERT INTO hit (message_id, kind, link, method, at, ip, user_agent, class, reason)"
        " VALUES (:message_id, :kind, :link, :method, :at, :ip, :user_agent, 'human', '')"
    )

    def keep(token: tokens.TrackToken, kind: str) -> None:
        values = {
            "message_id": token.message_id, "kind": kind, "link": token.link, "method": request.method,
            "at": utc_now().replace(tzinfo=None) if ctx.database.is_sqlite else utc_now(),
            "ip": request.remote_addr, "user_agent": request.user_agent.string,
        }  # fmt: skip
        with ctx.write() as session:
            session.execute(insert, values)

    @app.get("/o/<token>.gif")
    def opened(token: str) -> Response:
        keep(tokens.read_track_token(ctx.keys, token), "open")
        return Response(PIXEL, mimetype="image/gif")

    @app.get("/c/<token>")
    def clicked(token: str) -> AnyResponse:
        read = tokens.read_track_token(ctx.keys, token)
        keep(read, "click")
        with ctx.read() as session:
            url = session.scalars(select(TrackedLink.url).where(TrackedLink.ordinal == read.link).limit(1)).one()
        return redirect(url)

    return app


def main() -> None:
    """Serve until killed."""
    Server(
        "bench.track_servers:plain",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS,
        backlog=1024,
        factory=True,
        log_access=False,
        log_enabled=False,
    ).serve()


if __name__ == "__main__":
    main()
