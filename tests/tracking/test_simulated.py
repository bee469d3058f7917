"""Simulated readers and scanners come out as the reference page says, in whatever pieces their hits arrive."""

import random

import pytest
from sqlalchemy import select

from mailer import tokens
from mailer.context import Context
from mailer.schema.delivery import Event
from mailer.schema.tracking import Hit
from mailer.tracking.ingest import ingest_once
from mailer.tracking.records import PREFETCH, RawHit, pack_hit
from tests.tracking.rules_page import MARK, PAGE, build_tables
from tests.tracking.sent import Sent
from tests.tracking.simulated import OPEN, SIMULATED, Simulated, judge

METHODS = {"GET": 1, "HEAD": 2, "POST": 3}


def test_the_reference_page_is_what_the_rules_say() -> None:
    assert PAGE.read_text(encoding="utf-8").partition(MARK)[1:] == (MARK, build_tables().removeprefix(MARK))


@pytest.mark.parametrize("who", SIMULATED, ids=lambda who: who.name)
def test_each_reader_and_scanner_is_told(who: Simulated) -> None:
    classes = {word for ask, word, _ in judge(who) if ask.method != "HEAD"}

    assert classes == who.expected


def test_hits_in_any_pieces_and_order_end_as_they_would_together(ctx: Context) -> None:
    """The verdicts stored page by page, hit by hit, are those of all hits of the mail at once."""
    chance = random.Random(11)
    for who in chance.sample(SIMULATED, 8):
        sent = Sent(ctx)
        asks = list(who.asks)
        chance.shuffle(asks)
        while asks:
            for _ in range(chance.choice((1, 1, 2, 5))):
                if asks:
                    _spool(sent, asks.pop())
            ingest_once(ctx)
        sent.writer.close()

        with ctx.read() as session:
            hits = session.scalars(select(Hit).where(Hit.message_id == sent.message_id)).all()
            events = session.scalars(select(Event).where(Event.message_id == sent.message_id)).all()
        assert sorted((hit.hit_class, hit.reason) for hit in hits) == sorted(
            (word, reasons) for _, word, reasons in judge(who)
        ), who.name
        stored = {f"hit:{hit.id}": hit.hit_class for hit in hits if hit.method != "HEAD"}
        assert {event.dedupe_key: event.hit_class for event in events} == stored, who.name


def _spool(sent: Sent, ask: object) -> None:
    at = sent.sent_at.timestamp() + ask.after
    kind = tokens.OPEN if ask.link == OPEN else tokens.CLICK
    flags = PREFETCH if ask.is_prefetch else 0
    raw = RawHit(at, kind, METHODS[ask.method], sent.message_id, max(ask.link, 0), flags, ask.ip, ask.agent)
    sent.writer.append(pack_hit(raw))
