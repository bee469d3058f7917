"""Link actions: a quarantine, then once."""

from datetime import timedelta

from sqlalchemy import select, update

from mailer.actions import service
from mailer.actions.service import Click
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.actions import ActionRun
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Message
from mailer.schema.followups import FollowUp
from mailer.schema.segments import SegmentMember
from mailer.segments import removal
from mailer.segments import service as segments
from tests.support.make import make_reader, make_sending, make_staff, make_topic, make_version

LINKS = (
    {
        "match": "https://example.com/sign-up",
        "actions": [{"add_to_segment": "Participants"}, {"follow_up": {"title": "Call"}}],
    },
)


class Scene:
    """A contact whose mail has a link with two actions."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.hits = 0
        self.segment = segments.create_static(ctx, "Participants")
        links = (
            {"match": LINKS[0]["match"], "actions": [{"add_to_segment": self.segment.id}, LINKS[0]["actions"][1]]},
        )
        with ctx.write() as session:
            self.owner = make_staff(session)
            topic = make_topic(session)
            contact = make_reader(session, topic, key=ctx.keys.suppression, owner_id=self.owner.id)
            version = make_version(session, ctx, links=links)
            make_sending(session, ctx, [contact], topic)
            self.contact_id = contact.id
            self.message_id = session.scalars(select(Message.id)).one()
            self.link_id = session.scalars(
                select(TrackedLink.id).where(TrackedLink.content_version_id == version.id)
            ).one()

    def click(self, *, due_in: float = -1) -> int:
        now = utc_now()
        with self.ctx.write() as session:
            self.hits += 1
            click = Click(self.link_id, self.contact_id, self.message_id, self.hits, now)
            new = service.schedule_actions(session, [click])
            due_at = now + timedelta(seconds=due_in)
            session.execute(update(ActionRun).where(ActionRun.state == "pending").values(due_at=due_at))
            return new

    def outcome(self) -> tuple[int, int]:
        with self.ctx.read() as session:
            return len(session.scalars(select(SegmentMember)).all()), len(session.scalars(select(FollowUp)).all())


def test_actions_run_after_their_quarantine_and_not_before(ctx: Context) -> None:
    scene = Scene(ctx)

    scene.click(due_in=3600)
    assert service.run_due(ctx) == 0
    assert scene.outcome() == (0, 0)

    with ctx.write() as session:
        for run in session.scalars(select(ActionRun)):
            run.due_at = utc_now() - timedelta(seconds=1)
    assert service.run_due(ctx) == 2
    assert scene.outcome() == (1, 1)


def test_actions_run_once_however_often_somebody_clicks(ctx: Context) -> None:
    scene = Scene(ctx)

    for _ in range(3):
        scene.click()
        service.run_due(ctx)

    assert scene.outcome() == (1, 1)


def test_voided_actions_do_nothing_and_a_later_human_click_revives_them(ctx: Context) -> None:
    scene = Scene(ctx)
    scene.click(due_in=3600)
    with ctx.write() as session:
        assert service.void_actions(session, scene.message_id, scene.link_id, hit_id=1) == 2
    assert service.run_due(ctx) == 0

    assert scene.click() == 2
    service.run_due(ctx)

    assert scene.outcome() == (1, 1)


def test_task_of_a_link_goes_to_the_contacts_owner(ctx: Context) -> None:
    scene = Scene(ctx)
    scene.click()
    service.run_due(ctx)

    with ctx.read() as session:
        task = session.scalars(select(FollowUp)).one()
    assert task.owner_id == scene.owner.id
    assert task.tracked_link_id == scene.link_id


def test_action_that_cannot_be_done_is_refused_with_its_reason_and_the_others_run(ctx: Context) -> None:
    scene = Scene(ctx)
    removal.archive_segment(ctx, scene.segment.id)
    with ctx.write() as session:
        session.get_one(type(scene.segment), scene.segment.id).kind = "dynamic"
        session.get_one(type(scene.segment), scene.segment.id).rule = {"version": 1, "all": []}
    scene.click()

    service.run_due(ctx)

    with ctx.read() as session:
        states = sorted(session.scalars(select(ActionRun.state)))
    assert states == ["done", "refused"]
