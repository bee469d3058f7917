"""A link gets three actions in the wizard; who clicked becomes a list from the report."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from mailer.context import Context
from mailer.schema.campaigns import Campaign
from mailer.schema.segments import Segment, SegmentMember
from tests.support.clicked import make_clicked
from tests.support.story import Story

pytestmark = pytest.mark.browser
World = tuple[Context, Story]


def test_a_marketer_gives_a_link_three_actions_without_a_line_of_code(page: Page, base: str, world: World) -> None:
    ctx, story = world
    page.goto(f"{base}/campaigns/{story.draft.public_id}/content")
    box = page.locator("#link-0")

    box.get_by_label("What a click does").select_option(label="Create a follow-up task")
    box.get_by_role("button", name="Add the action").click()
    box.get_by_label("What is to be done").fill("Call about the seminar")
    box.get_by_label("Kind").select_option(label="call")
    box.get_by_label("What a click does, too").select_option(label="Give a tag")
    box.get_by_role("button", name="Add the action").click()
    expect(box.get_by_label("What is to be done")).to_have_value("Call about the seminar")
    box.get_by_label("Tag", exact=True).fill("Interested")
    box.get_by_label("What a click does, too").select_option(label="Add to a static segment")
    box.get_by_role("button", name="Add the action").click()
    box.get_by_label("Static segment", exact=True).select_option(label="Seminar participants")
    page.get_by_label("Subject").press("Enter")  # saves and goes on, as its button does
    page.wait_for_url(re.compile("/recipients"))

    with ctx.read() as session:
        (link,) = session.get_one(Campaign, story.draft.id).links
    assert link["actions"] == [
        {"follow_up": {"title": "Call about the seminar", "due_working_days": 2, "owner": "contact_owner",
                       "kind": "call"}},
        {"add_tag": "Interested"},
        {"add_to_segment": "Seminar participants"},
    ]  # fmt: skip


def test_who_clicked_is_seen_with_reasons_and_becomes_a_list(page: Page, base: str, world: World) -> None:
    ctx, story = world
    make_clicked(ctx, story)
    page.goto(f"{base}/campaigns/{story.finished.public_id}")

    page.get_by_role("link", name="Sign up for the seminar").click()
    expect(page.get_by_text("Mobile Safari on iOS, phone").first).to_be_visible()
    page.get_by_role("link", name="Machines", exact=True).click()
    expect(page.get_by_text("a HEAD for the same came just before").first).to_be_visible()
    page.get_by_label("or a new one, called").fill("Warm")
    page.get_by_role("button", name="Add everybody who clicked").click()

    expect(page.get_by_role("heading", name="Warm")).to_be_visible()
    with ctx.read() as session:
        members = session.scalar(
            select(func.count())
            .select_from(SegmentMember)
            .join(Segment, Segment.id == SegmentMember.segment_id)
            .where(Segment.name == "Warm")
        )
    assert members
