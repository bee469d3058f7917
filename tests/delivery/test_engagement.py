"""Engagement is exact: after hits in any order, and verdicts changed later, it is what the events say."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.service import apply_events, revise_hits
from mailer.schema.delivery import Engagement, Message
from mailer.statuses import EventKind, HitClass
from tests.support.make import fill_engagement, make_reader, make_sending, make_topic

COLUMNS = (Engagement.contact_id, Engagement.last_open_at, Engagement.last_human_open_at, Engagement.last_click_at)
NOTHING = (None, None, None)


def _lines(ctx: Context) -> dict[int, tuple[object, ...]]:
    with ctx.read() as session:
        rows = {row[0]: tuple(row[1:]) for row in session.execute(select(*COLUMNS))}
    return {contact: last for contact, last in rows.items() if last != NOTHING}


@pytest.mark.parametrize("seed", range(4))
def test_engagement_is_what_the_events_say(ctx: Context, seed: int) -> None:
    rng, now = random.Random(seed), utc_now()
    with ctx.write() as session:
        topic = make_topic(session)
        people = [make_reader(session, topic) for _ in range(3)]
        make_sending(session, ctx, people, topic)
    with ctx.read() as session:
        messages = session.scalars(select(Message.id)).all()
    keys: list[str] = []
    for _ in range(12):
        hits = []
        for _ in range(rng.randrange(1, 5)):
            keys.append(f"hit{len(keys)}")
            kind, verdict = rng.choice((EventKind.OPEN, EventKind.CLICK)), rng.choice(list(HitClass))
            at = now - timedelta(minutes=rng.randrange(500))
            hits.append(DeliveryEvent(rng.choice(messages), kind, at, keys[-1], verdict))
        with ctx.write() as session:
            apply_events(session, hits)
        if rng.random() < 0.5:
            with ctx.write() as session:
                revise_hits(session, rng.sample(keys, min(2, len(keys))), HitClass.MACHINE, "burst")

    found = _lines(ctx)
    with ctx.write() as session:
        fill_engagement(session)

    assert found
    assert found == _lines(ctx)
