"""What is fetched from outside: public addresses only, over https, once resolved, never too much."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mailer.outbound import OutboundFailedError, OutboundRefusedError, fetch, is_public


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/secret")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * (100_000 if self.path == "/large" else 5))

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x", "https://[::1]/x", "https://localhost/x", "https://10.0.0.1/", "https://169.254.169.254/",
        "https://[::ffff:127.0.0.1]/", "https://0.0.0.0/", "https://[64:ff9b::a00:1]/", "https://2130706433/",
        "http://192.0.2.1/", "ftp://example.com/", "file:///etc/passwd", "https://user:pass@example.com/",
        "https://example.com:22/", "https://", "https://exa mple.com/", "gopher://127.0.0.1/", "https://[bad/",
    ],
)  # fmt: skip
def test_nothing_inside_is_fetched(url: str) -> None:
    with pytest.raises(OutboundRefusedError):
        fetch(url)


def test_only_the_hosts_allowed_are_asked() -> None:
    with pytest.raises(OutboundRefusedError, match="not one of the hosts"):
        fetch("https://sns.us-east-1.amazonaws.com.example.net/x", allowed_hosts=lambda host: host.endswith(".com"))


def test_a_permitted_receiver_answers_and_redirects_are_not_followed() -> None:
    with server() as base:
        page = fetch(f"{base}/small", allow_private=True, allow_http=True)
        away = fetch(f"{base}/away", allow_private=True, allow_http=True)

    assert (page.status, page.body) == (200, b"xxxxx")
    assert (away.status, away.headers["location"]) == (302, "http://127.0.0.1:1/secret")


def test_an_answer_that_is_too_large_is_refused() -> None:
    with server() as base, pytest.raises(OutboundRefusedError, match="larger"):
        fetch(f"{base}/large", allow_private=True, allow_http=True, max_bytes=50_000)


def test_a_host_that_does_not_answer_is_told_apart() -> None:
    with pytest.raises(OutboundFailedError):
        fetch("https://127.0.0.1:1/", allow_private=True, timeout=0.5)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["100.64.0.1", "2002:7f00:1::", "fd00::1", "224.0.0.1", "::1", "fe80::1%lo"])
def test_networks_of_ones_own_are_not(address: str) -> None:
    assert not is_public(address)
