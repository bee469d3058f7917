"""A request is read in one way or refused: nothing in it can pass for another request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.tracking.http_head import BadRequestError, parse_head

HOST = b"\r\nHost: x"


def test_a_head_is_read_as_wsgi_has_it() -> None:
    head = parse_head(
        b"GET /c/a%2Db?x=/y HTTP/1.1\r\nHost: x\r\nUser-Agent:  Mozilla/5.0 \xe9\t\r\nAccept: a\r\nAccept: b"
    )

    assert head.environ == {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/c/a-b", "HTTP_HOST": "x", "HTTP_USER_AGENT": "Mozilla/5.0 \xe9",
        "HTTP_ACCEPT": "a,b",
    }  # fmt: skip
    assert (head.body_bytes, head.is_kept_alive) == (0, True)


@pytest.mark.parametrize(
    ("target", "path"),
    [("http://track.example.com/o/x.gif", "/o/x.gif"), ("/a?b%00", "/a"), ("//a", "//a"), ("/%C3%A9", "/Ã©")],
)
def test_targets_are_paths_or_whole_urls(target: str, path: str) -> None:
    assert parse_head(f"GET {target} HTTP/1.1".encode() + HOST).environ["PATH_INFO"] == path


def test_the_last_of_several_forwarded_addresses_stays_the_last() -> None:
    head = parse_head(b"GET / HTTP/1.1" + HOST + b"\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2")

    assert head.environ["HTTP_X_FORWARDED_FOR"] == "1.1.1.1,2.2.2.2"


def test_a_name_with_an_underscore_does_not_pass_for_one_with_a_hyphen() -> None:
    head = parse_head(b"GET / HTTP/1.1" + HOST + b"\r\nX_Forwarded_For: 1.1.1.1\r\nContent_Length: 9")

    assert "HTTP_X_FORWARDED_FOR" not in head.environ
    assert head.body_bytes == 0


@pytest.mark.parametrize(
    ("line", "is_kept"), [(b"", True), (b"\r\nConnection: Close", False), (b"\r\nExpect: 100-continue", False)]
)
def test_a_connection_is_kept_until_somebody_says_otherwise(line: bytes, is_kept: bool) -> None:
    assert parse_head(b"GET / HTTP/1.1" + HOST + line).is_kept_alive is is_kept
    assert not parse_head(b"GET / HTTP/1.0" + line).is_kept_alive


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", "400"),
        (b"GET / HTTP/1.1", "400"),  # no host
        (b"GET / HTTP/1.1" + HOST + HOST, "400"),
        (b"GET / HTTP/2.0" + HOST, "400"),
        (b"GET  / HTTP/1.1" + HOST, "400"),
        (b"get / HTTP/1.1" + HOST, "400"),
        (b"GET x HTTP/1.1" + HOST, "400"),
        (b"GET /a b HTTP/1.1" + HOST, "400"),
        (b"GET / HTTP/1.1\nHost: x", "400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded: y", "400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA : y", "400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon", "400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc", "400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c", "400"),
        (b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: +5", "400"),
        (b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 5, 5", "400"),
        (b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 5\r\nContent-Length: 5", "400"),
        (b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: \xb2", "400"),
        (b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 65537", "413"),
        (b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", "400"),
        (b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked", "411"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(head: bytes, status: str) -> None:
    with pytest.raises(BadRequestError, match=f"^{status}"):
        parse_head(head)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_request_or_refused(data: bytes, begins_well: bool) -> None:
    try:
        head = parse_head((b"GET / HTTP/1.1" + HOST + b"\r\n" if begins_well else b"") + data)
    except BadRequestError:
        return
    assert not set("\r\n\0") & set("".join(head.environ.values()).replace(head.environ["PATH_INFO"], ""))
