"""The review before sending: one pure function that page, command and launch obey (FEATURES M9).

Red findings block, amber ones warn. `place` names the step of the wizard that mends it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailer.addresses import FREEMAIL_DOMAINS
from mailer.content.check import Finding, Level


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the review looks at; gathered by service.py."""

    subject: str
    sender_email: str
    sender_postal_address: str
    topic: str
    is_transactional: bool
    has_sender: bool
    audience: Mapping[str, int]
    content: Sequence[Finding]
    relay: str
    is_relay_permitted: bool
    recent_names: Sequence[str] = ()


def review(facts: Facts) -> list[Finding]:
    """Return every finding, red ones first, in a stable order."""
    found = [*_setup(facts), *_recipients(facts), *_delivery(facts), *facts.content]
    return sorted(found, key=lambda finding: finding.level is not Level.RED)


def blockers(findings: Sequence[Finding]) -> list[Finding]:
    """Return the red findings."""
    return [finding for finding in findings if finding.level is Level.RED]


def _setup(facts: Facts) -> Iterator[Finding]:
    if not facts.has_sender:
        yield Finding("no_sender", Level.RED, "no sender profile is chosen", "setup", "choose one")
    elif not facts.sender_postal_address:
        yield Finding("no_postal_address", Level.RED, "the sender profile has no postal address", "setup", "add it")
    domain = facts.sender_email.rpartition("@")[2]
    if domain in FREEMAIL_DOMAINS:
        what = f"mails from {domain} are refused when another server sends them"
        yield Finding("freemail_sender", Level.RED, what, "setup", "send from a domain of your own")
    if not facts.subject.strip():
        yield Finding("no_subject", Level.RED, "the subject is empty", "setup", "write one")
    if not facts.topic and not facts.is_transactional:
        yield Finding("no_topic", Level.RED, "no topic is chosen", "setup", "people subscribe to topics: choose one")


def _recipients(facts: Facts) -> Iterator[Finding]:
    if facts.audience.get("sendable", 0) == 0:
        what = "nobody would get this mail"
        yield Finding("empty_audience", Level.RED, what, "recipients", "look at the numbers of the audience")
    for name in facts.recent_names:
        what = f"“{name}” went out lately with the same subject"
        yield Finding("sent_lately", Level.AMBER, what, "setup", "make sure that this is meant")


def _delivery(facts: Facts) -> Iterator[Finding]:
    if not facts.relay:
        yield Finding("no_relay", Level.RED, "no relay is set, so nothing can be sent", "setup", "set MAILER_SMTP_URL")
    elif not facts.is_relay_permitted:
        what = f"{facts.relay} is outside this machine, and sending to real people is not switched on"
        yield Finding("external_relay", Level.RED, what, "setup", "set MAILER_ALLOW_EXTERNAL_RELAY=true")
