"""The review before sending: one pure function that page, command and launch obey (FEATURES M9).

Red findings block, amber ones warn. `place` names the step of the wizard that mends it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mailer.addresses import FREEMAIL_DOMAINS
from mailer.campaigns.canary import CanaryPlan
from mailer.content.check import Finding, Level
from mailer.delivery.domains import Light, Standing

CHECKS_KEEP = timedelta(days=7)
ATTACHED_AMBER, ATTACHED_RED = 2**20, 5 * 2**20


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the review looks at; gathered by service.py.

    `is_outside`: a relay in use is not on this machine. `standing` and `checked_ago` are about the domain in From;
    `domain_stands` is why the breaker holds it.
    """

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
    quiet_until: datetime | None = None
    keeps_quiet_hours: bool = False
    timezone: str = "UTC"
    warm_up_left: int | None = None
    recent_names: Sequence[str] = ()
    attached_bytes: int = 0
    is_outside: bool = False
    standing: Standing = field(default_factory=Standing)
    checked_ago: timedelta = timedelta()
    canary: CanaryPlan | None = None
    domain_stands: str = ""


def review(facts: Facts) -> list[Finding]:
    """Return every finding, red ones first, in a stable order."""
    found = [*_setup(facts), *_recipients(facts), *_delivery(facts), *_identity(facts), *facts.content]
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
    if facts.attached_bytes > ATTACHED_AMBER:
        level = Level.RED if facts.attached_bytes > ATTACHED_RED else Level.AMBER
        what = f"each mail carries {facts.attached_bytes / 2**20:.1f} MB of attached files"
        yield Finding("attachments_large", level, what, "setup", "put large files on a web page and link to them")


def _recipients(facts: Facts) -> Iterator[Finding]:
    if facts.audience.get("sendable", 0) == 0:
        what = "nobody would get this mail"
        yield Finding("empty_audience", Level.RED, what, "recipients", "look at the numbers of the audience")
    for name in facts.recent_names:
        what = f"“{name}” went out lately with the same subject"
        yield Finding("sent_lately", Level.AMBER, what, "setup", "make sure that this is meant")


def _identity(facts: Facts) -> Iterator[Finding]:
    """What receivers ask for before they believe that a mail is the sender's own: aligned DKIM, and DMARC (M9)."""
    domain = facts.sender_email.rpartition("@")[2]
    if not facts.is_outside or not domain or domain in FREEMAIL_DOMAINS:
        return
    standing = facts.standing
    if not standing.domain:
        what = f"{domain} is no sending domain yet, so mails from it are not signed"
        yield Finding("no_sending_domain", Level.RED, what, "domains", "add it under Sending domains")
        return
    if standing.checked_at is None:
        what = f"the DNS records of {standing.domain} were never checked"
        yield Finding("domain_unchecked", Level.RED, what, "domains", "check them now")
        return
    if not (standing.has_key and standing.is_aligned and standing.dkim in {Light.OK, Light.WARN}):
        what = f"mails from {domain} carry no signature (DKIM) that receivers can verify for {domain}"
        yield Finding("no_dkim", Level.RED, what, "domains", "publish the key's record and check again")
    if standing.dmarc is not Light.OK:
        what = f"no DMARC record was seen for {standing.domain}; Gmail and Yahoo ask for one"
        yield Finding("no_dmarc", Level.RED, what, "domains", "publish the record and check again")
    if facts.checked_ago > CHECKS_KEEP:
        what = f"the DNS records of {standing.domain} were last checked {facts.checked_ago.days} days ago"
        yield Finding("domain_checks_old", Level.AMBER, what, "domains", "check them again")


def _delivery(facts: Facts) -> Iterator[Finding]:
    if not facts.relay:
        yield Finding("no_relay", Level.RED, "no relay is set, so nothing can be sent", "setup", "set MAILER_SMTP_URL")
    elif not facts.is_relay_permitted:
        what = f"{facts.relay} is outside this machine, and sending to real people is not switched on"
        yield Finding("external_relay", Level.RED, what, "setup", "set MAILER_ALLOW_EXTERNAL_RELAY=true")
    if facts.quiet_until is not None:
        until = f"{facts.quiet_until.astimezone(ZoneInfo(facts.timezone)):%H:%M}"
        if facts.keeps_quiet_hours:
            yield Finding(
                "waits_for_morning", Level.AMBER, f"it waits for the end of the quiet hours at {until}", "review"
            )
        else:
            what = f"it starts in the quiet hours, which last until {until}"
            yield Finding(
                "quiet_hours", Level.AMBER, what, "review", "choose a later time, or let it wait for the morning"
            )
    if facts.domain_stands:
        what = f"the breaker holds every campaign of the domain: {facts.domain_stands}"
        yield Finding("domain_stopped", Level.AMBER, what, "review", "it waits until somebody lets the domain go on")
    if facts.canary is not None:
        minutes = facts.canary.watch_seconds / 60
        what = f"the domain is new: {facts.canary.size} go out first and are watched for {minutes:g} min, then the rest"
        yield Finding("canary", Level.AMBER, what, "review", "nothing to mend; plan for the time")
    sendable = facts.audience.get("sendable", 0)
    if facts.warm_up_left is not None and facts.warm_up_left < sendable:
        what = f"the domain is warming up: {facts.warm_up_left} of {sendable} mails may go out today"
        yield Finding(
            "warm_up", Level.AMBER, what, "recipients", "send to those first who read your mails, or in parts"
        )
