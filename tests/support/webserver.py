"""Serve the pages on loopback from a thread, as real HTTP for browsers and clients."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.serving import WSGIRequestHandler, make_server

from mailer.app import create_app
from mailer.context import Context


class _Quiet(WSGIRequestHandler):
    """No line for each request: the tests' output is for tests."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def serve_pages(ctx: Context) -> Iterator[str]:
    """Yield the address of the application, on a port of its own."""
    server = make_server("127.0.0.1", 0, create_app(ctx), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
