"""Mail that was accepted comes back, in every order, twice and forged, while whoever reads it is killed (C10, C25)."""

import time

import pytest
from sqlalchemy import func, select

from mailer import tokens
from mailer.bounces.service import Received, record_reports
from mailer.context import Context
from mailer.schema.bounces import BounceReport
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address
from mailer.schema.delivery import Event, Message
from mailer.statuses import MessageState
from tests.bounces.test_classify import dsn
from tests.bounces.test_fuzz import check_time_and_memory, mutate
from tests.chaos.conftest import OpenField
from tests.chaos.rig import Field, wait_for
from tests.chaos.scene import Scene, make_crowd

SIZES = {"short": 60, "long": 1_500}
HARD, FULL, LATER = (
    ("550 5.1.1 User unknown", "5.1.1"),
    ("452 4.2.2 Mailbox full", "4.2.2"),
    ("451 4.7.1 later", "4.7.1"),
)


def _addresses(ctx: Context, scene: Scene) -> dict[int, str]:
    query = select(Message.id, Address.email).join(Address, Address.id == Message.address_id)
    with ctx.read() as session:
        rows = session.execute(query.where(Message.sending_id == scene.sending_id).order_by(Message.id))
        return {number: email or "" for number, email in rows}


def _verp(keys: tokens.Keys, number: int) -> str:
    return f"{tokens.verp_local(keys, number, keys.current)}@bounce.localhost"


def _story(field: Field, people: dict[int, str]) -> tuple[list[Received], set[int]]:
    """Every third mail: dead; every third: full and delayed; about everybody a forgery and another tenant's report."""
    keys, strangers = field.ctx.keys, tokens.new_keys()
    reports, dead = [], set()
    for place, (number, email) in enumerate(people.items()):
        mine = _verp(keys, number)
        forged = mine[:12] + ("a" if mine[12] != "a" else "b") + mine[13:]
        hard = dsn(*HARD, to=email)
        reports += [Received(hard, "smtp", "", forged), Received(hard, "smtp", "", _verp(strangers, number))]
        if place % 3 == 0:
            dead.add(number)
            reports += [Received(hard, "smtp", "", mine), Received(hard + b"\r\nonce more", "smtp", "", mine)]
            reports.append(Received(dsn("250 2.1.5 Ok", "2.1.5", "delivered", to=email), "smtp", "", mine))
        elif place % 3 == 1:
            reports.append(Received(dsn(*FULL, to=email), "smtp", "", mine))
            reports.append(Received(dsn(*LATER, "delayed", to=email), "smtp", "", mine))
    field.chance.shuffle(reports)
    return reports, dead


def _waiting(ctx: Context) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).where(BounceReport.state == "received")) or 0


def _left(ctx: Context) -> list[tuple[int, int]]:
    with ctx.read() as session:
        query = select(BounceReport.id, BounceReport.attempts).where(BounceReport.state == "received").limit(5)
        return [(number, attempts) for number, attempts in session.execute(query)]


@pytest.mark.parametrize("size", SIZES)
def test_accepted_mail_that_comes_back_is_applied_once_whoever_is_killed(new_field: OpenField, size: str) -> None:
    with new_field({}) as field:
        scene = make_crowd(field.ctx, SIZES[size])
        people = _addresses(field.ctx, scene)
        with field.ctx.write() as session:
            for message in session.scalars(select(Message).where(Message.sending_id == scene.sending_id)):
                message.state, message.accepted_at = MessageState.ACCEPTED.value, message.gate_at
        reports, dead = _story(field, people)
        readers = [field.stable.start("read") for _ in range(3)]
        for begin in range(0, len(reports), 40):
            record_reports(field.ctx, reports[begin : begin + 40])
            record_reports(field.ctx, reports[begin : begin + 10])  # and some of it once more
            victim = readers.pop(0)
            time.sleep(field.chance.uniform(0.0, 0.1))
            field.stable.kill(victim)
            readers.append(field.stable.start("read"))
        wait_for("every report", lambda: not _waiting(field.ctx), seconds=60, tell=lambda: _left(field.ctx))

        with field.ctx.read() as session:
            hard = session.scalars(select(Event.message_id).where(Event.kind == "hard_bounce")).all()
            assert sorted(hard) == sorted(dead), "each once"
            others = dict(session.execute(select(Event.kind, func.count()).group_by(Event.kind)).all())  # type: ignore[arg-type]
            full = sum(1 for place in range(len(people)) if place % 3 == 1)
            assert others == {"hard_bounce": len(dead), "delivered": len(dead), "soft_bounce": full, "delayed": full}
            suppressed = session.scalars(
                select(Message.id)
                .join(Address, Address.id == Message.address_id)
                .join(Suppression, Suppression.address_hash == Address.email_hash)
            ).all()
            assert sorted(suppressed) == sorted(dead), "nobody by a forgery or another tenant's report"
            states = set(session.scalars(select(Message.state).where(Message.sending_id == scene.sending_id)))
            assert states == {"accepted"}, "sent stays sent"


@pytest.mark.parametrize("size", ["long"])
def test_thousands_of_hostile_reports_are_read_in_time(seed: int, size: str) -> None:
    print(f"SEED={seed}, {size}")
    for number in range(2_000):
        check_time_and_memory(mutate(seed + number))
