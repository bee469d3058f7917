"""A stored report read once: the mail, its words, what they mean; or a provider's event. Pure but for the keys."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from mailer.bounces import notice
from mailer.bounces.classify import Classification, classify_mail
from mailer.bounces.judge import status_in
from mailer.bounces.mail import Part, read_mail
from mailer.bounces.verp import Match, find_in_text, iter_matches, list_relay_ids_of
from mailer.bounces.webhooks.event import Reported
from mailer.bounces.webhooks.providers import parse_call
from mailer.bounces.webhooks.stored import read_stored
from mailer.bounces.wording import digest_words
from mailer.bounces.words import Kind
from mailer.delivery.reasons import Reason, blame_of, find_reason, reason_of_status
from mailer.statuses import Blame, ProviderEvent, Verdict
from mailer.tokens import Keys

WEBHOOK = "webhook"
"""Source of a report that is an event of a provider; its name follows after a colon."""
_VERDICTS = {
    ProviderEvent.HARD_BOUNCE: Verdict.HARD,
    ProviderEvent.SOFT_BOUNCE: Verdict.SOFT,
    ProviderEvent.REJECTED: Verdict.SOFT,
    ProviderEvent.FAILED: Verdict.SOFT,
    ProviderEvent.DEFERRED: Verdict.DELAYED,
    ProviderEvent.COMPLAINT: Verdict.COMPLAINT,
    ProviderEvent.UNSUBSCRIBE: Verdict.UNSUBSCRIBE,
}
_KINDS = {
    ProviderEvent.COMPLAINT: Kind.FEEDBACK_ABUSE,
    ProviderEvent.UNSUBSCRIBE: Kind.PROVIDER_UNSUBSCRIBE,
    ProviderEvent.DELIVERED: Kind.DELIVERED,
}
_DEFAULTS = {
    ProviderEvent.HARD_BOUNCE: Reason.USER_UNKNOWN,
    ProviderEvent.REJECTED: Reason.POLICY,
    ProviderEvent.FAILED: Reason.SYSTEM,
}


@dataclass(frozen=True)
class Read:
    """What one look at a report told. `mail` is None for a provider's event; `at`: when it says that it happened."""

    said: Classification
    mail: Part | None = None
    wording: bytes | None = None
    words: str = ""
    event: Reported | None = None
    body: str = ""

    @property
    def at(self) -> datetime | None:
        """When the provider says that it happened."""
        return self.event.timestamp if self.event else None

    def with_verdict(self, verdict: Verdict) -> "Read":
        """Return the same with the verdict that a person taught."""
        blame = {Verdict.HARD: Blame.ADDRESS}.get(verdict, Blame.UNKNOWN)
        return replace(self, said=replace(self.said, verdict=verdict, reason=Kind.TAUGHT.value, blame=blame))


def read_report(raw: bytes, source: str) -> Read:
    """Return what a report says, read once. Never raises for a mail; InputError for an event that is none."""
    if source.startswith(WEBHOOK):
        return _read_event(raw)
    mail = read_mail(raw)
    words = notice.own_words(mail)
    return Read(classify_mail(mail), mail, digest_words(mail.subject, words), words)


def _read_event(raw: bytes) -> Read:
    slug, call = read_stored(raw)
    event = next(iter(parse_call(slug, call)))
    return Read(classify_event(event), event=event, body=call.body.decode("utf-8", "replace"))


def classify_event(event: Reported) -> Classification:
    """Return a provider's event in the words of reports; what is no matter of ours is not_bounce."""
    verdict = _VERDICTS.get(event.event, Verdict.NOT_BOUNCE)
    recipients = (event.recipient,) if event.recipient else ()
    said = event.detail or ""
    if (kind := _KINDS.get(event.event)) or verdict is Verdict.NOT_BOUNCE:
        return Classification(verdict, (kind or Kind.OTHER_MAIL).value, Blame.UNKNOWN, "", recipients, said)
    status = status_in(said)
    reason = find_reason(said) or reason_of_status(status)
    if reason is Reason.UNKNOWN or event.event in (ProviderEvent.REJECTED, ProviderEvent.FAILED):
        reason = _DEFAULTS.get(event.event, reason)
    return Classification(verdict, reason.value, blame_of(reason), status, recipients, said)


def iter_ways(keys: Keys, rcpt_to: str, read: Read, raw: bytes) -> Iterator[Match | Iterable[str]]:
    """Yield ways to a message, most trusted first; a list stands for relay ids that only the database can tell."""
    if read.mail is not None:
        yield from iter_matches(keys, rcpt_to, read.mail, raw)
    elif read.event is not None:
        yield from iter_event_ways(keys, read.event, read.body)


def iter_event_ways(keys: Keys, event: Reported, body: str) -> Iterator[Match | Iterable[str]]:
    """Yield ways from a provider's event to a message: our token in what it passes on, the id that it gave the mail."""
    yield from find_in_text(keys, body)
    yield list_relay_ids_of(event.message_id or "")
