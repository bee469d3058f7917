"""Calls as each provider sends and signs them, for the tests of the way in over HTTP."""

import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from mailer.bounces import certificates, endpoints
from mailer.clock import utc_now
from mailer.context import Context
from mailer.statuses import Provider

RELAY_ID = "0100018f-abc-000000"
Sent = tuple[bytes, dict[str, str]]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
PEM_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
SVIX = "whsec_" + base64.b64encode(b"secret of svix").decode()


def show_key(key: PrivateKey) -> str:
    """Return a public key as SendGrid shows it."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def post(web: str, path: str, sent: Sent, method: str = "POST") -> int:
    """Return the status that a call is answered with."""
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
    given = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    return json_sent(body, Authorization=f"Basic {given}")


def mac(key: str, text: bytes, algorithm: str = "sha256") -> "hmac.HMAC":
    return hmac.new(key.encode(), text, algorithm)


def now_stamp() -> str:
    return str(int(utc_now().timestamp()))


def sns(said: dict[str, Any], *, version: str = "2") -> Sent:
    return sign_sns({"Type": "Notification", "Message": json.dumps(said)}, version=version)


def sign_sns(fields: dict[str, Any], *, version: str = "2") -> Sent:
    """Return what SNS sends for `fields`, signed over all of them (its guide: verifying signatures)."""
    certificates.keep_certificate(PEM_URL, certificate())
    signed_fields = {**fields, "MessageId": "e1", "TopicArn": "arn:t", "Timestamp": "2026-11-22T09:00:00.000Z"}
    signed = "".join(f"{name}\n{signed_fields[name]}\n" for name in sorted(signed_fields)).encode()
    signature = RSA.sign(signed, padding.PKCS1v15(), SHA256() if version == "2" else SHA1())
    return json_sent({
        **signed_fields, "SignatureVersion": version, "SigningCertURL": PEM_URL,
        "Signature": base64.b64encode(signature).decode(),
    })  # fmt: skip


def certificate(key: PrivateKey = RSA) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = utc_now()
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).sign(key, SHA256())
    )  # fmt: skip
    return built.public_bytes(Encoding.PEM)


def ses_bounce() -> dict[str, Any]:
    failed = [{"emailAddress": "ada@example.org", "diagnosticCode": "smtp; 550 5.1.1 user unknown", "status": "5.1.1"}]
    return {
        "eventType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": failed},
        "mail": {"messageId": RELAY_ID, "destination": ["ada@example.org"]},
    }


def svix(body: Any, stamp: str = "") -> Sent:
    raw, stamp = json.dumps(body).encode(), stamp or now_stamp()
    key = base64.b64decode(SVIX.removeprefix("whsec_"))
    given = base64.b64encode(hmac.new(key, f"id1.{stamp}.".encode() + raw, hashlib.sha256).digest()).decode()
    headers = {"svix-id": "id1", "svix-timestamp": stamp, "svix-signature": f"v1,bm9uc2Vuc2U= v1,{given}"}
    return raw, {"Content-Type": "application/json", **headers}


def sendgrid(body: Any) -> Sent:
    raw = json.dumps(body).encode()
    signature = base64.b64encode(EC.sign(b"1700000000" + raw, ec.ECDSA(SHA256()))).decode()
    name = "X-Twilio-Email-Event-Webhook-"
    return raw, {f"{name}Signature": signature, f"{name}Timestamp": "1700000000", "Content-Type": "application/json"}


def mailgun(token: str = "t1", stamp: str = "", **data: Any) -> Sent:
    stamp = stamp or now_stamp()
    signature = mac("k", f"{stamp}{token}".encode()).hexdigest()
    return json_sent({"signature": {"timestamp": stamp, "token": token, "signature": signature}, "event-data": data})


def mandrill(address: str, rows: list[Any]) -> Sent:
    events_text = json.dumps(rows)
    signed = f"{address}mandrill_events{events_text}".encode()
    given = base64.b64encode(mac("k", signed, "sha1").digest()).decode()
    form = urlencode({"mandrill_events": events_text}).encode()
    return form, {"Content-Type": "application/x-www-form-urlencoded", "X-Mandrill-Signature": given}


def mailersend(body: Any) -> Sent:
    raw = json.dumps(body).encode()
    return raw, {"Signature": mac("k", raw).hexdigest(), "Content-Type": "application/json"}


HARD: dict[Provider, tuple[str, Callable[[str], Sent]]] = {
    Provider.SES: ("arn:t", lambda _: sns(ses_bounce())),
    Provider.SENDGRID: (show_key(EC), lambda _: sendgrid(
        [{"event": "bounce", "email": "ada@example.org", "sg_message_id": RELAY_ID, "reason": "550 user unknown"}])),
    Provider.MAILGUN: ("k", lambda _: mailgun(
        event="failed", severity="permanent", recipient="ada@example.org",
        message={"headers": {"message-id": RELAY_ID}})),
    Provider.POSTMARK: ("", lambda address: by_password(address, {
        "RecordType": "Bounce", "Type": "HardBounce", "Email": "ada@example.org", "MessageID": RELAY_ID})),
    Provider.SPARKPOST: ("", lambda address: by_password(address, [{"msys": {"message_event": {
        "type": "bounce", "bounce_class": "10", "raw_rcpt_to": "ada@example.org", "transmission_id": RELAY_ID}}}])),
    Provider.BREVO: ("", lambda address: by_password(address, {
        "event": "hard_bounce", "email": "ada@example.org", "message-id": RELAY_ID})),
    Provider.MAILJET: ("", lambda address: by_password(address, [
        {"event": "bounce", "hard_bounce": True, "email": "ada@example.org", "MessageID": RELAY_ID}])),
    Provider.MANDRILL: ("k", lambda address: mandrill(address, [
        {"event": "hard_bounce", "_id": RELAY_ID, "msg": {"email": "ada@example.org"}}])),
    Provider.MAILERSEND: ("k", lambda _: mailersend({"data": {"type": "hard_bounced", "email": {
        "recipient": {"email": "ada@example.org"}, "message": {"id": RELAY_ID}}}})),
    Provider.RESEND: (SVIX, lambda _: svix({"type": "email.bounced", "data": {
        "email_id": RELAY_ID, "to": ["ada@example.org"], "bounce": {"type": "Permanent", "message": "no such user"}}})),
}  # fmt: skip
"""A hard bounce of each provider: the key of its endpoint, and the call for an address of ours."""
