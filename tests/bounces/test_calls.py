"""Providers call over HTTP: a call proves itself, is stored before it is understood, and goes the way of reports."""
# ruff: noqa: E501 - samples are kept on their lines

import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import select, update

from mailer.bounces import calls, certificates, endpoints, service
from mailer.bounces.webhooks.call import MAX_BYTES
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import SetupError, UntrustedRequestError
from mailer.schema.bounces import BounceReport, WebhookCall, WebhookEndpoint
from mailer.schema.consent import Suppression
from mailer.schema.delivery import Message
from mailer.statuses import MessageState, Provider
from mailer.tokens import verp_local
from tests.bounces.test_service import events, make_message
from tests.support.engines import on_one_engine
from tests.support.webserver import serve_pages

RELAY_ID = "0100018f-abc-000000"
Sent = tuple[bytes, dict[str, str]]
EC = ec.generate_private_key(ec.SECP256R1())
EC_PUBLIC = base64.b64encode(EC.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
RSA = rsa.generate_private_key(65537, 2048)
PEM_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
SVIX = "whsec_" + base64.b64encode(b"secret of svix").decode()


@pytest.fixture
def web(ctx: Context) -> Iterator[str]:
    with serve_pages(ctx) as address:
        yield address


def post(web: str, path: str, sent: Sent, method: str = "POST") -> int:
    connection = http.client.HTTPConnection(urlsplit(web).netloc, timeout=20)
    connection.request(method, path, sent[0], sent[1])
    status = connection.getresponse().status
    connection.close()
    return status


def open_door(ctx: Context, provider: Provider, key: str = "") -> tuple[str, str]:
    """Return path and whole address of a new endpoint."""
    row = endpoints.add_endpoint(ctx, provider.value, key=key)
    address = endpoints.shown_address(ctx, row)
    return urlsplit(address).path, address


def json_sent(body: Any, **headers: str) -> Sent:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return json.dumps(body).encode(), {"Content-Type": "application/json", **named}


def by_password(address: str, body: Any) -> Sent:
    parts = urlsplit(address)
    return json_sent(
        body, Authorization="Basic " + base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    )


def mac(key: str, text: bytes, algorithm: str = "sha256") -> "hmac.HMAC":
    return hmac.new(key.encode(), text, algorithm)


def sns(ctx: Context, said: dict[str, Any], *, version: str = "2", kind: str = "Notification") -> Sent:
    certificates.keep_certificate(PEM_URL, certificate())
    envelope = {
        "Type": kind, "MessageId": "e1", "TopicArn": "arn:t", "Message": json.dumps(said),
        "Timestamp": "2026-11-22T09:00:00.000Z", "SignatureVersion": version, "SigningCertURL": PEM_URL,
    }  # fmt: skip
    names = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in names).encode()
    algorithm = SHA256() if version == "2" else SHA1()
    signature = RSA.sign(signed, padding.PKCS1v15(), algorithm)
    return json_sent({**envelope, "Signature": base64.b64encode(signature).decode()})


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = utc_now()
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(RSA.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).sign(RSA, SHA256())
    )  # fmt: skip
    return built.public_bytes(Encoding.PEM)


def ses_bounce() -> dict[str, Any]:
    failed = [{"emailAddress": "ada@example.org", "diagnosticCode": "smtp; 550 5.1.1 user unknown", "status": "5.1.1"}]
    return {
        "eventType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": failed},
        "mail": {"messageId": RELAY_ID, "destination": ["ada@example.org"]},
    }


def svix(body: Any) -> Sent:
    raw, stamp = json.dumps(body).encode(), str(int(utc_now().timestamp()))
    key = base64.b64decode(SVIX.removeprefix("whsec_"))
    given = base64.b64encode(hmac.new(key, f"id1.{stamp}.".encode() + raw, hashlib.sha256).digest()).decode()
    headers = {"svix-id": "id1", "svix-timestamp": stamp, "svix-signature": f"v1,bm9uc2Vuc2U= v1,{given}"}
    return raw, {"Content-Type": "application/json", **headers}


def sendgrid(body: Any) -> Sent:
    raw = json.dumps(body).encode()
    signature = base64.b64encode(EC.sign(b"1700000000" + raw, ec.ECDSA(SHA256()))).decode()
    name = "X-Twilio-Email-Event-Webhook-"
    return raw, {f"{name}Signature": signature, f"{name}Timestamp": "1700000000", "Content-Type": "application/json"}


def mailgun(token: str = "t1", **data: Any) -> Sent:
    signed = {
        "timestamp": "1700000000",
        "token": token,
        "signature": mac("k", f"1700000000{token}".encode()).hexdigest(),
    }
    return json_sent({"signature": signed, "event-data": data})


def mandrill(address: str, rows: list[Any]) -> Sent:
    events_text = json.dumps(rows)
    signed = f"{address}mandrill_events{events_text}".encode()
    given = base64.b64encode(mac("k", signed, "sha1").digest()).decode()
    form = urlencode({"mandrill_events": events_text}).encode()
    return form, {"Content-Type": "application/x-www-form-urlencoded", "X-Mandrill-Signature": given}


def mailersend(body: Any) -> Sent:
    raw = json.dumps(body).encode()
    return raw, {"Signature": mac("k", raw).hexdigest(), "Content-Type": "application/json"}


HARD: dict[Provider, tuple[str, Callable[[Context, str], Sent]]] = {
    Provider.SES: ("arn:t", lambda ctx, _: sns(ctx, ses_bounce())),
    Provider.SENDGRID: (EC_PUBLIC, lambda *_: sendgrid(
        [{"event": "bounce", "email": "ada@example.org", "sg_message_id": RELAY_ID, "reason": "550 user unknown"}])),
    Provider.MAILGUN: ("k", lambda *_: mailgun(
        event="failed", severity="permanent", recipient="ada@example.org", message={"headers": {"message-id": RELAY_ID}})),
    Provider.POSTMARK: ("", lambda _, address: by_password(address, {
        "RecordType": "Bounce", "Type": "HardBounce", "Email": "ada@example.org", "MessageID": RELAY_ID})),
    Provider.SPARKPOST: ("", lambda _, address: by_password(address, [{"msys": {"message_event": {
        "type": "bounce", "bounce_class": "10", "raw_rcpt_to": "ada@example.org", "transmission_id": RELAY_ID}}}])),
    Provider.BREVO: ("", lambda _, address: by_password(address, {
        "event": "hard_bounce", "email": "ada@example.org", "message-id": RELAY_ID})),
    Provider.MAILJET: ("", lambda _, address: by_password(address, [
        {"event": "bounce", "hard_bounce": True, "email": "ada@example.org", "MessageID": RELAY_ID}])),
    Provider.MANDRILL: ("k", lambda _, address: mandrill(address, [
        {"event": "hard_bounce", "_id": RELAY_ID, "msg": {"email": "ada@example.org"}}])),
    Provider.MAILERSEND: ("k", lambda *_: mailersend({"data": {"type": "hard_bounced", "email": {
        "recipient": {"email": "ada@example.org"}, "message": {"id": RELAY_ID}}}})),
    Provider.RESEND: (SVIX, lambda *_: svix({"type": "email.bounced", "data": {
        "email_id": RELAY_ID, "to": ["ada@example.org"], "bounce": {"type": "Permanent", "message": "no such user"}}})),
}  # fmt: skip


def work(ctx: Context) -> None:
    calls.process_calls(ctx)
    service.process_reports(ctx)


def suppressed(ctx: Context) -> list[str]:
    with ctx.read() as session:
        return list(session.scalars(select(Suppression.reason)))


def test_a_hard_bounce_that_a_provider_signs_is_applied_once(ctx: Context, web: str) -> None:
    """Each of the ten in its own way; all of them about one message, which bounces once."""
    message_id = make_message(ctx, relay_message_id=RELAY_ID)
    for provider, (key, make) in HARD.items():
        path, address = open_door(ctx, provider, key)
        sent = make(ctx, address)

        assert [post(web, path, sent), post(web, path, sent)] == [200, 200], provider
        work(ctx)

    assert [event[:2] for event in events(ctx)] == [("hard_bounce", "user_unknown")]
    assert suppressed(ctx) == ["hard_bounce"]
    with ctx.read() as session:
        reports = session.scalars(select(BounceReport)).all()
        assert {report.source for report in reports} == {f"webhook:{provider}" for provider in Provider}
        assert {(report.message_id, report.matched_by) for report in reports} == {(message_id, "relay_id")}
        assert {tuple(report.recipients) for report in reports} == {("ada@example.org",)}
        assert set(session.scalars(select(WebhookCall.body))) == {None}
        endpoints_now = session.scalars(select(WebhookEndpoint)).all()
        assert {(one.calls, one.last_outcome, one.refused) for one in endpoints_now} == {(2, "repeated", 0)}


@on_one_engine
def test_a_call_that_does_not_prove_itself_is_refused_and_not_stored(ctx: Context, web: str) -> None:
    for provider, (key, make) in HARD.items():
        path, address = open_door(ctx, provider, key)
        body, headers = make(ctx, address)
        kind = {"Content-Type": headers["Content-Type"]}
        wrong = {name: value if name in kind else value[:-4] + "AAA=" for name, value in headers.items()}
        forged = body.replace(b'"k"', b"").replace(b"signature", b"sign").replace(b"Signature", b"Sign")
        for sent in ((forged, kind), (forged, wrong), (b"{}", kind), (b"\xff\x00", kind)):
            assert post(web, path, sent) == 400, (provider, sent)

    with ctx.read() as session:
        assert session.scalars(select(WebhookCall.id)).all() == []
        assert {one.refused for one in session.scalars(select(WebhookEndpoint))} == {4}


@on_one_engine
def test_a_changed_body_does_not_pass_where_the_body_is_signed(ctx: Context, web: str) -> None:
    for provider in (Provider.SENDGRID, Provider.MAILERSEND, Provider.RESEND, Provider.MANDRILL, Provider.SES):
        key, make = HARD[provider]
        path, address = open_door(ctx, provider, key)
        body, headers = make(ctx, address)
        assert post(web, path, (body.replace(b"ada", b"bob"), headers)) == 400


@on_one_engine
def test_a_token_of_mailgun_counts_once(ctx: Context, web: str) -> None:
    """Its body is not signed: with another body the same signature changes nothing."""
    path, _ = open_door(ctx, Provider.MAILGUN, "k")

    assert post(web, path, mailgun("t1", event="delivered")) == 200
    assert post(web, path, mailgun("t1", event="complained", recipient="ada@example.org")) == 200

    with ctx.read() as session:
        assert len(session.scalars(select(WebhookCall.id)).all()) == 1


@on_one_engine
def test_an_address_that_is_none_is_not_found(ctx: Context, web: str) -> None:
    """Made up, of another provider, or switched off."""
    path, _ = open_door(ctx, Provider.MAILGUN, "k")
    for wrong in ("/webhooks/ses/nonsense", "/webhooks/nobody/x", path.replace("mailgun", "mailersend"), path + "x"):
        assert post(web, wrong, mailgun(event="delivered")) == 404
    with ctx.write() as session:
        session.execute(update(WebhookEndpoint).values(is_enabled=False))

    assert post(web, path, mailgun(event="delivered")) == 404


@on_one_engine
def test_a_call_that_is_too_large_is_refused_unread(ctx: Context, web: str) -> None:
    path, _ = open_door(ctx, Provider.MAILERSEND, "k")

    kind = {"Content-Type": "application/json"}
    assert post(web, path, (b"x" * 3_000_000, kind)) == 400, "larger than a form may be, but read: a provider's call"
    assert post(web, path, (b"x" * (MAX_BYTES + 1), kind)) == 413


@on_one_engine
def test_the_provider_is_to_call_again_when_we_fail(ctx: Context, web: str) -> None:
    path, _ = open_door(ctx, Provider.MAILERSEND, "k")
    with ctx.write() as session:
        session.execute(update(WebhookEndpoint).values(secret=b"damaged"))

    assert post(web, path, mailersend({})) == 500


@on_one_engine
def test_a_look_before_the_first_call_is_answered(ctx: Context, web: str) -> None:
    path, _ = open_door(ctx, Provider.MANDRILL, "k")

    assert [post(web, path, (b"", {}), method) for method in ("GET", "HEAD")] == [200, 200]


@on_one_engine
def test_an_unknown_message_changes_nothing_and_is_kept(ctx: Context, web: str) -> None:
    make_message(ctx)
    path, address = open_door(ctx, Provider.POSTMARK)

    assert post(web, path, HARD[Provider.POSTMARK][1](ctx, address)) == 200
    work(ctx)

    assert events(ctx) == []
    with ctx.read() as session:
        assert session.scalars(select(BounceReport.state)).all() == ["unmatched"]


def test_a_delivery_settles_an_unknown_message_without_a_report(ctx: Context, web: str) -> None:
    message_id = make_message(ctx, relay_message_id=RELAY_ID, state=MessageState.UNKNOWN.value, accepted_at=None)
    path, address = open_door(ctx, Provider.POSTMARK)

    post(
        web,
        path,
        by_password(address, {"RecordType": "Delivery", "Recipient": "ada@example.org", "MessageID": RELAY_ID}),
    )
    work(ctx)

    with ctx.read() as session:
        assert session.get_one(Message, message_id).state == MessageState.ACCEPTED
        assert session.scalars(select(BounceReport.id)).all() == []


@on_one_engine
def test_our_token_in_what_the_provider_passes_on_finds_the_message(ctx: Context, web: str) -> None:
    message_id = make_message(ctx)
    local = service_token(ctx, message_id)
    path, address = open_door(ctx, Provider.BREVO)

    post(web, path, by_password(address, {"event": "spam", "email": "ada@example.org", "X-Mailin-custom": local}))
    work(ctx)

    assert [event[0] for event in events(ctx)] == ["complaint"]


def service_token(ctx: Context, message_id: int) -> str:
    return verp_local(ctx.keys, message_id, ctx.keys.current)


def test_a_call_of_many_events_becomes_a_report_each(ctx: Context, web: str) -> None:
    path, _ = open_door(ctx, Provider.SENDGRID, EC_PUBLIC)
    rows = [{"event": "spamreport", "email": f"p{n}@example.org", "sg_event_id": str(n)} for n in range(30)]

    post(web, path, sendgrid([*rows, {"event": "open"}, {"event": "never heard of"}]))
    work(ctx)

    with ctx.read() as session:
        reports = session.scalars(select(BounceReport)).all()
        assert len(reports) == 30
        assert {len(report.recipients) for report in reports} == {1}
        assert "1 of 32 events" in session.scalars(select(WebhookEndpoint.last_note)).one()


@on_one_engine
def test_a_call_that_cannot_be_read_is_tried_again_and_told(ctx: Context, web: str) -> None:
    path, address = open_door(ctx, Provider.POSTMARK)
    body, headers = by_password(address, {})
    assert post(web, path, (b"no json" + body, headers)) == 200

    for _ in range(8):
        calls.process_calls(ctx)
        with ctx.write() as session:
            session.execute(update(WebhookCall).values(retry_at=None))

    with ctx.read() as session:
        call = session.scalars(select(WebhookCall)).one()
        assert (call.state, call.attempts) == ("failed", 8)
        assert call.body is not None
        assert "could not be read" in session.scalars(select(WebhookEndpoint.last_note)).one()


@on_one_engine
def test_both_versions_of_amazons_signature_are_read_and_another_topic_is_refused(ctx: Context, web: str) -> None:
    path, _ = open_door(ctx, Provider.SES)
    other, _ = open_door(ctx, Provider.SES, "arn:another")

    assert [post(web, path, sns(ctx, ses_bounce(), version=version)) for version in ("1", "2")] == [200, 200]
    assert post(web, other, sns(ctx, ses_bounce())) == 400


@pytest.mark.parametrize(
    "url",
    ["https://sns.eu-west-1.amazonaws.com.example.net/x.pem", "https://example.net/sns.eu-west-1.amazonaws.com/x.pem",
     "http://sns.eu-west-1.amazonaws.com/x.pem", "https://sns.eu-west-1.amazonaws.com@example.net/x.pem",
     "https://s3.amazonaws.com/bucket/x.pem", "https://127.0.0.1/x.pem", "https://sns.eu-west-1.amazonaws.com/x.txt", ""],
)  # fmt: skip
def test_a_certificate_comes_from_amazon_alone(url: str) -> None:
    with pytest.raises(UntrustedRequestError):
        certificates.fetch_certificate(url)


@on_one_engine
def test_a_subscription_is_confirmed_at_amazon_alone(ctx: Context, web: str) -> None:
    """The signature fits, but the address to confirm is somebody else's: nothing is fetched."""
    path, _ = open_door(ctx, Provider.SES)
    certificates.keep_certificate(PEM_URL, certificate())
    envelope = {
        "Type": "SubscriptionConfirmation", "MessageId": "e1", "TopicArn": "arn:t", "Message": "m", "Token": "t",
        "SubscribeURL": "https://127.0.0.1/confirm", "Timestamp": "2026-11-22T09:00:00.000Z",
        "SignatureVersion": "2", "SigningCertURL": PEM_URL,
    }  # fmt: skip
    names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in names).encode()
    signature = base64.b64encode(RSA.sign(signed, padding.PKCS1v15(), SHA256())).decode()

    assert post(web, path, json_sent({**envelope, "Signature": signature})) == 400
    assert post(web, path, json_sent(envelope)) == 400


@on_one_engine
def test_without_an_address_of_ours_nobody_can_be_told_to_call(make_ctx: Callable[..., Context]) -> None:
    with pytest.raises(SetupError):
        endpoints.add_endpoint(make_ctx(public_url=""), "postmark")


@on_one_engine
def test_the_secrets_of_an_endpoint_are_sealed(ctx: Context) -> None:
    row = endpoints.add_endpoint(ctx, "mailgun", key="a very secret key")
    address = endpoints.shown_address(ctx, row)

    assert b"secret key" not in row.secret
    assert address.rpartition("/")[2].encode() not in row.secret + row.path_hash
