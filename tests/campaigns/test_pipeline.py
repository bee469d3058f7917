"""From a campaign file to accepted mails, and everything that may come between."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from mailer.campaigns import composing, prepare, queries, running, service, trying
from mailer.campaigns.audience import audience_select
from mailer.campaigns.spec import build_draft
from mailer.campaigns.staging import stage_audience
from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.consent import suppressions
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.delivery.loop import reap_now, send_due
from mailer.errors import ConflictError, InputError
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.segments import removal
from mailer.segments import service as segments
from mailer.statuses import MessageState, SendingState
from tests.support.make import make_company, make_consent, make_contact, make_reader, make_sender, make_topic
from tests.support.sink import Sink

CAUSE = Cause(source="test", channel="test")
NAMED = {"version": 1, "all": [{"field": "last_name", "op": "is_not_empty"}]}


def _draft(**overrides: Any) -> Any:
    values = {
        "name": "Seminar invitation",
        "subject": "{{ contact.first_name | default('Hello') }}, join us",
        "sender": "Fjord Seminars",
        "topic": "Invitations",
        "design": "invitation",
        "include": ["Everybody"],
        "data": {"event": {"sign_up_url": "https://example.com/seminar/sign-up"}},
    }
    return build_draft(values | overrides, Path())


def _world(ctx: Context, count: int = 5) -> list[Contact]:
    key = ctx.keys.suppression
    with ctx.write() as session:
        make_sender(session, name="Fjord Seminars")
        topic = make_topic(session, name="Invitations")
        readers = [make_reader(session, topic, f"p{number}@example.com", key=key) for number in range(count)]
    segments.create_dynamic(ctx, "Everybody", NAMED)
    return readers


def _launch(ctx: Context, **overrides: Any) -> Campaign:
    campaign = composing.create_campaign(ctx, _draft(**overrides))
    service.launch_campaign(ctx, campaign.id)
    return campaign


def _status(ctx: Context, campaign: Campaign) -> tuple[str, str, dict[str, int]]:
    with ctx.read() as session:
        progress = queries.get_progress(session, ctx, queries.get_campaign(session, campaign.id))
    return progress.status, progress.reason, {state: n for state, n in progress.states.items() if n}


def test_launched_campaign_reaches_everybody_once_and_finishes(sending_ctx: Context, sink: Sink) -> None:
    _world(sending_ctx)
    campaign = _launch(sending_ctx)

    service.start_due(sending_ctx)
    send_due(sending_ctx, seconds=30)
    reap_now(sending_ctx)

    assert sorted(sink.recipients) == [f"p{number}@example.com" for number in range(5)]
    assert _status(sending_ctx, campaign) == ("finished", "", {"accepted": 5})


def test_every_refused_contact_has_the_first_reason_that_applies(ctx: Context) -> None:
    key = ctx.keys.suppression
    _world(ctx, 1)
    with ctx.write() as session:
        make_contact(session, None)
        bad = make_contact(session, "bad@example.com", key=key)
        session.execute(update(Address).where(Address.id == bad.address_id).values(is_valid=False))
        make_contact(session, "marked@example.com", key=key, do_not_mail=True)
        company = make_company(session, do_not_mail=True)
        make_contact(session, "firm@example.com", key=key, company_id=company.id)
        stopped = make_contact(session, "stopped@example.com", key=key)
        make_consent(session, stopped)
        make_contact(session, "never@example.com", key=key)
        make_consent(session, make_contact(session, "elsewhere@example.com", key=key))
        first = session.scalars(select(Contact).order_by(Contact.id)).first()
        assert first is not None
        make_contact(session, address_id=first.address_id)
        out = make_contact(session, "out@example.com", key=key)
    suppressions.add_suppression(ctx, "stopped@example.com", source="test")
    segments.create_static(ctx, "Competitors", contact_ids=[out.id])
    campaign = composing.create_campaign(ctx, _draft(exclude=["Competitors"]))

    counted = service.count_audience(ctx, campaign.id)

    assert counted == {
        "matched": 10, "excluded": 1, "duplicates": 1, "no_address": 1, "invalid_address": 1, "no_permission": 1,
        "not_subscribed": 1, "paused": 0, "suppressed": 1, "do_not_mail": 2, "capped": 0, "sendable": 1,
    }  # fmt: skip
    service.launch_campaign(ctx, campaign.id)
    service.start_due(ctx)
    with ctx.read() as session:
        rows = session.scalars(select(Message)).all()
    assert len(rows) == counted["matched"]
    assert sum(row.state == MessageState.SKIPPED for row in rows) == 9


def test_scheduled_campaign_starts_when_its_time_comes(sending_ctx: Context, sink: Sink) -> None:
    _world(sending_ctx, 1)
    at = (utc_now() + timedelta(hours=1)).replace(tzinfo=None).isoformat()
    campaign = _launch(sending_ctx, send_at=at)
    service.start_due(sending_ctx)
    assert _status(sending_ctx, campaign)[0] == SendingState.SCHEDULED

    sending_ctx.clock.offset = timedelta(hours=1, minutes=1)
    service.start_due(sending_ctx)
    send_due(sending_ctx, seconds=30)

    assert sink.recipients == ["p0@example.com"]


def test_far_too_late_start_waits_for_a_person(ctx: Context) -> None:
    _world(ctx, 1)
    at = (utc_now() + timedelta(hours=1)).replace(tzinfo=None).isoformat()
    campaign = _launch(ctx, send_at=at)

    ctx.clock.offset = timedelta(hours=4)
    service.start_due(ctx)

    assert _status(ctx, campaign)[0] == SendingState.MISSED


def test_two_preparations_at_once_write_each_recipient_once(make_ctx: Callable[..., Context]) -> None:
    ctx = make_ctx()
    _world(ctx, 20)
    campaign = _launch(ctx)
    with ctx.read() as session:
        other = session.get_one(Campaign, campaign.id)
    prepare.prepare(ctx, campaign.id)
    with ctx.write() as session:
        session.execute(update(Campaign).values(status="preparing", audience_cursor=0))
        session.execute(update(Sending).values(state="preparing"))

    prepare.prepare(make_ctx(), other.id)

    with ctx.read() as session:
        assert len(session.scalars(select(Message.id)).all()) == 20


def test_chunk_of_an_audience_is_written_by_one_process_only(make_ctx: Callable[..., Context]) -> None:
    ctx, other = make_ctx(), make_ctx()
    _world(ctx, 3)
    campaign = _launch(ctx)
    prepare._freeze(ctx, campaign.id)
    with ExitStack() as stack:
        first, second = (_staged(stack, one, campaign.id) for one in (ctx, other))
        last = first.find_end(0)
        assert last is not None
        first.write(0, last)

        with pytest.raises(prepare.SomebodyElseError):
            second.write(0, last)

    with ctx.read() as session:
        assert len(session.scalars(select(SendBatch.id)).all()) == 1
        assert len(session.scalars(select(Message.id)).all()) == 3


def _staged(stack: ExitStack, ctx: Context, campaign_id: int) -> prepare._Writer:
    own = replace(ctx, database=stack.enter_context(ctx.database.open_private()))
    with own.read() as session:
        campaign = session.get_one(Campaign, campaign_id)
        stage_audience(session, audience_select(session, campaign, ctx.clock.today("UTC"), utc_now()), after_id=0)
    return prepare._Writer(own, campaign, 0)


def test_preparation_that_died_goes_on_where_it_was(ctx: Context) -> None:
    _world(ctx, 20)
    campaign = _launch(ctx)
    prepare.prepare(ctx, campaign.id)
    with ctx.write() as session:
        half = session.scalars(select(Message).order_by(Message.id)).all()[10:]
        for message in half:
            session.delete(message)
        session.execute(update(Campaign).values(status="preparing", audience_cursor=half[0].recipient_key - 1))
        session.execute(update(Sending).values(state="preparing"))

    prepare.prepare(ctx, campaign.id)

    with ctx.read() as session:
        rows = session.scalars(select(Message).order_by(Message.id)).all()
        batches = session.scalars(select(SendBatch.id)).all()
    assert len({row.recipient_key for row in rows}) == 20
    assert all(row.batch_id in batches for row in rows)


def test_audience_that_became_empty_is_held(ctx: Context) -> None:
    (reader,) = _world(ctx, 1)
    campaign = _launch(ctx)
    with ctx.write() as session:
        consent.withdraw_all(session, [session.get_one(Contact, reader.id)], CAUSE)

    service.start_due(ctx)

    assert _status(ctx, campaign)[:2] == ("paused", "audience_changed")


def test_red_findings_block_the_launch_with_all_of_them(make_ctx: Callable[..., Context]) -> None:
    ctx = make_ctx(smtp_url="")
    _world(ctx, 0)
    with ctx.write() as session:
        make_sender(session, name="Bare", from_email="someone@gmail.com", postal_address="")
    campaign = composing.create_campaign(ctx, _draft(sender="Bare"))

    with pytest.raises(InputError) as caught:
        service.launch_campaign(ctx, campaign.id)

    text = str(caught.value)
    for part in ("postal address", "gmail.com", "nobody would get this mail", "no relay is set"):
        assert part in text
    assert _status(ctx, campaign)[0] == SendingState.DRAFT


def test_missing_sender_topic_and_segment_are_all_named(ctx: Context) -> None:
    with pytest.raises(InputError) as caught:
        composing.create_campaign(ctx, _draft())

    assert [problem.where for problem in caught.value.problems] == ["sender", "topic", "include"]


@pytest.mark.parametrize(
    ("owner", "what"),
    [
        ("nobody@example.com", "nobody of the staff has the address"),
        ("group:Salez", "nobody works in the group"),
    ],
)
def test_task_for_nobody_blocks_the_launch(ctx: Context, owner: str, what: str) -> None:
    _world(ctx)
    task = {"follow_up": {"title": "Call", "owner": owner}}
    links = [{"match": "https://example.com/seminar/sign-up", "actions": [task]}]
    campaign = composing.create_campaign(ctx, _draft(links=links))

    with pytest.raises(InputError, match=what):
        service.launch_campaign(ctx, campaign.id)


def test_cancelled_campaign_sends_nothing_more(sending_ctx: Context, sink: Sink) -> None:
    _world(sending_ctx)
    campaign = _launch(sending_ctx)
    service.start_due(sending_ctx)

    assert running.cancel_campaign(sending_ctx, campaign.id) == 5
    send_due(sending_ctx, seconds=5)

    assert sink.mails == []
    assert _status(sending_ctx, campaign) == ("cancelled", "", {"cancelled": 5})


def test_running_campaign_cannot_be_edited(ctx: Context) -> None:
    _world(ctx)
    campaign = _launch(ctx)
    service.start_due(ctx)

    with pytest.raises(ConflictError):
        composing.update_campaign(ctx, campaign.id, {"subject": "Other"})


def test_test_mail_arrives_marked_and_outside_the_figures(sending_ctx: Context, sink: Sink) -> None:
    readers = _world(sending_ctx)
    campaign = composing.create_campaign(sending_ctx, _draft())

    trying.send_test(sending_ctx, campaign.id, ["me@example.com"], contact_id=readers[0].id, by=None)
    send_due(sending_ctx, seconds=30)

    assert sink.recipients == ["me@example.com"]
    assert sink.mails[0].header("Subject").startswith("[Test] First")
    assert _status(sending_ctx, campaign)[2] == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_wrong_address_of_a_test_mail_is_named_and_none_is_sent(ctx: Context) -> None:
    _world(ctx)
    campaign = composing.create_campaign(ctx, _draft())

    with pytest.raises(InputError) as refused:
        trying.send_test(ctx, campaign.id, ["me@example.com", "me", "you@"], contact_id=None, by=None)

    assert [problem.where for problem in refused.value.problems] == ["address 2", "address 3"]


def test_segment_in_use_by_a_campaign_cannot_be_deleted(ctx: Context) -> None:
    _world(ctx)
    composing.create_campaign(ctx, _draft())
    with ctx.read() as session:
        segment_id = queries.list_segments(session, 1, "include")[0].id

    with pytest.raises(ConflictError, match="campaign"):
        removal.delete_segment(ctx, segment_id)
