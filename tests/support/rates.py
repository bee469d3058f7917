"""A month of mail for the pages of deliverability: two domains, five providers, a campaign held within its canary."""

import random
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.reputation.policy import Counts, Window, decide
from mailer.reputation.queries import load_limits
from mailer.schema.bounces import WebhookEndpoint
from mailer.schema.campaigns import Campaign
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker, BreakerChange, CanaryWatch, OutsideFigure, RateLook, RateSlot
from tests.support.make import make_sender
from tests.support.story import Story

SHARES = {"google": 0.41, "microsoft": 0.22, "other": 0.2, "yahoo": 0.1, "apple": 0.07}
NAMES = ("Autumn programme", "Breakfast in Oslo", "News of September", "Energy seminar", "News of October", "Tax day")


@dataclass(frozen=True)
class Rated:
    """What is looked at: a campaign that the breaker holds, and one whose canary is watched."""

    held: Campaign
    watched: Campaign


def make_rates(ctx: Context, story: Story) -> Rated:
    """Write counts as a month of sending would have left them."""
    chance = random.Random(11)
    now = utc_now()
    with ctx.write() as session:
        other = make_sender(session, name="Nord Energy", from_email="post@nord.example.org")
        first = session.get_one(Sending, story.finished.sending_id)
        for number, name in enumerate(NAMES):
            sending = _sending(session, first, name, days=28 - 5 * number)
            domain = "example.com"
            if number % 3 == 2:
                sending.sender_id, domain = other.id, "nord.example.org"
            _count(session, chance, sending, domain, mails=chance.randint(4_000, 11_000), hard=0.009)
        today = _sending(session, first, "Winter programme", hours=3)
        _count(session, chance, today, "example.com", mails=6_400, hard=0.012)
        held = _held(session, first, chance)
        watched = _watched(session, first, chance)
        for days, rate, word in ((1, 0.0007, "high"), (2, 0.0013, "medium"), (3, 0.0006, "high")):
            day = (now - timedelta(days=days)).date()
            session.add(OutsideFigure(source="postmaster", domain="example.com", day=day, spam_rate=rate,
                                      domain_reputation=word, at=now))  # fmt: skip
        session.add(
            WebhookEndpoint(
                provider="ses", name="Amazon SES", path_hash=b"p" * 32, secret=b"s", created_at=now, calls=310,
                refused=2, last_call_at=now - timedelta(minutes=4), last_good_at=now - timedelta(minutes=4),
            )
        )  # fmt: skip
    return Rated(held, watched)


def _sending(
    session: Session, like: Sending, name: str, *, days: int = 0, hours: int = 0, state: str = "finished"
) -> Sending:
    now = utc_now()
    at = now - timedelta(days=days, hours=hours)
    sending = Sending(
        sending_class="marketing", topic_id=like.topic_id, sender_id=like.sender_id,
        content_version_id=like.content_version_id, state=state, key_id=1, created_at=at, started_at=at,
        finished_at=at + timedelta(hours=1) if state == "finished" else None,
    )  # fmt: skip
    session.add(sending)
    session.flush()
    session.add(
        Campaign(name=name, subject="Join us", sender_id=like.sender_id, topic_id=like.topic_id, status=state,
                 sending_id=sending.id, created_at=at, updated_at=at)
    )  # fmt: skip
    return sending


def _count(
    session: Session, chance: random.Random, sending: Sending, domain: str, *, mails: int, hard: float
) -> Counts:
    now = utc_now()
    whole = Counts()
    start = sending.started_at or now
    slot = start - timedelta(seconds=start.timestamp() % 300)
    session.add(RateLook(sending_id=sending.id, domain=domain, looked_at=now, waiting=mails // 300, unknown=1))
    for provider, share in SHARES.items():
        transmitted = int(mails * share)
        bounced = sum(chance.random() < hard for _ in range(transmitted))
        row = {
            "transmitted": transmitted, "accepted": transmitted - bounced // 2, "deferred": int(transmitted * 0.011),
            "hard": bounced, "soft": int(transmitted * 0.004), "bounced_later": bounced // 2 + int(transmitted * 0.004),
            "complaints": 0 if provider == "google" else int(transmitted * 0.0007),
            "unsubscribed": int(transmitted * 0.0031),
        }  # fmt: skip
        session.add(RateSlot(sending_id=sending.id, provider=provider, slot=slot, **row))
        whole += Counts(transmitted=transmitted, hard=bounced)
    return whole


def _held(session: Session, like: Sending, chance: random.Random) -> Campaign:
    now = utc_now()
    sending = _sending(session, like, "Invitation to the spring fair", hours=1, state="sending")
    counts = _count(session, chance, sending, "example.com", mails=1_000, hard=0.062)
    decision = decide({Window.HOUR: counts, Window.DAY: counts, Window.MONTH: counts}, load_limits(session))
    sending.hold_reason, sending.hold_note, sending.held_at = "breaker", decision.why, now - timedelta(minutes=9)
    sending.canary = {
        "size": 1000,
        "of": 20000,
        "watch_seconds": 1800.0,
        "reasons": {"new_import": 0.31, "not_mailed_lately": 0.44},
    }
    sending.release_limit = 9
    values = {"scope": "sending", "scope_key": str(sending.id), "state": decision.state.value, "note": decision.why}
    figures = {"reasons": [one.as_json() for one in decision.reasons]}
    session.add(Breaker(**values, figures=figures, changed_at=now - timedelta(minutes=9)))
    session.add(BreakerChange(**values, state_before="ok", figures=figures, at=now - timedelta(minutes=9)))
    session.add(
        CanaryWatch(sending_id=sending.id, state="watching", out_at=now, watch_until=now + timedelta(minutes=18))
    )
    session.flush()
    return session.scalars(select(Campaign).where(Campaign.sending_id == sending.id)).one()


def _watched(session: Session, like: Sending, chance: random.Random) -> Campaign:
    now = utc_now()
    sending = _sending(session, like, "Members' evening", hours=1, state="sending")
    _count(session, chance, sending, "example.com", mails=500, hard=0.01)
    sending.canary = {"size": 500, "of": 8200, "watch_seconds": 1800.0, "reasons": {"new_domain": None}}
    sending.release_limit = 9
    session.add(
        CanaryWatch(sending_id=sending.id, state="watching", out_at=now, watch_until=now + timedelta(minutes=12))
    )
    session.flush()
    return session.scalars(select(Campaign).where(Campaign.sending_id == sending.id)).one()
