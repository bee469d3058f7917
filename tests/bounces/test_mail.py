"""Mail read for what it says (RFC 2045, RFC 2046), and where the words of a server end."""

import pytest

from mailer.bounces.mail import read_mail
from mailer.bounces.notice import find_copy, telling_lines

HEAD = b"From: MAILER-DAEMON@mx.example\r\nContent-Type: multipart/mixed; boundary="


def bodies(raw: bytes) -> list[str]:
    return [part.body.strip() for part in read_mail(raw).parts]


@pytest.mark.parametrize(
    ("boundary", "body", "expected"),
    [
        (b"b", b"before\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\nafter", ["one", "two", "after"]),
        (b"b", b"--b \t\r\n\r\none\r\n--b-- \r\n", ["one"]),
        (b"b", b"--b\r\n\r\none\r\n--bb\r\nstill\r\n--b - \r\nhere\r\n--b", ["one\n--bb\nstill\n--b - \nhere"]),
        (b"b", b"--b\r\n\r\none\r\n --b\r\nstill one", ["one\n --b\nstill one"]),
        (b"b--", b"--b--\r\n\r\none\r\n--b----\r\n", ["one"]),
        (b'"(.*)"', b"--(.*)\r\n\r\none\r\n--(.*)--", ["one"]),
    ],
    ids=["plain", "blanks", "alike", "not at a line's begin", "ends in dashes", "special signs"],
)  # fmt: skip
def test_parts_are_cut_at_the_lines_of_the_boundary(boundary: bytes, body: bytes, expected: list[str]) -> None:
    assert bodies(HEAD + boundary + b"\r\n\r\n" + body) == expected


def test_no_more_parts_are_cut_than_are_looked_at() -> None:
    assert len(bodies(HEAD + b"b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 50_000)) == 60


@pytest.mark.parametrize(
    "line",
    [
        "--- Below this line is a copy of the message.",
        "----- Original message -----",
        "Received: from a.example by b.example; today",
        "Return-Path: <x@y.example>",
    ],
)
@pytest.mark.parametrize(
    "before", ["The mail was refused.", "Die Zustellung schlug fehl: \u00fc", "\u0130stanbul \u0130\u0130"]
)
def test_the_copy_of_our_mail_begins_at_its_line(before: str, line: str) -> None:
    text = f"{before}\nUser unknown\n{line}\nSubject: offer"

    assert text[: find_copy(text)] == f"{before}\nUser unknown\n"


def test_a_text_without_a_copy_has_none() -> None:
    assert find_copy("The header of your mail is bad\nsaid the server") is None


def test_the_lines_that_tell_are_kept_with_the_two_below() -> None:
    said = telling_lines("Hello\n550 5.1.1 no such user\none\ntwo\nthree\nGrund: Postfach voll\nbye")

    assert said == "550 5.1.1 no such user one two Grund: Postfach voll bye"


def test_all_lines_are_kept_where_none_tells() -> None:
    assert telling_lines("Hello\nyou") == "Hello\nyou"
