"""Bytes of a mail are what parsers of every kind read back (RFC 5322, RFC 2047, RFC 8058)."""

import email
import quopri
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32, default
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.delivery.mime import SkeletonSpec, Variable, build_skeleton, clean_name, clean_text, encode_text

AT = datetime(2026, 3, 1, 9, 5, 7, tzinfo=UTC)
SPEC = SkeletonSpec(
    from_email="news@fjord.example.com",
    from_name="Fjord Seminars",
    reply_to="office@fjord.example.com",
    list_id="topic-3.fjord.example.com",
    list_name="Invitations",
    feedback_id="12:3:marketing:fjord",
)
HEADERS = [
    "Content-Type", "Date", "Feedback-ID", "From", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
    "MIME-Version", "Message-ID", "Reply-To", "Subject", "To", "X-Message-Ref",
]  # fmt: skip
HOSTILE = [
    "=?utf-8?q?x=0D=0ABcc:_evil@x.example?=",
    "x\r\nBcc: evil@x.example",
    "x\nBcc: evil@x.example",
    "x\rBcc: evil@x.example",
    "x\r\n\r\n<script>",
    "a\x00b",
    "a\u2028Bcc: evil@x.example\u2029b\x85c",
    "=?utf-8?b?QmNj?=",
    "half =? open",
    "?= closed",
    "=?utf-8?q?never closed",
    " leading and trailing ",
    "two  spaces",
    "\ud800 lone surrogate",
    "a" * 5_000,
    "word " * 400,
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL}" * 40,
    "Grüße aus Tromsø, æøå",
    "件名" * 60,
    'quotes " and \\ backslash',
    "comma, semicolon; (paren) <angle> @at",
    "\t",
    "",
    "=",
    "a?=b =?c",
]


def variable(**changes: object) -> Variable:
    given: dict[str, object] = {
        "to_email": "ada@example.com",
        "to_name": "Ada Lovelace",
        "subject": "You are invited",
        "message_id": "abc123@bounce.example.com",
        "date": AT,
        "text_qp": b"Hello =E2=98=83\r\n",
        "html_qp": b"<p>Hello =E2=98=83</p>\r\n",
        "unsubscribe_url": "https://m.example.com/u/" + "t" * 40,
        "unsubscribe_mailto": "u+abc@bounce.example.com",
        "reference": "b+abc",
    }
    return Variable(**(given | changes))  # type: ignore[arg-type] - the test's own shorthand


def read(raw: bytes) -> Message:
    """Check the form of every byte, then parse."""
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")
    assert b"\0" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert not [word for word in re.findall(rb"=\?[^\s]*\?=", raw.partition(b"\r\n\r\n")[0]) if len(word) > 75]
    return email.message_from_bytes(raw, policy=compat32)


def test_headers_are_the_allowed_ones_each_once() -> None:
    raw = build_skeleton(SPEC).assemble(variable())

    assert sorted(read(raw).keys()) == HEADERS
    assert raw.isascii()


def test_machine_headers_are_unfolded_and_unencoded() -> None:
    raw = build_skeleton(SPEC).assemble(variable())

    lines = raw.split(b"\r\n")
    url = b"https://m.example.com/u/" + b"t" * 40
    assert b"List-Unsubscribe: <" + url + b">, <mailto:u+abc@bounce.example.com>" in lines
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines
    assert b"Message-ID: <abc123@bounce.example.com>" in lines
    assert b"Date: Sun, 01 Mar 2026 09:05:07 +0000" in lines
    assert b"Feedback-ID: 12:3:marketing:fjord" in lines
    assert b"From: Fjord Seminars <news@fjord.example.com>" in lines
    assert b"Subject: You are invited" in lines


def test_without_an_unsubscribe_url_there_are_no_list_headers() -> None:
    spec = SkeletonSpec(from_email="a@example.com", is_automatic=True)

    mail = read(build_skeleton(spec).assemble(variable(unsubscribe_url="", reference="")))

    assert not [name for name in mail if name.startswith("List-")]
    assert mail["Auto-Submitted"] == "auto-generated"


def test_both_bodies_are_read_back() -> None:
    raw = build_skeleton(SPEC).assemble(variable())

    mail = email.message_from_bytes(raw, policy=default)

    text, html = mail.iter_parts()
    assert text.get_content().strip() == "Hello \N{SNOWMAN}"
    assert html.get_content().strip() == "<p>Hello \N{SNOWMAN}</p>"
    assert mail.get_content_type() == "multipart/alternative"
    assert not list(mail.defects)


def test_a_mail_of_text_alone_has_one_part() -> None:
    raw = build_skeleton(SkeletonSpec(from_email="a@example.com", has_html=False)).assemble(variable())

    mail = email.message_from_bytes(raw, policy=default)

    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().strip() == "Hello \N{SNOWMAN}"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_any_place_changes_no_other_header(text: str) -> None:
    spec = SkeletonSpec(**{**SPEC.__dict__, "from_name": text, "list_name": text})

    mail = read(build_skeleton(spec).assemble(variable(subject=text, to_name=text)))

    assert sorted(mail.keys()) == HEADERS
    assert decoded(mail["Subject"]) == clean_text(text)
    for name, address in (("From", "news@fjord.example.com"), ("To", "ada@example.com")):
        assert mail[name].endswith(f"<{address}>")
        assert mail[name].count("@") - unencoded(clean_text(text)).count("@") <= 1


def unencoded(text: str) -> str:
    """Return what of `text` stands in a header as it is."""
    return text if text.isascii() and "=?" not in text else ""


def decoded(value: str) -> str:
    return str(make_header(decode_header(re.sub(r"\r\n ", " ", value) if "=?" not in value else value)))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=150), st.text(max_size=60))
def test_subject_and_name_are_read_back_as_cleaned(subject: str, name: str) -> None:
    raw = build_skeleton(SPEC).assemble(variable(subject=subject, to_name=name))

    mail = read(raw)
    assert sorted(mail.keys()) == HEADERS
    assert decoded(mail["Subject"]) == clean_text(subject)
    shown, address = parseaddr(re.sub(r"\r\n ", " ", mail["To"]))  # the newer parser parts encoded words by a space
    assert address == "ada@example.com"
    assert decoded(shown).split() == clean_name(name).split()  # parsers make runs of any white space one


@given(
    st.text(
        alphabet=st.characters(min_codepoint=0x80, max_codepoint=0x1FFFF, exclude_categories=["Cs", "Cc"]),
        min_size=1,
        max_size=200,
    )
)
def test_no_encoded_word_splits_a_character(text: str) -> None:
    for word in encode_text(text, 9).split(b"\r\n "):
        assert len(word) <= 75
        assert (
            "\N{REPLACEMENT CHARACTER}" not in str(make_header(decode_header(word.decode("ascii")))) or "\ufffd" in text
        )


@given(st.text(max_size=500))
def test_quoted_printable_never_holds_the_boundary(text: str) -> None:
    encoded = quopri.encodestring(text.encode()).replace(b"\n", b"\r\n")

    mail = email.message_from_bytes(build_skeleton(SPEC).assemble(variable(text_qp=encoded)), policy=compat32)

    assert len(mail.get_payload()) == 2


@pytest.mark.parametrize("bad", ["a b", "a\r\nX: y", "a<b", "a>b", "", "\u00e9"])
def test_machine_text_that_no_header_can_carry_is_refused(bad: str) -> None:
    skeleton = build_skeleton(SPEC)

    with pytest.raises(ValueError, match="visible ASCII"):
        skeleton.assemble(variable(message_id=bad))
    with pytest.raises(ValueError, match="address"):
        skeleton.assemble(variable(to_email=bad))


def test_a_utf8_local_part_stays_utf8() -> None:
    raw = build_skeleton(SPEC).assemble(variable(to_email="jürgen@example.com", to_name=""))

    assert "To: <jürgen@example.com>".encode() in raw.split(b"\r\n")
