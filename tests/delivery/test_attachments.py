"""Attached files arrive with their bytes and their names, whatever the names are (RFC 2045, RFC 2183, RFC 2231)."""

import email
import re
from email.message import EmailMessage, Message
from email.policy import compat32, default

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.content.attachments import clean_file_name, guess_media_type
from mailer.delivery.attachments import Attachment, encode_attachment, encode_base64
from mailer.delivery.mime import Skeleton, SkeletonSpec, build_skeleton
from tests.delivery.test_mime import HEADERS, SPEC, read, variable

NAMES = [
    "agenda.pdf",
    "Program og påmelding våren.pdf",
    "議程.pdf",
    "a" * 140 + ".pdf",
    "長" * 120 + ".pdf",
    'quote".pdf',
    "semi;colon.pdf",
    "percent%41.pdf",
    "apostrophe'.pdf",
    "back\\slash.pdf",
    "=?utf-8?q?x=0D=0ABcc:_evil@x.example?=.pdf",
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL}.png",
    "dots...pdf",
    "no ending",
    "Ünïcode",
    ".hidden",
    "%",
]


def parts_of(raw: bytes) -> list[EmailMessage]:
    mail = email.message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    assert not _defects(mail)
    return list(mail.iter_attachments())


def _defects(mail: Message) -> list[object]:
    return [defect for part in mail.walk() for defect in part.defects]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_arrives_with_its_name_and_bytes(name: str) -> None:
    data = bytes(range(256)) * 40
    raw = build_skeleton(SPEC, [Attachment(name, "application/pdf", data)]).assemble(variable())

    mail = read(raw)
    assert sorted(mail.keys()) == HEADERS
    (part,) = parts_of(raw)
    assert part.get_filename() == name
    assert part.get_content() == data
    assert part.get_content_type() == "application/pdf"
    assert part.get_content_disposition() == "attachment"
    old = email.message_from_bytes(raw, policy=compat32).get_payload()[1]
    assert old.get_filename() == name
    assert set(part.keys()) == {"Content-Type", "Content-Disposition", "Content-Transfer-Encoding"}


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_short_ascii_and_names_a_likeness_for_old_readers(name: str) -> None:
    raw = encode_attachment(Attachment(name, "application/pdf", b"x"))

    head = raw.partition(b"\r\n\r\n")[0]
    assert raw.isascii()
    assert max(map(len, head.split(b"\r\n"))) <= 78
    assert re.search(rb'\r\n name="[A-Za-z0-9 _-]+(\.[A-Za-z0-9]+)?"\r\n', head)


def test_text_and_html_stay_an_alternative_beside_the_files() -> None:
    files = [Attachment("a.txt", "text/plain", b"one"), Attachment("b.bin", "application/octet-stream", b"")]
    raw = build_skeleton(SPEC, files).assemble(variable())

    mail = email.message_from_bytes(raw, policy=default)
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/plain",
        "application/octet-stream",
    ]  # fmt: skip
    assert mail.get_body(("plain",)).get_content().strip() == "Hello \N{SNOWMAN}"
    assert mail.get_body(("html",)).get_content().strip() == "<p>Hello \N{SNOWMAN}</p>"
    assert [part.get_payload(decode=True) for part in mail.iter_attachments()] == [b"one", b""]


def test_a_mail_of_text_alone_may_carry_files() -> None:
    spec = SkeletonSpec(from_email="a@example.com", has_html=False)
    raw = build_skeleton(spec, [Attachment("a.pdf", "application/pdf", b"%PDF")]).assemble(variable())

    mail = email.message_from_bytes(raw, policy=default)
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/mixed", "text/plain", "application/pdf"]
    assert mail.get_body(("plain",)).get_content().strip() == "Hello \N{SNOWMAN}"
    assert not _defects(mail)


@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/mixed", "text", "a/b\r\nX: y", "", "TEXT/html; x=y"])
def test_a_type_that_base64_cannot_carry_becomes_plain_bytes(kind: str) -> None:
    raw = encode_attachment(Attachment("a.eml", kind, b"x"))

    assert raw.startswith(b"Content-Type: application/octet-stream;")


def test_base64_lines_are_76_long_and_end_in_crlf() -> None:
    encoded = encode_base64(b"x" * 200)

    assert [len(line) for line in encoded.split(b"\r\n")] == [76, 76, 76, 40, 0]
    assert encode_base64(b"") == b""


def test_files_are_encoded_once_for_all_mails() -> None:
    skeleton = build_skeleton(SPEC, [Attachment("a.pdf", "application/pdf", b"x" * 100_000)])

    assert isinstance(skeleton, Skeleton)
    assert encode_base64(b"x" * 100_000) in skeleton.end
    assert skeleton.assemble(variable()).endswith(skeleton.end)


@settings(max_examples=80)
@given(st.text(max_size=80).map(clean_file_name).filter(bool), st.binary(max_size=400))
def test_any_cleaned_name_and_any_bytes_are_read_back(name: str, data: bytes) -> None:
    raw = build_skeleton(SPEC, [Attachment(name, guess_media_type(name), data)]).assemble(variable())

    assert sorted(read(raw).keys()) == HEADERS
    part = email.message_from_bytes(raw, policy=compat32).get_payload()[1]
    assert part.get_filename() == name
    assert part.get_payload(decode=True) == data


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("C:\\Users\\ada\\agenda.pdf", "agenda.pdf"),
        ("../../etc/passwd", "passwd"),
        ("\u00a0agenda.pdf\u2003", "agenda.pdf"),
        ("\u00a0", ""),
        ("a\r\nBcc: x.pdf", "aBcc: x.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("  .  ", ""),
        ("x" * 300 + ".pdf", "x" * 146 + ".pdf"),
    ],
)
def test_a_name_is_cleaned_to_what_a_file_is_called(given_name: str, expected: str) -> None:
    assert clean_file_name(given_name) == expected
