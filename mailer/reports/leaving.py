"""How long after somebody left their last mail went out, and why they left (FEATURES C5: measured). Never commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, exists, func, or_, select, text
from sqlalchemy.orm import Session, aliased

from mailer.clock import utc_now
from mailer.schema.consent import LEFT, ConsentEvent, LeaveAnswer
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message, Sending
from mailer.statuses import ConsentVerdict, Purpose, SendingClass

PERIOD = timedelta(days=30)
_BACK = (ConsentVerdict.GIVEN.value, ConsentVerdict.SUBSCRIBED.value)


@dataclass(frozen=True)
class Leaving:
    """Seconds from a withdrawal to the last mail accepted after it, over 30 days; 0 for who got none.

    `late` is how many got one; `reasons`: what people said, most often first.
    """

    count: int
    late: int
    median: float
    p99: float
    worst: float
    reasons: Sequence[tuple[str, int]]


def get_leaving(session: Session) -> Leaving:
    """Return the figures of the last 30 days."""
    since = utc_now() - PERIOD
    line = ConsentEvent
    mine = (text(f"({LEFT})"), line.at > since, line.purpose == Purpose.E_MARKETING.value)
    count = session.scalar(select(func.count()).select_from(line).where(*mine)) or 0
    newer = aliased(ConsentEvent)
    came_back = exists().where(
        newer.ledger_id == line.ledger_id,
        newer.id > line.id,
        newer.verdict.in_(_BACK),
        or_(newer.topic_id.is_(None), line.topic_id.is_(None), newer.topic_id == line.topic_id),
        newer.at <= Message.accepted_at,
    )
    last = (
        select(line.at, func.max(Message.accepted_at))
        .select_from(line)
        .join(Contact, Contact.ledger_id == line.ledger_id)
        .join(Message, and_(Message.contact_id == Contact.id, Message.accepted_at > line.at))
        .join(Sending, Sending.id == Message.sending_id)
        .where(
            *mine,
            Sending.sending_class == SendingClass.MARKETING.value,
            or_(line.topic_id.is_(None), Sending.topic_id == line.topic_id),
            ~came_back,
        )
        .group_by(line.id, line.at)
    )
    waits = sorted((accepted - left).total_seconds() for left, accepted in session.execute(last) if accepted)
    return Leaving(
        count=count,
        late=len(waits),
        median=_quantile(waits, count, 0.5),
        p99=_quantile(waits, count, 0.99),
        worst=waits[-1] if waits else 0.0,
        reasons=_list_reasons(session),
    )


def _quantile(waits: Sequence[float], count: int, share: float) -> float:
    """Return a quantile of `count` figures of which all but `waits`, the greatest in order, are 0."""
    place = max(0, -int(-share * count // 1) - 1) - (count - len(waits))
    return waits[place] if count and place >= 0 else 0.0


def _list_reasons(session: Session) -> list[tuple[str, int]]:
    counted = func.count()
    rows = session.execute(
        select(LeaveAnswer.reason, counted)
        .where(LeaveAnswer.at > utc_now() - PERIOD)
        .group_by(LeaveAnswer.reason)
        .order_by(counted.desc(), LeaveAnswer.reason)
    )
    return [(reason, number) for reason, number in rows]
