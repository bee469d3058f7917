"""From unsubscribe to the last mail: 0 where none came, and mails after a return count for nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.consent import preferences, service
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.reports.leaving import Leaving, get_leaving
from mailer.schema.consent import ConsentEvent
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message
from mailer.statuses import SendingClass
from mailer.tokens import manage_token
from tests.support.make import make_reader, make_sending, make_topic, make_workspace

CAUSE = Cause(source="link in a mail", channel="page")


def _scene(ctx: Context, sending_class: SendingClass = SendingClass.MARKETING) -> tuple[int, int]:
    with ctx.write() as session:
        make_workspace(session)
        topic = make_topic(session)
        readers = [make_reader(session, topic) for _ in range(4)]
        make_sending(session, ctx, readers, topic, sending_class=sending_class)
    return topic.id, readers[0].id


def _leave(ctx: Context, topic_id: int, contact_id: int) -> None:
    with ctx.write() as session:
        service.unsubscribe(session, session.get_one(Contact, contact_id), topic_id, CAUSE)


def _accept(ctx: Context, contact_id: int, seconds: float) -> None:
    at = utc_now() + timedelta(seconds=seconds)
    with ctx.write() as session:
        session.execute(update(Message).where(Message.contact_id == contact_id).values(accepted_at=at))


def _figures(ctx: Context) -> Leaving:
    with ctx.read() as session:
        return get_leaving(session)


def test_nobody_who_left_got_a_mail_after_it(ctx: Context) -> None:
    topic_id, contact_id = _scene(ctx)
    _accept(ctx, contact_id, -60)
    _leave(ctx, topic_id, contact_id)

    found = _figures(ctx)

    assert (found.count, found.late, found.median, found.p99, found.worst) == (1, 0, 0, 0, 0)


def test_who_withdrew_before_the_period_is_not_counted(ctx: Context) -> None:
    _, contact_id = _scene(ctx)
    with ctx.write() as session:
        line = {"purpose": "e_marketing", "verdict": "withdrawn", "permission": "withdrawn", "source": "x"}
        ledger_id = session.get_one(Contact, contact_id).ledger_id
        session.add(ConsentEvent(**line, ledger_id=ledger_id, at=utc_now() - timedelta(days=31)))

    assert _figures(ctx).count == 0


def test_a_mail_accepted_after_it_is_measured(ctx: Context) -> None:
    topic_id, contact_id = _scene(ctx)
    with ctx.read() as session:
        everybody = session.scalars(select(Contact.id).order_by(Contact.id)).all()
    for number in everybody:
        _leave(ctx, topic_id, number)
    _accept(ctx, contact_id, 30)

    found = _figures(ctx)

    assert (found.count, found.late, found.median) == (4, 1, 0)
    assert 25 < found.worst <= 31
    assert found.p99 == found.worst


@pytest.mark.parametrize("sending_class", [SendingClass.TRANSACTIONAL, SendingClass.CONFIRMATION])
def test_mails_that_need_no_permission_do_not_count(ctx: Context, sending_class: SendingClass) -> None:
    topic_id, contact_id = _scene(ctx, sending_class)
    _leave(ctx, topic_id, contact_id)
    _accept(ctx, contact_id, 30)

    assert _figures(ctx).late == 0


def test_a_mail_after_the_return_does_not_count(ctx: Context) -> None:
    topic_id, contact_id = _scene(ctx)
    _leave(ctx, topic_id, contact_id)
    with ctx.write() as session:
        service.subscribe(session, session.get_one(Contact, contact_id), topic_id, CAUSE)
    _accept(ctx, contact_id, 30)

    assert _figures(ctx).late == 0


def test_reasons_are_counted(ctx: Context) -> None:
    topic_id, contact_id = _scene(ctx)
    token = manage_token(ctx.keys, contact_id, topic_id, 0)
    undo = preferences.unsubscribe_by_link(ctx, token, channel="page")
    preferences.record_answer(ctx, token, undo, "too_many", "")

    assert list(_figures(ctx).reasons) == [("too_many", 1)]
