"""What a person does, in a browser: find, build, send, leave."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from mailer.consent.service import Cause, subscribe
from mailer.context import Context
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Subscription
from mailer.schema.contacts import Contact
from mailer.tokens import manage_token
from tests.support.story import Story

pytestmark = pytest.mark.browser
World = tuple[Context, Story]


def test_a_campaign_is_made_and_launched_by_typing_its_number(page: Page, base: str, world: World) -> None:
    page.goto(f"{base}/campaigns/new")
    page.locator("#name").fill("Winter seminar")
    page.get_by_role("button", name="Create a draft").click()

    page.get_by_label("Topic").select_option(label="Invitations")
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_role("radio", name=re.compile("Invitation")).check()
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_label("Subject").fill("Join us in Oslo")
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_label("Segment").first.select_option(label="Decision makers")
    expect(page.locator("[data-sendable]")).not_to_have_text("0")
    number = page.locator("[data-sendable]").get_attribute("data-sendable")
    assert number
    page.get_by_role("button", name="Save and go on").click()

    send = page.get_by_role("button", name=re.compile("Send to"))
    expect(send).to_be_disabled()
    page.get_by_label(re.compile("to confirm")).fill(number)
    send.click()

    expect(page.get_by_role("heading", name="Winter seminar")).to_be_visible()
    expect(page.locator("#live").get_by_text("Preparing")).to_be_visible()
    with world[0].read() as session:
        campaign = session.scalars(select(Campaign).where(Campaign.name == "Winter seminar")).one()
    assert (campaign.status, campaign.approved_count) == ("preparing", int(number))


def test_the_preview_changes_without_leaving_the_page(page: Page, base: str, world: World) -> None:
    page.goto(f"{base}/campaigns/{world[1].draft.public_id}/content")
    frame = page.frame_locator("iframe.mail-frame")
    expect(frame.get_by_text("Hello Anna")).to_be_visible()

    page.get_by_role("button", name="Text").click()

    expect(frame.locator("pre")).to_contain_text("Hello Anna")


def test_unsubscribing_takes_two_clicks_and_no_script(browser: Browser, base: str, world: World) -> None:
    ctx, story = world
    context = browser.new_context(java_script_enabled=False)
    reader = context.new_page()

    reader.goto(f"{base}/u/{manage_token(ctx.keys, story.contact.id, story.topic_id)}")
    reader.get_by_role("button", name="No more about Invitations").click()

    expect(reader.get_by_role("heading", name="You are unsubscribed")).to_be_visible()
    assert context.cookies() == []
    context.close()
    with ctx.read() as session:
        row = session.get_one(Subscription, (story.contact.id, story.topic_id))
    assert row.status == "unsubscribed"


def test_a_person_leaves_comes_back_and_takes_a_break_on_a_phone_without_script(
    browser: Browser, base: str, world: World
) -> None:
    ctx, story = world
    with ctx.write() as session:  # a line in the ledger, from which an undo knows what was
        cause = Cause(source="form", channel="form", evidence={"form": "Spring"})
        subscribe(session, session.get_one(Contact, story.contact.id), story.topic_id, cause)
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    reader = context.new_page()

    reader.goto(f"{base}/u/{manage_token(ctx.keys, story.contact.id, story.topic_id)}")
    reader.get_by_role("button", name="No more about Invitations").click()
    reader.get_by_label("Too many mails").check()
    reader.get_by_role("button", name="Send").click()
    expect(reader.get_by_text("Thank you for telling us.")).to_be_visible()
    reader.get_by_role("button", name="Undo").click()
    expect(reader.get_by_text("Undone. Everything is as it was.")).to_be_visible()
    expect(reader.get_by_label("Invitations")).to_be_checked()
    reader.get_by_role("button", name="30 days").click()
    expect(reader.get_by_text("You have a break until")).to_be_visible()
    reader.get_by_role("button", name="End the break now").click()
    expect(reader.get_by_text("Done. The break is over.")).to_be_visible()

    assert context.cookies() == []
    context.close()


def test_the_keyboard_reaches_search_help_and_the_page(page: Page, base: str) -> None:
    page.goto(f"{base}/contacts")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("[data-search]")).to_be_focused()
    page.locator("[data-search]").blur()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keys")).to_be_hidden()


def test_an_objection_is_asked_for_once_and_recorded(page: Page, base: str, world: World) -> None:
    page.goto(f"{base}/contacts/{world[1].contact.public_id}")

    page.get_by_role("button", name="Objection by phone or reply").click()
    page.get_by_role("button", name="Record").click()

    expect(page.get_by_text("Permission withdrawn", exact=True)).to_be_visible()


def test_a_dangerous_button_asks_first(page: Page, base: str, world: World) -> None:
    page.goto(f"{base}/campaigns/{world[1].running.public_id}")

    page.get_by_role("button", name="Cancel").first.click()
    expect(page.locator("#confirm")).to_be_visible()
    page.locator("#confirm").get_by_role("button", name="Cancel").click()

    expect(page.locator("#live").get_by_text("Sending")).to_be_visible()
