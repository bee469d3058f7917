"""Designs and frozen contents on both engines."""

import pytest
from sqlalchemy import select

from mailer.content.designs import list_starters, sample_context
from mailer.content.rendering import get_renderer
from mailer.content.service import (
    ContentSpec,
    check_content,
    freeze_content,
    get_design_source,
    list_designs,
    plan_links,
    render_preview,
    save_design,
)
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.content import LinkAction, TrackedLink
from mailer.statuses import LinkResponse

SIGN_UP = "https://example.com/seminar/sign-up"
LINKS = (
    {
        "match": SIGN_UP,
        "actions": [
            {"add_to_segment": "Seminar participants"},
            {"follow_up": {"title": "Call about the seminar", "due_working_days": 2, "owner": "contact_owner"}},
        ],
    },
)


def spec_of(name: str = "invitation", **overrides) -> ContentSpec:
    [design] = [starter for starter in list_starters() if starter.name == name]
    values = {
        "mjml": design.mjml,
        "subject": "{{ contact.first_name | default('Hello') }}, join us in {{ event.city }}",
        "preheader": "Seats are few & <good>",
        "name": "Seminar invitation",
        "data": {"event": {"city": "Oslo"}},
        "links": LINKS if name == "invitation" else (),
    }
    return ContentSpec(**values | overrides)


def test_content_is_frozen_with_links_and_actions(ctx):
    with ctx.write() as session:
        version = freeze_content(session, ctx, spec_of())

    with ctx.read() as session:
        links = session.scalars(select(TrackedLink).order_by(TrackedLink.ordinal)).all()
        actions = session.scalars(select(LinkAction).order_by(LinkAction.ordinal)).all()
    assert [(link.ordinal, link.url, link.label, link.response) for link in links] == [
        (0, SIGN_UP, "Sign me up", "confirm"),
        (1, "https://example.com/seminar", "full programme", "redirect"),
    ]
    assert [(action.tracked_link_id, action.kind, action.params) for action in actions] == [
        (links[0].id, "add_to_segment", {"segment": "Seminar participants"}),
        (
            links[0].id,
            "follow_up",
            {"title": "Call about the seminar", "due_working_days": 2, "owner": "contact_owner"},
        ),
    ]
    assert all(action.ends_at > version.created_at for action in actions)
    context = {**sample_context(), "links": ["https://t.example.com/c/1", "https://t.example.com/c/2"], **version.data}
    renderer = get_renderer(version)
    assert renderer.subject(context) == "Anna, join us in Oslo"
    assert "https://t.example.com/c/1" in renderer.html(context)
    assert "Seats are few &amp; &lt;good&gt;" in renderer.html(context)
    assert "Sign me up: https://t.example.com/c/1" in renderer.text(context)


@pytest.mark.parametrize("name", [starter.name for starter in list_starters()])
def test_starter_has_no_findings(name):
    spec = spec_of(
        name,
        subject="{{ contact.first_name | default('Hello') }}",
        data={"event": {"city": "Oslo"}, "url": "https://example.com/x"},
    )
    bare = {**sample_context(), "contact": {"email": "a@example.com"}, "company": {}, "owner": {}}

    assert check_content(spec, [sample_context(), bare]) == []


@pytest.mark.parametrize("starter", list_starters(), ids=lambda starter: starter.name)
def test_starter_shows_a_preview_with_its_sample_data(starter):
    subject, html, text = render_preview(ContentSpec(starter.mjml, "Hello {{ contact.first_name }}", data=starter.data))

    assert subject == "Hello Anna"
    assert "Storgata 1, 0155 Oslo, Norway" in html
    assert "#unsubscribe" in text
    assert "{{" not in html
    assert "fonts.googleapis" not in html


@pytest.mark.parametrize("starter", list_starters(), ids=lambda starter: starter.name)
def test_starter_seen_in_a_browser_leaves_the_manage_links_out(starter):
    context = {**sample_context(), "unsubscribe_url": "", "preferences_url": "", "view_url": ""}

    _, html, _ = render_preview(ContentSpec(starter.mjml, "S", data=starter.data), context)

    assert "nsubscribe" not in html


def test_dark_preview_shows_the_dark_rules():
    _, html, _ = render_preview(spec_of(), is_dark=True)

    assert "prefers-color-scheme: dark" not in html
    assert "@media all" in html


def codes(spec, *samples):
    return {(finding.code, finding.level.value) for finding in check_content(spec, samples)}


def own(body: str, **overrides) -> ContentSpec:
    footer = '<a href="{{ unsubscribe_url }}">Unsubscribe</a> {{ sender.postal_address }}'
    text = f"<mj-text>{body} {footer}</mj-text>"
    mjml = f"<mjml><mj-body><mj-section><mj-column>{text}</mj-column></mj-section></mj-body></mjml>"
    return ContentSpec(**{"mjml": mjml, "subject": "S"} | overrides)


def test_findings_have_stable_codes():
    sample = sample_context()
    bare = "<mjml><mj-body><mj-section><mj-column><mj-text>a</mj-text></mj-column></mj-section></mj-body></mjml>"

    assert codes(own("fine"), sample) == set()
    assert codes(ContentSpec(bare, "S")) == {("no_unsubscribe", "red"), ("no_postal_address", "amber")}
    assert codes(ContentSpec(bare, "S", is_marketing=False)) == {("no_postal_address", "amber")}
    assert codes(own("a", subject="")) == {("no_subject", "red")}
    assert codes(own("{{ contact.nickname }}"), sample) == {("merge_field", "red")}
    assert codes(own("{{ contact.nickname() }}")) == {("template", "red")}
    assert codes(own("<p>")) == {("template", "red")}
    assert codes(own('<a href="http://example.com/">x</a>')) == {("http_link", "amber")}
    assert codes(own('<a href="https://example.org/">www.example.com</a>')) == {("deceptive_link", "amber")}
    assert codes(own('<a href="https://example.com/{{ contact.city }}">x</a>')) == {("untracked_link", "amber")}
    assert codes(own('<img src="logo.png" alt="x">')) == {("unresolved_image", "red"), ("few_words", "amber")}
    assert codes(own('<img src="https://example.com/logo.png">')) == {("no_alt", "amber"), ("few_words", "amber")}
    assert codes(own("word " * 25_000), sample) == {("too_large", "amber")}
    assert codes(own("a", links=({"match": "https://example.com/nowhere"},))) == {("template", "red")}


def test_broken_merge_field_names_the_contact():
    [finding] = check_content(own("{{ contact.nickname }}"), [sample_context()])

    assert finding.what == "contact.nickname is missing"
    assert finding.where == "anna@example.com"
    assert "default" in finding.mend


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ({"match": "https://example.com/none"}, "links[0].match"),
        ({"match": SIGN_UP, "response": "dance"}, "links[0].response"),
        ({"match": SIGN_UP, "actions": [{"dance": 1}]}, "links[0].actions[0]"),
        ({"match": SIGN_UP, "actions": [{"follow_up": {}}]}, "links[0].actions[0]"),
        ({"match": SIGN_UP, "colour": "red"}, "links[0]"),
        ({"match": SIGN_UP, "response": "page"}, "links[0].text"),
        ({"match": SIGN_UP, "response": "redirect", "text": "Thanks"}, "links[0].text"),
        ({"match": SIGN_UP, "response": "page", "text": "x" * 2_001}, "links[0].text"),
    ],
)
def test_wrong_link_says_where(entry, where):
    with pytest.raises(InputError) as caught:
        plan_links(spec_of(links=(entry,)), [SIGN_UP])

    assert [problem.where for problem in caught.value.problems] == [where]


def test_response_given_wins_and_star_matches_anything():
    plans = plan_links(
        spec_of(links=({"match": "https://example.com/*", "response": "redirect", "actions": LINKS[0]["actions"]},)),
        [SIGN_UP],
    )

    assert plans[SIGN_UP].response == LinkResponse.REDIRECT


def test_the_text_of_a_link_is_frozen_with_it(ctx):
    with ctx.write() as session:
        entry = {"match": "https://example.com/*", "response": "page", "text": " Platform 2\r\nHall B \n"}
        version = freeze_content(session, ctx, own('<a href="https://example.com/way">x</a>', links=(entry,)))
        links = session.scalars(select(TrackedLink).where(TrackedLink.content_version_id == version.id)).all()

    assert ("page", "Platform 2\nHall B") in {(link.response, link.page_text) for link in links}


def test_own_design_is_stored_and_found(ctx):
    save_design(ctx, "House style", own("a").mjml, data={"a": 1})
    save_design(ctx, "House style", own("b").mjml)

    with ctx.read() as session:
        assert " b " in get_design_source(session, "House style").mjml.replace(">b ", "> b ")
        assert [design.name for design in list_designs(session)][-1] == "House style"
        assert get_design_source(session, "plain").is_starter
        with pytest.raises(NotFoundError, match="nothing like it"):
            get_design_source(session, "nothing like it")


def test_broken_design_and_name_of_a_starter_are_refused(ctx):
    with pytest.raises(InputError):
        save_design(ctx, "Broken", "<mjml>")
    with pytest.raises(ConflictError):
        save_design(ctx, "plain", own("a").mjml)
