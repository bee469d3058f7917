"""A scheduled campaign starts once, whoever looks; too late it waits for a person; its audience is looked at again."""

import multiprocessing
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from mailer.accounts.control import change_settings
from mailer.campaigns import composing, queries, running, service
from mailer.campaigns.jobs import START_DUE
from mailer.campaigns.prepare import has_changed
from mailer.campaigns.service import start_due
from mailer.context import Context
from mailer.database import Database
from mailer.delivery.loop import reap_now
from mailer.jobs import SilentBell
from mailer.schema.accounts import AuditEvent
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Topic
from mailer.schema.delivery import Message, Sending
from mailer.segments import service as segments
from mailer.settings import Settings
from mailer.statuses import MessageState
from mailer.tokens import Keys
from tests.support.make import STARTER_MJML, make_reader, make_sender, make_topic

NAMED = {"version": 1, "all": [{"field": "last_name", "op": "is_not_empty"}]}
PROCESSES = 4


def _world(ctx: Context, count: int = 3) -> dict[str, Any]:
    """Readers, a segment of them, and what a campaign needs."""
    with ctx.write() as session:
        topic, sender = make_topic(session, name="News"), make_sender(session)
        for number in range(count):
            make_reader(session, topic, f"p{number}@example.com", key=ctx.keys.suppression)
    segment = segments.create_dynamic(ctx, "Everybody", NAMED)
    return {"topic_id": topic.id, "sender_id": sender.id, "segment": segment.id}


def _draft(ctx: Context, world: Mapping[str, Any], send_at: datetime | None = None, **more: Any) -> int:
    campaign = composing.create_draft(ctx, "Scheduled")
    values = {"subject": "News", "mjml": STARTER_MJML, "sender_id": world["sender_id"], "topic_id": world["topic_id"]}
    composing.update_campaign(ctx, campaign.id, {**values, "send_at": send_at, **more}, include=[world["segment"]])
    return campaign.id


def _scheduled(ctx: Context, world: Mapping[str, Any], minutes: float = 5, **more: Any) -> int:
    campaign_id = _draft(ctx, world, ctx.clock.now() + timedelta(minutes=minutes), **more)
    service.launch_campaign(ctx, campaign_id)
    return campaign_id


def _status(ctx: Context, campaign_id: int) -> tuple[str, str]:
    with ctx.read() as session:
        progress = queries.get_progress(session, ctx, queries.get_campaign(session, campaign_id))
    return progress.status.value, progress.reason


def _look(settings: dict[str, Any], keys: Keys, offset: timedelta, barrier: Any) -> None:
    """What each beat process does, again and again."""
    parsed = Settings(**settings)
    ctx = Context(settings=parsed, database=Database(parsed.database_url), keys=keys, bell=SilentBell())
    ctx.clock.offset = offset
    barrier.wait(60)
    for _ in range(3):
        start_due(ctx)
    ctx.database.dispose()


def test_four_beats_start_each_campaign_once(ctx: Context, request: pytest.FixtureRequest) -> None:
    world = _world(ctx)
    ids = [_scheduled(ctx, world) for _ in range(10 * request.config.getoption("--trials"))]
    ctx.clock.offset = timedelta(minutes=6)
    settings = {
        name: getattr(ctx.settings, name) for name in ("data_dir", "database_url", "public_url", "bounce_domain")
    }
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(PROCESSES)
    beats = [
        spawn.Process(target=_look, args=(settings, ctx.keys, ctx.clock.offset, barrier)) for _ in range(PROCESSES)
    ]
    for beat in beats:
        beat.start()
    for beat in beats:
        beat.join(120)

    assert [beat.exitcode for beat in beats] == [0] * PROCESSES
    assert {_status(ctx, campaign_id) for campaign_id in ids} == {("sending", "")}
    with ctx.read() as session:
        counts = session.execute(select(Message.sending_id, func.count()).group_by(Message.sending_id)).all()
        sendings = session.scalars(select(Campaign.sending_id).where(Campaign.id.in_(ids))).all()
        assert session.scalar(select(func.count()).select_from(Sending)) == len(ids)
    assert sorted(count for _, count in counts) == [3] * len(ids)
    assert len(set(sendings)) == len(ids)


def test_nothing_starts_before_its_time(ctx: Context) -> None:
    campaign_id = _scheduled(ctx, _world(ctx))

    start_due(ctx)
    assert _status(ctx, campaign_id) == ("scheduled", "")
    ctx.clock.offset = timedelta(minutes=5, seconds=1)
    start_due(ctx)

    assert _status(ctx, campaign_id) == ("sending", "")


@pytest.mark.parametrize(("late", "status"), [(timedelta(minutes=119), "sending"), (timedelta(minutes=121), "missed")])
def test_start_that_is_more_than_two_hours_late_waits_for_a_person(ctx: Context, late: timedelta, status: str) -> None:
    campaign_id = _scheduled(ctx, _world(ctx))
    ctx.clock.offset = timedelta(minutes=5) + late

    start_due(ctx)

    assert _status(ctx, campaign_id)[0] == status
    with ctx.read() as session:
        audited = session.scalars(select(AuditEvent.actor).where(AuditEvent.action == "campaign.missed")).all()
    assert audited == (["schedule"] if status == "missed" else [])


def test_missed_campaign_is_launched_by_a_person_with_a_day_of_its_own(ctx: Context) -> None:
    campaign_id = _scheduled(ctx, _world(ctx))
    ctx.clock.offset = timedelta(hours=30)
    start_due(ctx)

    service.launch_campaign(ctx, campaign_id)
    start_due(ctx)

    assert _status(ctx, campaign_id) == ("sending", "")
    with ctx.read() as session:
        sending = session.scalars(select(Sending)).one()
    assert sending.send_until is not None
    assert sending.send_until - ctx.clock.now() > timedelta(hours=23, minutes=59)


def test_time_to_send_ends_a_day_after_the_planned_start(ctx: Context) -> None:
    campaign_id = _scheduled(ctx, _world(ctx), minutes=60)
    ctx.clock.offset = timedelta(minutes=61)
    start_due(ctx)
    with ctx.read() as session:
        until = session.scalars(select(Sending.send_until)).one()
        send_at = session.get_one(Campaign, campaign_id).send_at
    assert send_at is not None
    assert until == send_at + timedelta(hours=24)

    ctx.clock.offset = timedelta(minutes=59, hours=24)
    reap_now(ctx)
    before = _status(ctx, campaign_id)[0]
    ctx.clock.offset = timedelta(minutes=62, hours=24)
    reap_now(ctx)

    assert (before, _status(ctx, campaign_id)[0]) == ("sending", "finished")
    with ctx.read() as session:
        assert set(session.scalars(select(Message.state))) == {MessageState.EXPIRED.value}


@pytest.mark.parametrize(
    ("approved", "sendable", "changed"),
    [
        (600, 720, False),  # exactly 20 %
        (600, 721, True),
        (600, 480, False),
        (600, 479, True),
        (400, 500, False),  # 25 %, but exactly 100 people
        (400, 501, True),
        (50, 140, False),
        (3, 0, True),  # nobody is left
        (None, 7, False),
        (None, 0, True),
    ],
)
def test_audience_has_changed_by_more_than_a_fifth_and_a_hundred_people(
    ctx: Context, approved: int | None, sendable: int, *, changed: bool
) -> None:
    with ctx.read() as session:
        assert has_changed(approved, sendable, session) is changed


def test_audience_that_moved_is_held_at_the_start_until_a_person_lets_it_go(ctx: Context) -> None:
    world = _world(ctx)
    change_settings(ctx, by=None, limits={"audience_change_count": 1})
    campaign_id = _scheduled(ctx, world)
    with ctx.write() as session:
        topic = session.get_one(Topic, world["topic_id"])
        for number in range(10, 13):
            make_reader(session, topic, f"p{number}@example.com", key=ctx.keys.suppression)
    ctx.clock.offset = timedelta(minutes=6)

    start_due(ctx)

    assert _status(ctx, campaign_id) == ("paused", "audience_changed")
    with ctx.read() as session:
        assert session.scalars(select(Sending.hold_note)).one() == "3 were approved, 6 would get it"
    running.resume_campaign(ctx, campaign_id)
    assert _status(ctx, campaign_id) == ("sending", "")


def test_start_in_the_quiet_hours_only_warns(ctx: Context) -> None:
    world = _world(ctx)
    night = (ctx.clock.now() + timedelta(days=1)).replace(hour=23, minute=0)
    loud, quiet = _draft(ctx, world, night), _draft(ctx, world, night, keeps_quiet_hours=True)
    day = _draft(ctx, world, night.replace(hour=12) + timedelta(days=1))

    def codes(campaign_id: int) -> dict[str, str]:
        findings, _ = service.review_campaign(ctx, campaign_id)
        return {finding.code: finding.level.value for finding in findings}

    assert codes(loud)["quiet_hours"] == "amber"
    assert codes(quiet)["waits_for_morning"] == "amber"
    assert not {"quiet_hours", "waits_for_morning"} & codes(day).keys()


def test_campaign_that_keeps_quiet_hours_hands_that_on(ctx: Context) -> None:
    campaign_id = _scheduled(ctx, _world(ctx), keeps_quiet_hours=True)
    ctx.clock.offset = timedelta(minutes=6)

    start_due(ctx)

    assert _status(ctx, campaign_id)[0] == "sending"
    with ctx.read() as session:
        assert session.scalars(select(Sending.keeps_quiet_hours)).one() is True


def test_start_looks_every_few_seconds() -> None:
    assert START_DUE.every_seconds == 2
