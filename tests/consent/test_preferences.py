"""What a person does with their link, and taking it back: exactly what was, and never past a complaint."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer import tokens
from mailer.clock import utc_now
from mailer.consent import preferences, queries, service
from mailer.consent.replay import list_differences
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.errors import ConflictError, InputError, UntrustedRequestError
from mailer.schema.consent import Consent, ConsentEvent, LeaveAnswer, Subscription
from mailer.schema.contacts import Contact
from mailer.schema.workspace import Workspace
from mailer.statuses import Basis, Permission, Purpose, SubscriptionStatus
from tests.support.make import make_contact, make_topic, make_workspace

CAUSE = Cause(source="form", channel="form")


class Scene:
    """Two contacts with one mailbox: a customer for a year, subscribed to News, and one who wants both topics."""

    def __init__(self, ctx: Context) -> None:
        self.ctx, self.end = ctx, utc_now() + timedelta(days=365)
        with ctx.write() as session:
            make_workspace(session)
            self.news, self.offers = make_topic(session, name="News").id, make_topic(session, name="Offers").id
            first = make_contact(session, "anna@example.com", key=ctx.keys.suppression, country="Norway")
            second = make_contact(session, address_id=first.address_id)
            service.give_permission(
                session, first, Permission.CUSTOMER, CAUSE, basis=Basis.CUSTOMER, expires_at=self.end
            )  # fmt: skip
            service.set_subscription(session, first, self.news, SubscriptionStatus.SUBSCRIBED, CAUSE)
            for topic_id in (self.news, self.offers):
                service.subscribe(session, second, topic_id, CAUSE)
        self.first, self.second = first.id, second.id

    def token(self, topic_id: int = 0) -> str:
        return tokens.manage_token(self.ctx.keys, self.first, topic_id, 7)

    def state(self) -> list[object]:
        with self.ctx.read() as session:
            rows = session.scalars(select(Consent).order_by(Consent.contact_id))
            subscriptions = session.scalars(
                select(Subscription).order_by(Subscription.contact_id, Subscription.topic_id)
            )
            return [
                *((row.contact_id, row.permission, row.basis, row.source, row.expires_at) for row in rows),
                *((row.contact_id, row.topic_id, row.status) for row in subscriptions),
            ]


@pytest.fixture
def scene(ctx: Context) -> Scene:
    return Scene(ctx)


@pytest.mark.parametrize("everything", [True, False])
def test_undo_restores_exactly_what_was_for_everybody_with_the_address(scene: Scene, everything: bool) -> None:
    before = scene.state()
    undo = preferences.unsubscribe_by_link(scene.ctx, scene.token(scene.news), channel="page", everything=everything)
    assert scene.state() != before

    assert preferences.undo_by_link(scene.ctx, scene.token(), undo) == (5 if everything else 2)
    assert scene.state() == before
    assert preferences.undo_by_link(scene.ctx, scene.token(), undo) == 0
    with scene.ctx.read() as session:
        assert list_differences(session) == []


def test_undo_leaves_alone_what_was_changed_again(scene: Scene) -> None:
    undo = preferences.unsubscribe_by_link(scene.ctx, scene.token(), channel="page", everything=True)
    service.object_to_mail(scene.ctx, scene.first, CAUSE)
    with scene.ctx.write() as session:
        contact = session.get_one(Contact, scene.second)
        service.subscribe(session, contact, scene.news, CAUSE)
        service.unsubscribe(session, contact, scene.news, CAUSE)

    preferences.undo_by_link(scene.ctx, scene.token(), undo)

    with scene.ctx.read() as session:
        status = {choice.topic_id: choice.status.value for choice in queries.list_choices(session, scene.second)}
    assert status == {scene.news: "unsubscribed", scene.offers: "subscribed"}


def test_nothing_is_undone_after_a_complaint(scene: Scene) -> None:
    undo = preferences.unsubscribe_by_link(scene.ctx, scene.token(), channel="page", everything=True)
    with scene.ctx.write() as session:
        service.complain(session, session.get_one(Contact, scene.first), CAUSE)

    with pytest.raises(ConflictError):
        preferences.undo_by_link(scene.ctx, scene.token(), undo)


def test_undo_ends_after_a_day_and_belongs_to_one_person(scene: Scene) -> None:
    preferences.unsubscribe_by_link(scene.ctx, scene.token(scene.news), channel="page")
    with scene.ctx.write() as session:
        other = make_contact(session)
        last = session.scalar(select(ConsentEvent.id).order_by(ConsentEvent.id.desc()).limit(1)) or 0
    keys, now = scene.ctx.keys, int(utc_now().timestamp())
    late = tokens.undo_token(keys, scene.first, last, last, now - 1)
    foreign = tokens.undo_token(keys, other.id, last, last, now + 60)

    with pytest.raises(ConflictError, match="too late"):
        preferences.undo_by_link(scene.ctx, scene.token(), late)
    with pytest.raises(UntrustedRequestError):
        preferences.undo_by_link(scene.ctx, scene.token(), foreign)


def test_two_topics_ended_by_one_click_end_all_marketing(scene: Scene) -> None:
    for topic_id in (scene.news, scene.offers):
        with scene.ctx.read() as session:
            assert queries.get_permission(session, scene.second) is Permission.CONSENT
        token = tokens.manage_token(scene.ctx.keys, scene.second, topic_id, 0)
        preferences.unsubscribe_by_link(scene.ctx, token, channel="one-click")

    with scene.ctx.read() as session:
        assert queries.get_permission(session, scene.first) is Permission.WITHDRAWN
        assert queries.get_permission(session, scene.second) is Permission.WITHDRAWN


def test_one_click_stays_with_its_topics_where_the_workspace_says_so(scene: Scene) -> None:
    with scene.ctx.write() as session:
        workspace = session.get_one(Workspace, 1)
        workspace.limits = {"one_click_withdraws": 0}
    for topic_id in (scene.news, scene.offers):
        token = tokens.manage_token(scene.ctx.keys, scene.second, topic_id, 0)
        preferences.unsubscribe_by_link(scene.ctx, token, channel="one-click")

    with scene.ctx.read() as session:
        assert queries.get_permission(session, scene.second) is Permission.CONSENT


def test_a_pause_holds_for_everybody_with_the_address_and_is_in_the_ledger(scene: Scene) -> None:
    until = preferences.pause_by_link(scene.ctx, scene.token(), 30)
    preferences.pause_by_link(scene.ctx, scene.token(), 0)

    with scene.ctx.read() as session:
        lines = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc()).limit(4)).all()
        rows = session.scalars(select(Consent)).all()
        assert [(line.verdict, line.ends_at) for line in reversed(lines)] == [("paused", until)] * 2 + [
            ("resumed", None)
        ] * 2
        assert all(row.paused_until is None for row in rows)
        assert list_differences(session) == []
    with pytest.raises(InputError):
        preferences.pause_by_link(scene.ctx, scene.token(), 366)


def test_language_and_tracking_are_saved_and_only_what_differs_is_recorded(scene: Scene) -> None:
    token = scene.token()
    preferences.save_choices(scene.ctx, token, {scene.news}, language="nb", allows_tracking=True)
    with scene.ctx.read() as session:
        assert session.get_one(Contact, scene.first).language == "nb"
        assert session.scalars(select(Consent).where(Consent.purpose == Purpose.TRACKING)).all() == []

    preferences.save_choices(scene.ctx, token, {scene.news}, language="klingon", allows_tracking=False)

    with scene.ctx.read() as session:
        assert session.get_one(Contact, scene.first).language == "nb"
        rows = session.scalars(select(Consent).where(Consent.purpose == Purpose.TRACKING)).all()
        assert [row.permission for row in rows] == ["withdrawn"] * 2
        assert list_differences(session) == []


def test_an_answer_is_kept_once_and_belongs_to_the_line(scene: Scene) -> None:
    undo = preferences.unsubscribe_by_link(scene.ctx, scene.token(scene.news), channel="page")
    preferences.record_answer(scene.ctx, scene.token(), undo, "too_many", "x" * 900)
    preferences.record_answer(scene.ctx, scene.token(), undo, "other", "daily")

    with scene.ctx.read() as session:
        (row,) = session.scalars(select(LeaveAnswer)).all()
        assert (row.reason, row.note) == ("other", "daily")
    with pytest.raises(InputError):
        preferences.record_answer(scene.ctx, scene.token(), undo, "because", "")
    with pytest.raises(UntrustedRequestError):
        preferences.record_answer(scene.ctx, scene.token(), "A" * 52, "other", "")


@pytest.mark.parametrize(("country", "is_on"), [("Norway", True), ("", False), ("France", False)])
def test_the_switch_for_tracking_is_on_only_where_all_of_it_is_kept(ctx: Context, country: str, is_on: bool) -> None:
    with ctx.write() as session:
        make_workspace(session)
        contact = make_contact(session, country=country)
    token = tokens.manage_token(ctx.keys, contact.id)
    assert preferences.read_preferences(ctx, token).is_tracked is is_on

    preferences.save_choices(ctx, token, (), allows_tracking=False)
    with ctx.read() as session:
        assert preferences.find_tracked(session, contact) == (False, False)
    preferences.save_choices(ctx, token, (), allows_tracking=True)
    with ctx.read() as session:
        assert preferences.find_tracked(session, contact) == (True, True)
