"""Signatures hold for an independent verifier, and for nothing that was changed (RFC 6376, RFC 8463)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import dkim as verifier
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.delivery.dkim import (
    ED25519,
    RSA,
    Signer,
    SigningKey,
    canonical_body,
    generate_key,
    key_record,
    load_key,
    missing_from_signature,
    public_text,
)
from mailer.delivery.mime import SkeletonSpec, Variable, build_skeleton

RSA_KEY = load_key("m1", generate_key(RSA))
ED_KEY = load_key("m2", generate_key(ED25519))
BOTH = Signer("fjord.example.com", (RSA_KEY, ED_KEY))
SPEC = SkeletonSpec(
    from_email="news@fjord.example.com",
    from_name="Fjord Seminars",
    reply_to="office@fjord.example.com",
    list_id="topic-3.fjord.example.com",
    list_name="Invitations, våren",
    feedback_id="12:3:marketing:fjord",
)
MAIL = build_skeleton(SPEC).assemble(
    Variable(
        to_email="ada@example.com",
        to_name="Ada Lovelace",
        subject="Grüße aus Tromsø, a subject that is long enough to be folded more than once over two lines",
        message_id="abc123@bounce.example.com",
        date=datetime(2026, 3, 1, 9, 5, 7, tzinfo=UTC),
        text_qp=b"Hello =E2=98=83\r\n  indented\tby tabs \t \r\n\r\n\r\n",
        html_qp=b"<p>Hello    =E2=98=83</p>\r\n",
        unsubscribe_url="https://m.example.com/u/" + "t" * 40,
        unsubscribe_mailto="u+abc@bounce.example.com",
        reference="b+abc",
    )
)


def published(*keys: SigningKey) -> Callable[..., bytes]:
    """DNS as the verifier asks it."""
    records = {
        f"{key.selector}._domainkey.fjord.example.com.".encode(): key_record(key.algorithm, public_text(key)).encode()
        for key in keys
    }
    return lambda name, **_: records.get(name, b"")


def verdicts(mail: bytes, count: int) -> list[bool]:
    """The independent verifier's word on each of the signatures, from the top."""
    found = []
    for index in range(count):
        try:
            found.append(verifier.DKIM(mail).verify(idx=index, dnsfunc=published(RSA_KEY, ED_KEY)))
        except verifier.DKIMException:
            found.append(False)
    return found


def test_both_signatures_hold_for_an_independent_verifier() -> None:
    signed = BOTH.sign(MAIL) + MAIL

    assert signed.count(b"DKIM-Signature:") == 2
    assert verdicts(signed, 2) == [True, True]


def test_every_line_of_the_header_is_short_ascii() -> None:
    header = BOTH.sign(MAIL)

    assert header.isascii()
    assert header.endswith(b"\r\n")
    assert max(map(len, header.split(b"\r\n"))) <= 78
    assert b"\r\n\r\n" not in header


def test_every_signed_header_is_named_once_more_than_it_stands() -> None:
    header = Signer("fjord.example.com", (RSA_KEY,)).sign(MAIL)

    tag = re.search(rb";\s*h=([^;]*)", header)
    assert tag is not None
    names = [name.strip().lower() for name in tag[1].split(b":")]
    assert names.count(b"from") == 2
    assert {names.count(name) for name in set(names)} == {2}


def test_both_unsubscribe_headers_are_signed() -> None:
    assert missing_from_signature(BOTH.sign(MAIL)) == []


def test_the_lint_tells_an_unsubscribe_header_that_is_not_signed() -> None:
    header = BOTH.sign(MAIL).replace(b"List-Unsubscribe-Post", b"X-Other")

    assert missing_from_signature(header) == [b"List-Unsubscribe-Post"]


def test_no_length_is_signed() -> None:
    assert not re.search(rb"[;\s]l=", BOTH.sign(MAIL))


@settings(max_examples=150)
@given(st.integers(0, len(MAIL) - 1), st.integers(1, 255))
def test_a_changed_byte_breaks_both_signatures(place: int, flip: int) -> None:
    """Except where relaxed canonicalization or the choice of signed headers lets the change pass on purpose."""
    changed = bytearray(MAIL)
    changed[place] ^= flip
    signer_lines = BOTH.sign(MAIL)
    if _means_the_same(bytes(changed)):
        return

    assert verdicts(signer_lines + bytes(changed), 2) == [False, False]


def _means_the_same(changed: bytes) -> bool:
    """Whether a verifier is to see no difference, judged by the verifier's own canonicalization."""
    try:
        headers, body = verifier.rfc822_parse(changed)
        old_headers, old_body = verifier.rfc822_parse(MAIL)
    except verifier.MessageFormatError:
        return False
    relaxed = verifier.CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    unsigned = (b"x-message-ref", b"auto-submitted")
    seen = [pair for pair in relaxed.canonicalize_headers(headers) if pair[0] not in unsigned]
    before = [pair for pair in relaxed.canonicalize_headers(old_headers) if pair[0] not in unsigned]
    unknown = [pair for pair in seen if pair not in before]
    is_only_unsigned_new = all(pair[0].title() not in _signed_names() for pair in unknown)
    kept = [pair for pair in before if pair not in seen]
    return relaxed.canonicalize_body(body) == relaxed.canonicalize_body(old_body) and not kept and is_only_unsigned_new


def _signed_names() -> set[bytes]:
    return {b"From", b"Date", b"Subject", b"To", b"Message-Id", b"Mime-Version", b"Content-Type", b"Reply-To"}


@pytest.mark.parametrize(
    "added",
    [
        b"From: boss@fjord.example.com\r\n",
        b"Subject: something else\r\n",
        b"To: somebody@example.com\r\n",
        b"Reply-To: thief@example.com\r\n",
        b"Content-Type: text/html\r\n",
        b"List-Unsubscribe: <https://thief.example.com/>\r\n",
    ],
)
@pytest.mark.parametrize("is_on_top", [True, False])
def test_a_second_header_of_a_signed_name_breaks_the_signature(added: bytes, *, is_on_top: bool) -> None:
    signature = BOTH.sign(MAIL)
    mail = (
        added + signature + MAIL if is_on_top else signature + MAIL.replace(b"\r\n\r\n", b"\r\n" + added + b"\r\n", 1)
    )

    assert verdicts(mail, 2) == [False, False]


def test_a_key_of_somebody_else_does_not_verify() -> None:
    stranger = Signer("fjord.example.com", (load_key("m1", generate_key(RSA)),))

    assert verdicts(stranger.sign(MAIL) + MAIL, 1) == [False]


LINES = st.lists(
    st.one_of(
        st.binary(max_size=30).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")),
        st.sampled_from([b"", b" ", b"\t", b"a  b", b" lead", b"trail \t", b"=20", b".", b"..", b"x" * 76, b"   "]),
    ),
    max_size=12,
)


@settings(max_examples=200)
@given(LINES, st.booleans())
def test_any_body_is_signed_as_the_verifier_reads_it(lines: list[bytes], ends: bool) -> None:
    body = b"\r\n".join(lines) + (b"\r\n" if ends else b"")
    mail = b"From: a@fjord.example.com\r\nSubject: x\r\n\r\n" + body
    signer = Signer("fjord.example.com", (ED_KEY,))
    on_the_wire = mail if mail.endswith(b"\r\n") else mail + b"\r\n"  # SMTP ends every line

    assert verdicts(signer.sign(mail) + on_the_wire, 1) == [True]


VALUES = st.text(alphabet=' \tabcæøÅ:=?;,<>@"\\', max_size=40).map(lambda text: text.encode())


@settings(max_examples=150)
@given(VALUES, VALUES, st.sampled_from([b": ", b":", b":\t "]))
def test_any_header_is_signed_as_the_verifier_reads_it(value: bytes, other: bytes, colon: bytes) -> None:
    fold = b"\r\n " + other if other.strip() else b""
    mail = b"FROM" + colon + b"a@fjord.example.com\r\nsubject" + colon + b"s" + value + fold + b"\r\n\r\nbody\r\n"
    signer = Signer("fjord.example.com", (ED_KEY,))

    assert verdicts(signer.sign(mail) + mail, 1) == [True]


def test_a_body_in_canonical_form_is_not_copied() -> None:
    body = b"line\r\n" * 100

    assert canonical_body(body) is body


@pytest.mark.parametrize("mail", [b"", b"From: a@example.com\r\n", b"Subject: x\r\n\r\nbody\r\n"])
def test_what_is_no_mail_is_refused(mail: bytes) -> None:
    with pytest.raises(ValueError, match="a mail without"):
        BOTH.sign(mail)


def test_no_private_key_is_shown() -> None:
    assert "private" not in repr(BOTH)
    assert repr(RSA_KEY) == "SigningKey(selector='m1')"
