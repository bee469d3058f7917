"""Who uses a segment, who sees it, and what that forbids; conversion in pages."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mailer.campaigns import composing
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.accounts import AuditEvent, Staff
from mailer.schema.campaigns import Campaign
from mailer.schema.content import ContentVersion, LinkAction, TrackedLink
from mailer.schema.delivery import Sending
from mailer.schema.segments import Segment, SegmentMember
from mailer.segments import chosen, freezing, members, queries, removal, service, uses
from mailer.segments.visibility import Visibility, list_visible, make_viewer
from mailer.statuses import SegmentKind
from mailer.statuses import SegmentOperation as Op
from tests.support.make import make_contact, make_sender, make_staff, make_topic, make_version, make_workspace


@pytest.fixture
def board(ctx: Context) -> Segment:
    with ctx.write() as session:
        make_workspace(session)
        ids = [make_contact(session, city="Oslo").id for _ in range(7)]
    return service.create_static(ctx, "Board", contact_ids=ids)


def names(ctx: Context, segment: Segment) -> list[tuple[str, str, bool]]:
    with ctx.read() as session:
        return [(use.kind, use.name, use.is_active) for use in uses.list_uses(session, segment.id)]


def in_segment(name: str) -> dict[str, Any]:
    return {"version": 1, "all": [{"field": "segment", "op": "in", "value": name}]}


def test_campaign_uses_by_audience_and_by_links_until_both_are_over(ctx: Context, board: Segment) -> None:
    other = service.create_static(ctx, "Sign-ups")
    draft = composing.create_draft(ctx, "Invitation", include=[board.id])
    links = [{"match": "https://example.com/sign-up", "actions": [{"add_to_segment": "Sign-ups"}]}]
    composing.update_campaign(ctx, draft.id, {"links": links}, exclude=[other.id])

    assert names(ctx, board) == [("campaign", "Invitation", True)]
    assert names(ctx, other) == [("campaign", "Invitation", True), ("link_action", "Invitation", True)]
    with pytest.raises(ConflictError, match="a link of campaign Invitation"):
        removal.archive_segment(ctx, other.id)
    composing.update_campaign(ctx, draft.id, {"links": []}, exclude=[])
    assert names(ctx, other) == []

    composing.update_campaign(ctx, draft.id, {"links": links})
    _finish(ctx, draft, other, ends_in=timedelta(days=1))
    assert names(ctx, board) == [("campaign", "Invitation", False)]
    assert names(ctx, other) == [("link_action", "Invitation", True)]
    with ctx.write() as session:
        session.execute(update(LinkAction).values(ends_at=utc_now() - timedelta(days=1)))
    assert names(ctx, other) == [("link_action", "Invitation", False)]
    with pytest.raises(ConflictError, match="Invitation") as refused:
        removal.delete_segment(ctx, board.id)
    assert refused.value.mend == "archive it instead"
    removal.archive_segment(ctx, board.id)
    removal.archive_segment(ctx, other.id)


def _finish(ctx: Context, draft: Campaign, target: Segment, *, ends_in: timedelta) -> None:
    with ctx.write() as session:
        version: ContentVersion = make_version(session, ctx)
        link = session.scalars(select(TrackedLink).where(TrackedLink.content_version_id == version.id)).first()
        assert link is not None
        session.add(
            LinkAction(
                tracked_link_id=link.id, ordinal=0, kind="add_to_segment", params={"segment_id": target.id},
                ends_at=utc_now() + ends_in,
            )
        )  # fmt: skip
        sending = Sending(
            sending_class="marketing", topic_id=make_topic(session).id, sender_id=make_sender(session).id,
            content_version_id=version.id, state="finished", key_id=1, created_at=utc_now(),
        )  # fmt: skip
        session.add(sending)
        session.flush()
        session.execute(update(Campaign).where(Campaign.id == draft.id).values(sending_id=sending.id))


def test_copy_of_a_campaign_uses_what_the_first_does(ctx: Context, board: Segment) -> None:
    draft = composing.create_draft(ctx, "Invitation", include=[board.id])
    links = [{"match": "https://example.com/x", "actions": [{"remove_from_segment": board.id}]}]
    composing.update_campaign(ctx, draft.id, {"links": links})

    copy = composing.duplicate_campaign(ctx, draft.id)
    composing.delete_draft(ctx, draft.id)

    assert [(kind, name) for kind, name, _ in names(ctx, board)] == [
        ("campaign", copy.name), ("link_action", copy.name),
    ]  # fmt: skip


def test_archived_user_frees_what_it_uses_and_comes_back_last(ctx: Context, board: Segment) -> None:
    outer = service.create_dynamic(ctx, "Asking", in_segment("Board"))
    with pytest.raises(ConflictError, match="segment Asking"):
        removal.archive_segment(ctx, board.id)

    removal.archive_segment(ctx, outer.id)
    removal.archive_segment(ctx, board.id)
    with pytest.raises(ConflictError, match="Board"):
        removal.archive_segment(ctx, outer.id, is_archived=False)
    removal.archive_segment(ctx, board.id, is_archived=False)
    removal.archive_segment(ctx, outer.id, is_archived=False)

    assert names(ctx, board) == [("segment", "Asking", True)]


def test_private_segment_cannot_be_asked_about_by_others(ctx: Context, board: Segment) -> None:
    with ctx.write() as session:
        owner, other = make_staff(session, role="marketer"), make_staff(session, role="marketer")
        admin = make_staff(session)
    service.set_properties(ctx, board.id, owner_id=owner.id, visibility=Visibility.PRIVATE)

    for by in (owner.id, admin.id, None):
        service.create_dynamic(ctx, f"Asking {by}", in_segment("Board"), by=by)
    with pytest.raises(NotFoundError, match="for you"):
        service.create_dynamic(ctx, "Asking", in_segment("Board"), by=other.id)
    with pytest.raises(NotFoundError, match="for you"):
        service.create_combined(ctx, "Both", Op.UNION, ["Board", f"Asking {owner.id}"], by=other.id)
    service.update_segment(ctx, _id(ctx, "Asking None"), rule=in_segment("Board"), by=other.id)  # it asked already

    with ctx.read() as session:
        seen = [one.name for one in list_visible(session, make_viewer(other.id, "marketer"))]
    assert "Board" not in seen


def _id(ctx: Context, name: str) -> int:
    with ctx.read() as session:
        return queries.get_segment(session, name).id


def test_group_of_the_owner_sees_and_a_group_is_needed(ctx: Context, board: Segment) -> None:
    with ctx.write() as session:
        owner, mate, other = (make_staff(session, role="marketer") for _ in range(3))
    with pytest.raises(InputError, match="nobody owns"):
        service.set_properties(ctx, board.id, visibility=Visibility.PRIVATE)
    with pytest.raises(InputError, match="no group"):
        service.set_properties(ctx, board.id, owner_id=owner.id, visibility=Visibility.GROUP)
    with ctx.write() as session:
        session.execute(update(Staff).where(Staff.id.in_([owner.id, mate.id])).values(group_name="North"))

    service.set_properties(ctx, board.id, owner_id=owner.id, visibility=Visibility.GROUP)

    with ctx.read() as session:
        seen = [bool(list_visible(session, make_viewer(one.id, "marketer"))) for one in (owner, mate, other)]
    assert seen == [True, True, False]


def test_every_change_is_in_the_audit_with_what_was_before(ctx: Context, board: Segment) -> None:
    with ctx.write() as session:
        staff = make_staff(session)
    service.set_properties(ctx, board.id, name="Council", by=staff.id)
    members.take_out(ctx, board.id, [1, 2], by=staff.id)
    removal.archive_segment(ctx, board.id, by=staff.id)
    removal.archive_segment(ctx, board.id, is_archived=False, by=staff.id)
    removal.delete_segment(ctx, board.id, by=staff.id)

    with ctx.read() as session:
        lines = list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))
    assert [line.action.removeprefix("segments.") for line in lines] == [
        "create", "update", "remove_members", "archive", "unarchive", "delete",
    ]  # fmt: skip
    assert lines[1].detail == {"name": {"from": "Board", "to": "Council"}}
    assert {line.staff_id for line in lines[1:]} == {staff.id}


def test_twins_are_told_not_refused(ctx: Context, board: Segment) -> None:
    twin = service.create_static(ctx, "Board")

    with ctx.read() as session:
        assert [one.id for one in service.list_twins(session, " Board ", except_id=twin.id)] == [board.id]


def _oslo(ctx: Context) -> Segment:
    return service.create_dynamic(
        ctx, "Oslo", {"version": 1, "all": [{"field": "city", "op": "equals", "value": "Oslo"}]}
    )


def test_conversion_that_dies_leaves_the_rule_and_the_next_one_is_whole(
    ctx: Context, board: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = _oslo(ctx)
    pages = chosen.iter_member_pages

    def dying(*args: Any, **_more: Any) -> Any:
        for at, page in enumerate(pages(*args, size=2)):
            if at == 2:
                raise KeyboardInterrupt
            yield page

    monkeypatch.setattr(freezing, "iter_member_pages", dying)
    with pytest.raises(KeyboardInterrupt):
        freezing.convert_to_static(ctx, segment.id)
    monkeypatch.undo()
    with ctx.write() as session:
        assert session.get_one(Segment, segment.id).kind == SegmentKind.DYNAMIC
        make_contact(session, city="Oslo")
        gone = session.scalars(select(SegmentMember.contact_id).where(SegmentMember.segment_id == segment.id)).first()
        queries_of = update(Segment).where(Segment.id == segment.id)
        session.execute(queries_of.values(updated_at=utc_now()))
    assert gone is not None

    frozen = freezing.convert_to_static(ctx, segment.id)

    assert (frozen.kind, frozen.rule) == ("static", None)
    with ctx.read() as session:
        rows = select(func.count()).where(SegmentMember.segment_id == segment.id)
        assert session.scalar(rows) == 8


def test_conversion_of_a_rule_that_is_edited_meanwhile_is_refused(
    ctx: Context, board: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = _oslo(ctx)

    def edited(*_args: Any, **_more: Any) -> Any:
        rule = {"version": 1, "all": [{"field": "city", "op": "equals", "value": "Rome"}]}
        service.update_segment(ctx, segment.id, rule=rule)
        yield [1, 2]

    monkeypatch.setattr(freezing, "iter_member_pages", edited)

    with pytest.raises(ConflictError, match="changed meanwhile"):
        freezing.convert_to_static(ctx, segment.id)


def test_copy_keeps_where_its_members_are_from(ctx: Context, board: Segment) -> None:
    copy = service.copy_members(ctx, board, "Copy")

    with ctx.read() as session:
        causes = list(session.scalars(select(SegmentMember.cause).where(SegmentMember.segment_id == copy.id)))
    assert causes == [f"copied:{board.id}"] * 7


def test_people_are_put_back_as_they_were(ctx: Context, board: Segment) -> None:
    with ctx.read() as session:
        row = session.scalars(select(SegmentMember).where(SegmentMember.contact_id == 3)).one()
    members.take_out(ctx, board.id, [3])

    assert members.put_back(ctx, board.id, [(3, row.added_at, row.added_by, row.cause)]) == 1
    assert members.put_back(ctx, board.id, [(3, row.added_at, row.added_by, row.cause)]) == 0

    with ctx.read() as session:
        again = session.scalars(select(SegmentMember).where(SegmentMember.contact_id == 3)).one()
    assert (again.added_at, again.cause) == (row.added_at, row.cause)
