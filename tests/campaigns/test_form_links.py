"""A form that a link opens is there and open before anybody is mailed, and is frozen with the link."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mailer.campaigns import composing, queries, service
from mailer.campaigns.form_links import list_form_uses
from mailer.campaigns.gather import gather_facts
from mailer.campaigns.spec import build_draft
from mailer.clock import utc_now
from mailer.content.check import Level
from mailer.context import Context
from mailer.errors import InputError
from mailer.forms import service as forms
from mailer.schema.campaigns import Campaign
from mailer.schema.content import TrackedLink
from mailer.schema.forms import Form
from mailer.segments import service as segments
from tests.support.forms import make_form
from tests.support.make import make_reader, make_sender, make_topic

URL = "https://example.com/seminar/sign-up"
NAMED = {"version": 1, "all": [{"field": "last_name", "op": "is_not_empty"}]}


@pytest.fixture
def form(ctx: Context) -> Form:
    """An open form, in a world with somebody to mail."""
    found = make_form(ctx, name="Seminar in Oslo")
    with ctx.write() as session:
        make_sender(session, name="Fjord Seminars")
        make_reader(session, make_topic(session, name="Invitations"), "p@example.com", key=ctx.keys.suppression)
    segments.create_dynamic(ctx, "Everybody", NAMED)
    return found


def _campaign(ctx: Context, named: object, **more: Any) -> Campaign:
    values = {
        "name": "Invitation", "subject": "Join us", "sender": "Fjord Seminars", "topic": "Invitations",
        "design": "invitation", "include": ["Everybody"], "data": {"event": {"sign_up_url": URL}},
        "links": [{"match": URL, "response": "form", "form": named}],
    }  # fmt: skip
    return composing.create_campaign(ctx, build_draft({**values, **more}, Path()))


def _findings(ctx: Context, campaign: Campaign) -> dict[str, Level]:
    with ctx.read() as session:
        facts = gather_facts(session, ctx, queries.get_campaign(session, campaign.id))
    return {finding.code: finding.level for finding in facts.content}


@pytest.mark.parametrize("by_name", [True, False])
def test_form_is_frozen_with_the_link_and_its_campaign_is_named(ctx: Context, form: Form, *, by_name: bool) -> None:
    campaign = _campaign(ctx, form.name if by_name else form.id)
    with ctx.read() as session:
        assert [use.is_active for use in list_form_uses(session, form)] == [True]
    service.launch_campaign(ctx, campaign.id)
    service.prepare_campaign(ctx, campaign.id)

    with ctx.read() as session:
        links = session.scalars(select(TrackedLink).where(TrackedLink.response == "form")).all()
        uses = list_form_uses(session, form)
    assert [(link.url, link.form_id) for link in links] == [(URL, form.id)]
    assert [(use.name, use.is_active) for use in uses] == [("Invitation", True)]


def test_form_that_is_not_there_blocks_the_launch(ctx: Context, form: Form) -> None:
    for named, what in (
        ("Nothing", "there is no form 'Nothing'"),
        (10**6, "there is no form 1000000"),
        ("", "names it"),
    ):
        with pytest.raises(InputError, match=what):
            service.launch_campaign(ctx, _campaign(ctx, named).id)


def test_form_with_the_name_of_another_is_asked_for_by_its_id(ctx: Context, form: Form) -> None:
    make_form(ctx, name=form.name)

    with pytest.raises(InputError, match="several forms are called"):
        service.launch_campaign(ctx, _campaign(ctx, form.name).id)
    assert "missing" not in _findings(ctx, _campaign(ctx, form.id))


def test_closed_form_blocks_the_launch_and_so_does_one_that_closes_before_it(ctx: Context, form: Form) -> None:
    campaign = _campaign(ctx, form.id)
    assert "form_closed" not in _findings(ctx, campaign)

    with ctx.write() as session:
        session.get_one(Form, form.id).closes_at = utc_now() + timedelta(hours=1)
        session.get_one(Campaign, campaign.id).send_at = utc_now() + timedelta(hours=2)
    assert _findings(ctx, campaign)["form_closed"] is Level.RED
    with ctx.write() as session:
        session.get_one(Form, form.id).closes_at = None
    forms.close_form(ctx, form.public_id)
    assert _findings(ctx, campaign)["form_closed"] is Level.RED


def test_only_a_link_that_answers_with_a_form_names_one(ctx: Context, form: Form) -> None:
    campaign = _campaign(ctx, form.id, links=[{"match": URL, "response": "page", "text": "Hi", "form": form.id}])
    assert _findings(ctx, campaign) == {"template": Level.RED}
    assert "template" not in _findings(ctx, _campaign(ctx, form.id, links=[{"match": URL, "form": form.id}]))
