"""The list of segments and the list of a segment's members."""

from typing import Any

from mailer.clock import utc_now
from mailer.context import Context
from mailer.segments.listing import ListQuery, list_lines, list_namesakes
from mailer.segments.memberlist import list_member_lines
from mailer.segments.removal import archive_segment
from mailer.segments.rules import parse_rule
from mailer.segments.service import create_combined, create_dynamic, create_static
from mailer.segments.visibility import Viewer
from mailer.statuses import SegmentOperation
from tests.support.make import make_company, make_contact, make_staff, make_workspace

EVERYBODY: dict[str, Any] = {"version": 1, "all": []}


def names_of(ctx: Context, viewer: Viewer | None = None, **wanted: Any) -> list[str]:
    """Return the names in the list, in its order."""
    with ctx.read() as session:
        return [line.segment.name for line in list_lines(session, ListQuery(**wanted), viewer)]


def test_the_list_is_searched_filtered_and_sorted(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        ada = make_staff(session, email="ada@example.com", name="Ada")
    create_static(ctx, "beta", by=ada.id)
    create_dynamic(ctx, "Alpha", EVERYBODY, description="those of the spring")
    create_combined(ctx, "gamma", SegmentOperation.UNION, ["beta", "Alpha"])
    old = create_static(ctx, "old")
    archive_segment(ctx, old.id)

    assert names_of(ctx) == ["Alpha", "beta", "gamma"]
    assert names_of(ctx, search="SPRING") == ["Alpha"]
    assert names_of(ctx, kind="combined") == ["gamma"]
    assert names_of(ctx, owner=ada.id) == ["beta"]
    assert names_of(ctx, is_archived=True) == ["old"]
    assert names_of(ctx, sort="created") == ["gamma", "Alpha", "beta"]
    assert names_of(ctx, sort="uses") == ["Alpha", "beta", "gamma"]
    with ctx.read() as session:
        lines = {line.segment.name: line for line in list_lines(session, ListQuery(), None)}
    assert (lines["beta"].uses, lines["beta"].owner, lines["gamma"].uses) == (1, "Ada", 0)


def test_a_private_segment_is_listed_for_its_owner_only(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        ada = make_staff(session, email="ada@example.com")
        bo = make_staff(session, email="bo@example.com")
    segment = create_static(ctx, "mine", by=ada.id)
    with ctx.write() as session:
        session.merge(segment).visibility = "private"

    assert names_of(ctx, Viewer(ada.id, is_admin=False)) == ["mine"]
    assert names_of(ctx, Viewer(bo.id, is_admin=False)) == []
    assert names_of(ctx, Viewer(bo.id, is_admin=True)) == ["mine"]


def test_namesakes_are_counted_besides_the_segment_itself(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
    first = create_static(ctx, "same")
    create_static(ctx, "same")
    with ctx.read() as session:
        assert list_namesakes(session, " same ", first.id, None) == 1
        assert list_namesakes(session, "other", None, None) == 0


def test_members_are_paged_newest_first_and_found_by_name_address_and_company(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        company = make_company(session, name="Skog Bygg")
        make_contact(session, "anna@example.com", first_name="Anna", last_name="Berg")
        make_contact(session, "bo@example.com", first_name="Bo", last_name="Berg", company_id=company.id)
        make_contact(session, None, first_name="Cy", last_name="", archived_at=utc_now())
        make_contact(session, None, first_name="Dag", last_name="")
    rule, today = parse_rule(EVERYBODY), ctx.clock.today("UTC")

    def found(**wanted: Any) -> list[str]:
        with ctx.read() as session:
            return [line.name for line in list_member_lines(session, rule, today, **wanted)]

    assert found() == ["Dag", "Bo Berg", "Anna Berg"]
    assert found(limit=1) == ["Dag"]
    with ctx.read() as session:
        last = list_member_lines(session, rule, today, limit=2)[-1].id
    assert found(before_id=last) == ["Anna Berg"]
    assert found(search="berg skog") == ["Bo Berg"]
    assert found(search="anna@") == ["Anna Berg"]
    assert found(search="100%") == []


def test_members_of_a_list_say_who_added_them_when_and_why(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        ada = make_staff(session, email="ada@example.com", name="Ada")
        contact = make_contact(session)
    segment = create_static(ctx, "list", contact_ids=[contact.id], by=ada.id)
    with ctx.read() as session:
        line = list_member_lines(session, segment, ctx.clock.today("UTC"))[0]

    assert (line.added_by, line.added_by_name) == (ada.id, "Ada")
    assert line.cause
    assert line.added_at is not None
