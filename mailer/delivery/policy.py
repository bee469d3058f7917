"""When to try again, how long, and how many soft bounces an address may have: docs/reference/defaults.md. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mailer.delivery.reasons import Reason, blame_of
from mailer.statuses import Blame, SendingClass

_STEPS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60))
_LATER = timedelta(hours=2)
SEND_UNTIL = {
    SendingClass.MARKETING: timedelta(hours=24),
    SendingClass.TRANSACTIONAL: timedelta(hours=48),
    SendingClass.CONFIRMATION: timedelta(hours=48),
    SendingClass.TEST: timedelta(hours=1),
    SendingClass.STAFF: timedelta(hours=48),
}
BATCH_SIZE = 200
MAX_CLAIMS = 3
LEASE = timedelta(seconds=30)
TRANSMITTING_LIMIT = timedelta(seconds=700)
"""Longer than the ten minutes that RFC 5321, section 4.5.3.2.6, gives the reply to the dot."""
REPEAT_AFTER, MAX_REPEATS = timedelta(minutes=15), 2
"""Transactional mails and confirmations whose answer never came are sent again: at least once."""
REPEAT_WITHIN = timedelta(hours=72)
"""Of sendings that are not older: nobody waits for a confirmation longer."""


def decide_retry(attempts: int, now: datetime) -> datetime:
    """Return when a message is tried again after its `attempts`-th temporary refusal (1 for the first)."""
    return now + (_STEPS[attempts - 1] if attempts <= len(_STEPS) else _LATER)


# ------------------------------------------------------------------ soft bounces of an address (FEATURES B4)

ASLEEP_FOR = timedelta(days=90)
QUIET_AFTER = timedelta(days=5)
"""A mail that was accepted and has not come back for so long has arrived."""
COUNTED = tuple(reason for reason in Reason if blame_of(reason) in (Blame.ADDRESS, Blame.MAILBOX))
"""What counts against an address. Policy, content, throttling and the network never do."""


class SoftVerdict(StrEnum):
    """What the soft bounces of an address ask for."""

    FINE = "fine"
    SUPPRESS = "suppress"
    SLEEP = "sleep"


@dataclass(frozen=True, slots=True)
class SoftLimits:
    """How many messages in a row, over how long at least; `full_span` for a full mailbox."""

    count: int = 5
    span: timedelta = timedelta(days=14)
    full_span: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class SoftBounce:
    """A message that came back softly: one, however often it was tried."""

    at: datetime
    reason: Reason


def decide_soft_bounces(
    bounces: Sequence[SoftBounce], reset_at: datetime | None, limits: SoftLimits, *, has_slept: bool = False
) -> SoftVerdict:
    """Return what an address deserves. `reset_at`: when it last took a mail; `has_slept`: this is its one more try.

    A full mailbox is counted apart from other faults of the address.
    """
    since = [one for one in bounces if reset_at is None or one.at > reset_at]
    full = [one.at for one in since if one.reason is Reason.MAILBOX_FULL]
    other = [one.at for one in since if one.reason is not Reason.MAILBOX_FULL]
    if _is_too_many(other, limits.count, limits.span):
        return SoftVerdict.SUPPRESS
    if _is_too_many(full, limits.count, limits.full_span) or (has_slept and full):
        return SoftVerdict.SLEEP
    return SoftVerdict.FINE


def _is_too_many(times: Sequence[datetime], count: int, span: timedelta) -> bool:
    return len(times) >= count and max(times) - min(times) >= span
