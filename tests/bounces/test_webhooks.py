"""What providers report is read in one vocabulary; hostile calls are an error or unknown, never a crash."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.bounces.webhooks.call import MAX_BYTES, Call
from mailer.bounces.webhooks.providers import parse_call
from mailer.bounces.webhooks.stored import read_stored
from mailer.errors import InputError
from mailer.statuses import Provider

AT = datetime(2026, 3, 3, 9, 15, tzinfo=UTC)
SECONDS = int(AT.timestamp())
ANN = "ann@example.com"


def as_json(value: Any) -> Call:
    return Call(json.dumps(value).encode())


def as_form(**fields: str) -> Call:
    parts = "".join(f'--zz\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items())
    return Call(f"{parts}--zz--\r\n".encode(), "multipart/form-data; boundary=zz")


def sns(word: str, section: dict[str, Any] | None = None, key: str = "eventType") -> Call:
    said = {key: word, word.lower(): section or {}, "mail": {"messageId": "m1", "destination": [ANN]}}
    return as_json(
        {"Type": "Notification", "MessageId": "e1", "Message": json.dumps(said), "Timestamp": AT.isoformat()}
    )


def ses_bounce(kind: str, said: str = "") -> Call:
    return sns("Bounce", {"bounceType": kind, "bouncedRecipients": [{"emailAddress": ANN, "diagnosticCode": said}]})


def sendgrid(event: str, **more: Any) -> Call:
    return as_json([{"event": event, "email": ANN, "sg_event_id": "e1", "timestamp": SECONDS, **more}])


def mailgun(event: str, **more: Any) -> Call:
    data = {"event": event, "id": "e1", "recipient": ANN, "timestamp": SECONDS, **more}
    return as_json({"signature": {"token": "t"}, "event-data": data})


def postmark(record: str, **more: Any) -> Call:
    return as_json(
        {"RecordType": record, "Email": ANN, "ID": "e1", "BouncedAt": "2026-03-03T10:15:00.0000000+01:00", **more}
    )


def sparkpost(kind: str, **more: Any) -> Call:
    event = {"type": kind, "raw_rcpt_to": ANN, "event_id": "e1", "timestamp": str(SECONDS), **more}
    return as_json([{"msys": {"message_event": event}}])


def brevo(event: str, **more: Any) -> Call:
    return as_json({"event": event, "email": ANN, "ts_epoch": SECONDS * 1000, **more})


def mailjet(event: str, **more: Any) -> Call:
    return as_json([{"event": event, "email": ANN, "time": SECONDS, **more}])


def mandrill(event: str, **mail: Any) -> Call:
    return as_form(mandrill_events=json.dumps([{"event": event, "msg": {"email": ANN, **mail}, "ts": SECONDS}]))


def mailersend(event: str, **more: Any) -> Call:
    data = {
        "id": "e1",
        "type": event,
        "created_at": AT.isoformat(),
        "email": {"recipient": {"email": ANN}},
        "morph": more,
    }
    return as_json({"type": f"activity.{event}", "data": data})


def resend(event: str, **more: Any) -> Call:
    body = {"type": f"email.{event}", "created_at": AT.isoformat(), "data": {"to": [f"Ann <{ANN}>"], **more}}
    return Call(json.dumps(body).encode(), headers={"svix-id": "e1"})


GONE, FULL, POLICY = "550 5.1.1 user unknown", "552 5.2.2 mailbox full", "550 5.7.1 blocked, listed at a blocklist"
CASES: list[tuple[Provider, Call, str]] = [
    (Provider.SES, ses_bounce("Permanent", GONE), "hard_bounce"),
    (Provider.SES, ses_bounce("Permanent", POLICY), "soft_bounce"),
    (Provider.SES, ses_bounce("Transient", FULL), "soft_bounce"),
    (Provider.SES, ses_bounce("Undetermined"), "soft_bounce"),
    (Provider.SES, sns("Complaint", {"complainedRecipients": [{"emailAddress": ANN}]}), "complaint"),
    (Provider.SES, sns("Complaint", {"complaintFeedbackType": "not-spam"}), "not_bounce"),
    (Provider.SES, sns("Delivery", {"recipients": [ANN]}, "notificationType"), "delivered"),
    (Provider.SES, sns("Reject", {"reason": "Bad content"}), "rejected"),
    (Provider.SES, sns("Something new"), "unknown"),
    (Provider.SENDGRID, sendgrid("bounce", type="bounce", status="5.1.1", reason=GONE), "hard_bounce"),
    (Provider.SENDGRID, sendgrid("bounce", type="bounce", status="5.2.2", reason=FULL), "soft_bounce"),
    (Provider.SENDGRID, sendgrid("bounce", type="blocked", reason=GONE), "soft_bounce"),
    (Provider.SENDGRID, sendgrid("bounce", bounce_classification="Reputation", reason="no"), "soft_bounce"),
    (Provider.SENDGRID, sendgrid("dropped", reason="Bounced Address"), "rejected"),
    (Provider.SENDGRID, sendgrid("spamreport"), "complaint"),
    (Provider.SENDGRID, sendgrid("group_unsubscribe"), "unsubscribe"),
    (
        Provider.MAILGUN,
        mailgun("failed", severity="permanent", **{"delivery-status": {"message": GONE}}),
        "hard_bounce",
    ),
    (
        Provider.MAILGUN,
        mailgun("failed", severity="permanent", **{"delivery-status": {"message": FULL}}),
        "soft_bounce",
    ),
    (Provider.MAILGUN, mailgun("failed", severity="permanent", reason="suppress-unsubscribe"), "rejected"),
    (Provider.MAILGUN, mailgun("failed", severity="permanent", reason="old"), "soft_bounce"),
    (Provider.MAILGUN, mailgun("failed", severity="temporary"), "deferred"),
    (Provider.MAILGUN, as_form(event="bounced", code="550", error=GONE, recipient=ANN), "hard_bounce"),
    (Provider.MAILGUN, as_form(event="bounced", code="452", error=FULL, recipient=ANN), "soft_bounce"),
    (Provider.POSTMARK, postmark("Bounce", Type="HardBounce", Details=GONE), "hard_bounce"),
    (Provider.POSTMARK, postmark("Bounce", Type="Transient"), "soft_bounce"),
    (Provider.POSTMARK, postmark("Bounce", Type="AutoResponder"), "not_bounce"),
    (Provider.POSTMARK, postmark("SubscriptionChange", SuppressSending=False), "resubscribe"),
    (
        Provider.POSTMARK,
        postmark("SubscriptionChange", SuppressSending=True, SuppressionReason="SpamComplaint"),
        "complaint",
    ),
    (Provider.SPARKPOST, sparkpost("bounce", bounce_class="10"), "hard_bounce"),
    (Provider.SPARKPOST, sparkpost("out_of_band", bounce_class="25"), "soft_bounce"),
    (Provider.SPARKPOST, sparkpost("bounce", bounce_class="60"), "not_bounce"),
    (Provider.SPARKPOST, sparkpost("policy_rejection"), "rejected"),
    (Provider.BREVO, brevo("hard_bounce", reason="x"), "hard_bounce"),
    (Provider.BREVO, brevo("hard_bounce", reason=FULL), "soft_bounce"),
    (Provider.BREVO, brevo("spam"), "complaint"),
    (Provider.MAILJET, mailjet("bounce", hard_bounce=True, comment=GONE), "hard_bounce"),
    (Provider.MAILJET, mailjet("bounce", hard_bounce=False), "soft_bounce"),
    (Provider.MAILJET, mailjet("bounce", hard_bounce=True, blocked=True), "rejected"),
    (Provider.MANDRILL, mandrill("hard_bounce", diag=GONE), "hard_bounce"),
    (Provider.MANDRILL, mandrill("hard_bounce", diag=POLICY), "soft_bounce"),
    (Provider.MANDRILL, mandrill("spam"), "complaint"),
    (Provider.MAILERSEND, mailersend("hard_bounced", reason="Host or domain name not found"), "hard_bounce"),
    (Provider.MAILERSEND, mailersend("soft_bounced"), "soft_bounce"),
    (Provider.RESEND, resend("bounced", bounce={"type": "Permanent", "message": GONE}), "hard_bounce"),
    (Provider.RESEND, resend("bounced", bounce={"type": "Transient"}), "soft_bounce"),
    (Provider.RESEND, resend("bounced", bounce={"type": "Permanent", "subType": "Suppressed"}), "rejected"),
    (Provider.RESEND, resend("complained"), "complaint"),
]
REPEATABLE = (Provider.SES, Provider.SENDGRID, Provider.MAILGUN, Provider.POSTMARK, Provider.SPARKPOST,
              Provider.MAILERSEND, Provider.RESEND)  # fmt: skip


@pytest.mark.parametrize(("provider", "call", "event"), CASES)
def test_event_of_a_provider_is_read(provider: Provider, call: Call, event: str) -> None:
    (found,) = parse_call(provider, call)

    assert (found.event, found.recipient) == (event, ANN)
    if provider in REPEATABLE and call.content_type == "application/json":
        assert found.event_id == "e1"
        assert found.timestamp == AT


def test_every_recipient_of_a_notification_has_an_event_of_its_own() -> None:
    recipients = [
        {"emailAddress": ANN, "diagnosticCode": GONE},
        {"emailAddress": "ole@example.com", "diagnosticCode": FULL},
    ]

    found = parse_call(Provider.SES, sns("Bounce", {"bounceType": "Permanent", "bouncedRecipients": recipients}))

    assert [(one.event.value, one.recipient) for one in found] == [
        ("hard_bounce", ANN),
        ("soft_bounce", "ole@example.com"),
    ]


@pytest.mark.parametrize(
    ("provider", "call"),
    [
        (Provider.SES, as_json({"Type": "SubscriptionConfirmation", "SubscribeURL": "https://example.com"})),
        (Provider.SPARKPOST, as_json([{"msys": {}}])),
        (Provider.SENDGRID, as_json([])),
        (Provider.MAILJET, as_json("nothing")),
    ],
)
def test_a_call_that_tells_of_no_mail_has_no_events(provider: Provider, call: Call) -> None:
    assert parse_call(provider, call) == []


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b" " * (MAX_BYTES + 1)])
def test_a_call_that_cannot_be_read_is_an_error_of_the_caller(provider: Provider, body: bytes) -> None:
    with pytest.raises(InputError):
        parse_call(provider, Call(body))


NAMES = (
    "event", "email", "Type", "Message", "eventType", "bounce", "mail", "destination", "event-data", "message",
    "headers", "delivery-status", "RecordType", "Email", "BouncedAt", "msys", "message_event", "timestamp", "ts_epoch",
    "time", "type", "data", "to", "created_at", "recipient", "morph", "reason", "bounceType", "bouncedRecipients",
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=30,
)


@settings(max_examples=150)
@given(provider=st.sampled_from([one for one in Provider if one is not Provider.MANDRILL]), value=json_values)
def test_any_json_is_read_without_a_crash(provider: Provider, value: Any) -> None:
    """Fields of any kind, in any place: what is not understood is unknown."""
    for found in parse_call(provider, as_json(value)):
        assert found.recipient is None or found.recipient


@settings(max_examples=50)
@given(value=json_values)
def test_any_array_in_mandrills_field_is_read_without_a_crash(value: Any) -> None:
    parse_call(Provider.MANDRILL, as_form(mandrill_events=json.dumps(value)))


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (b"no json", ""),
        (b"[]", ""),
        (b'{"provider": "ses"}', ""),
        (b'{"provider": "nobody", "body": "{}"}', "provider"),
    ],
)
def test_a_file_that_holds_no_call_says_why(document: bytes, where: str) -> None:
    with pytest.raises(InputError) as caught:
        read_stored(document)

    assert caught.value.problems[0].where == where
    assert caught.value.problems[0].mend


def _corpus() -> Path | None:
    folder = os.environ.get("MAILER_CORPUS")
    return Path(folder) / "webhooks" if folder else None


if _corpus() is not None:

    def test_every_call_of_the_corpus_is_read_right() -> None:
        """Nothing else than right will do: these are documented formats."""
        folder = _corpus()
        assert folder is not None
        wrong = []
        paths = sorted(folder.glob("*.json"))
        for path in paths:
            item = json.loads(path.read_text(encoding="utf-8"))
            found = [(one.event.value, one.recipient) for one in parse_call(*read_stored(path.read_bytes()))]
            if found != [(one["event"], one["recipient"]) for one in item["expected"]]:
                wrong.append(f"{path.name}: {found}")

        assert len(paths) > 100
        assert wrong == []
