"""What leaves the machine is what was meant: fast path, signatures and wire, read back by programs of others."""

import email
import re
from email.message import EmailMessage
from email.policy import compat32, default
from typing import Any

import dkim as verifier
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.content.attachments import attach_to_version, store_file
from mailer.content.render import Renderer
from mailer.context import Context
from mailer.delivery import domain_queries, domain_service
from mailer.delivery.dkim import missing_from_signature
from mailer.delivery.dns_lookup import Lookup
from mailer.delivery.loop import send_due
from mailer.delivery.mime import build_skeleton, clean_text
from mailer.schema.content import ContentVersion
from mailer.schema.delivery import Sending
from mailer.schema.workspace import Sender
from tests.delivery.test_dkim import BOTH, verdicts
from tests.delivery.test_mime import HEADERS, SPEC, decoded, read, variable
from tests.support.dns_server import run_dns_server
from tests.support.domain import make_checked_domain, publish
from tests.support.make import make_reader, make_sending, make_topic
from tests.support.sink import Sink

SCRIPTS = [
    "Bjørn Ærlig", "Żółć Gęślą", "Ελένη", "Иван", "Գայանե", "שרה", "محمد", "ܡܪܝܡ", "अनन्या", "অনন্যা", "ਹਰਪ੍ਰੀਤ", "કવિતા",
    "கவிதா", "కవిత", "ಕವಿತಾ", "കവിത", "สมชาย", "ສົມຊາຍ", "မောင်", "თამარ", "ሰላም", "អ្នក", "山田太郎", "김민수",
    "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}\N{VARIATION SELECTOR-16}",
]  # fmt: skip
TRICKS = [
    "x\r\nBcc: evil@x.example", "x\n.\n.x", ".", "..", "\r\n.\r\n", "=?utf-8?q?x=0D=0ABcc:_evil@x.example?=",
    "a" * 3_000, "--=_boundary--", "From here", "tab\tand  spaces ", "\N{BYTE ORDER MARK}x", "=20", "=\r\n",
    "<b>&amp;</b>", "{{ 7*7 }}", "\u2028line\u2029", "é" * 500, "very " * 300,
]  # fmt: skip
HTML = """<!DOCTYPE html><html><body>
<p>Hello {{ contact.name | default('-') }},</p>
.a line that begins with a dot
..two
<p>{{ contact.name | default('-') }} again, with a tail that must be folded somewhere in the middle, æøå</p>
</body></html>"""
TEXT = "Hello {{ contact.name | default('-') }},\n.dot\n\n{{ contact.name | default('-') }}\n" + "x" * 200 + "\nend"
RENDERER = Renderer(HTML, TEXT, "{{ contact.name | default('-') }}: news")
NAME = st.one_of(st.sampled_from([*SCRIPTS, *TRICKS]), st.text(max_size=120))


def normal(text: str) -> str:
    """Line ends as readers see them; what ends a line of a mail is not part of its text."""
    return re.sub(r"\r\n|\r|\n", "\n", text).rstrip("\n")


def body_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return part.get_payload(decode=True).decode("utf-8")  # type: ignore[union-attr] - no multipart


@settings(max_examples=150)
@given(NAME, NAME)
def test_what_went_in_is_what_the_standard_library_reads_back(name: str, list_name: str) -> None:
    context = {"contact": {"name": name}}
    subject = RENDERER.subject(context)
    spec = SPEC.__class__(**{**SPEC.__dict__, "list_name": list_name})
    raw = build_skeleton(spec).assemble(
        variable(subject=subject, to_name=name, text_qp=RENDERER.text_qp(context), html_qp=RENDERER.html_qp(context))
    )

    plain = read(raw)  # CRLF only, no line over 998, no encoded word over 75
    assert sorted(plain.keys()) == HEADERS
    assert decoded(plain["Subject"]) == clean_text(subject)
    assert not [line for line in raw.split(b"\r\n") if line.startswith(b".")]  # nothing to stuff
    for machine in ("List-Unsubscribe", "Message-ID", "Feedback-ID", "X-Message-Ref", "List-Unsubscribe-Post"):
        assert "=?" not in plain[machine]
        assert "\n" not in plain[machine]
    mail = email.message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    assert normal(body_of(mail, "plain")) == normal(RENDERER.text(context))
    assert normal(body_of(mail, "html")) == normal(RENDERER.html(context))
    assert not [defect for part in mail.walk() for defect in part.defects]


@settings(max_examples=40)
@given(NAME)
def test_any_mail_is_signed_so_that_an_independent_verifier_agrees(name: str) -> None:
    context = {"contact": {"name": name}}
    raw = build_skeleton(SPEC).assemble(
        variable(
            subject=RENDERER.subject(context),
            to_name=name,
            text_qp=RENDERER.text_qp(context),
            html_qp=RENDERER.html_qp(context),
        )
    )

    signature = BOTH.sign(raw)

    assert verdicts(signature + raw, 2) == [True, True]
    assert missing_from_signature(signature) == []


def on_the_wire(raw: bytes) -> bytes:
    """Return a captured body as the receiver keeps it: without the final dot, unstuffed (RFC 5321, section 4.5.2)."""
    return re.sub(rb"(?m)^\.\.", b".", raw.removesuffix(b".\r\n"))


@pytest.mark.parametrize("with_ed25519", [False, True])
def test_captured_mails_verify_against_the_published_key(
    sending_ctx: Context, sink: Sink, *, with_ed25519: bool
) -> None:
    ctx = sending_ctx
    row = make_checked_domain(ctx)
    if with_ed25519:
        _add_ed25519(ctx, row)
    sending_id = _send(ctx, SCRIPTS + TRICKS[:7])

    assert len(sink.mails) == len(SCRIPTS) + 7
    with run_dns_server() as dns:
        publish(ctx, dns, row, ("dkim",))
        lookup = Lookup(dns.address)

        def texts(name: bytes, **_: Any) -> bytes:
            return lookup.texts(name.decode())[0].encode()

        for captured in sink.mails:
            raw = on_the_wire(captured.raw)
            count = raw.count(b"DKIM-Signature:")
            assert count == 1 + with_ed25519
            assert [verifier.DKIM(raw).verify(idx=number, dnsfunc=texts) for number in range(count)] == [True] * count
            assert missing_from_signature(raw, (b"List-Unsubscribe", b"List-Unsubscribe-Post", b"From")) == []
            changed = raw.replace(b"Subject: ", b"Subject: no ", 1)
            assert not verifier.DKIM(changed).verify(idx=0, dnsfunc=texts)
    _check_parts(sink, sending_id)


def _add_ed25519(ctx: Context, row: Any) -> None:

    key = domain_service.create_key(ctx, row.id, "ed25519")
    with run_dns_server() as dns:
        publish(ctx, dns, row, ("dkim",))
        domain_service.check_now(ctx, row.id, dns=Lookup(dns.address))
    with ctx.read() as session:
        assert {one.selector: one.is_active for one in domain_queries.list_keys(session, row.id)}[key.selector]


def _send(ctx: Context, names: list[str]) -> int:
    with ctx.write() as session:
        topic = make_topic(session, name="Invitations, våren")
        readers = [
            make_reader(session, topic, f"p{number}@example.com", key=ctx.keys.suppression, first_name=name[:100])
            for number, name in enumerate(names)
        ]
        sending = make_sending(session, ctx, readers, topic)
        version = session.get_one(ContentVersion, session.get_one(Sending, sending.id).content_version_id)
        version.subject = "{{ contact.first_name }}, bli med"
        attach_to_version(
            session, version.id, [store_file(session, "Påmelding våren.pdf", b"%PDF" + bytes(range(256)))]
        )
        assert session.get_one(Sender, sending.sender_id).from_email == "news@example.com"
        sending_id = sending.id
    send_due(ctx, seconds=20)
    return sending_id


def _check_parts(sink: Sink, sending_id: int) -> None:
    """Every mail has the headers of the allow-list once, both bodies and the file."""
    allowed = sorted([*HEADERS, "DKIM-Signature"])
    for captured in sink.mails:
        raw = on_the_wire(captured.raw)
        old = email.message_from_bytes(raw, policy=compat32)
        assert sorted(set(old.keys())) == [name for name in allowed if name != "Reply-To"]
        assert {name: old.keys().count(name) for name in old if name != "DKIM-Signature"} == dict.fromkeys(
            [name for name in HEADERS if name != "Reply-To"], 1
        )
        mail = email.message_from_bytes(raw, policy=default)
        assert isinstance(mail, EmailMessage)
        assert mail.get_content_type() == "multipart/mixed"
        assert [part.get_filename() for part in mail.iter_attachments()] == ["Påmelding våren.pdf"]
        assert captured.header("Feedback-ID").startswith(f"{sending_id}:")
        assert "mailto:u+" in captured.header("List-Unsubscribe")
        assert "Sign up" in body_of(mail, "html")
