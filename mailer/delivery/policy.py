"""When to try again and how long: the retry table of docs/reference/defaults.md. Pure."""

from datetime import datetime, timedelta

from mailer.statuses import SendingClass

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
