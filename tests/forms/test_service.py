"""Forms as staff make them: files, names that are nothing here, versions of the wording, what opening asks for."""

from typing import Any

import pytest
from sqlalchemy import select

from mailer.consent.wording import load_wordings
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.forms import queries, service
from mailer.forms.confirm import confirm
from mailer.forms.spec import build_form_file, parse_form_file, read_site
from mailer.forms.submit import Visitor
from mailer.schema.accounts import AuditEvent
from mailer.schema.forms import Form, SignUp
from mailer.segments.service import create_static
from mailer.segments.uses import list_uses
from mailer.statuses import Role
from tests.support.forms import link_of, mail_to, make_form, new_person
from tests.support.make import make_staff


def problems_of(data: dict[str, Any]) -> set[str]:
    with pytest.raises(InputError) as raised:
        build_form_file({"name": "News", **data})
    return {problem.where for problem in raised.value.problems}


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"name": ""}, "name"),
        ({"colour": "red"}, "colour"),
        ({"accent": "red"}, "accent"),
        ({"accent": "#3a4fd0;}body{display:none"}, "accent"),
        ({"language": "xx"}, "language"),
        ({"redirect": "http://www.example.com"}, "redirect"),
        ({"redirect": "javascript:alert(1)"}, "redirect"),
        ({"redirect": "https://www.example.com; frame-ancestors *"}, "redirect"),
        ({"redirect": "https://user@www.example.com"}, "redirect"),
        ({"privacy_url": "https://"}, "privacy_url"),
        ({"sites": ["www.example.com"]}, "sites"),
        ({"sites": ["*"]}, "sites"),
        ({"sites": ["https://www.example.com/path"]}, "sites"),
        ({"sites": ["http://www.example.com"]}, "sites"),
        ({"sites": ["https://www.example.com *"]}, "sites"),
        ({"fields": [{"field": "city"}, {"field": "city"}]}, "fields"),
        ({"fields": [{"field": "email"}]}, "fields"),
        ({"actions": [{"call_webhook": "x"}]}, "actions"),
        ({"actions": [{"follow_up": {"note": "no title"}}]}, "actions"),
        ({"actions": [{"follow_up": {"title": "Call", "due_working_days": "soon"}}]}, "actions"),
        ({"actions": [{"follow_up": {"title": "Call", "kind": "visit"}}]}, "actions"),
        ({"actions": [{"follow_up": {"title": "Call", "minutes": 30}}]}, "actions"),
        ({"actions": [{"add_to_segment": ""}]}, "actions"),
        ({"closes_after": 0}, "closes_after"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_by_key(data: dict[str, Any], where: str) -> None:
    assert problems_of(data) == {where}


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("https://www.example.com", "https://www.example.com"),
        (" https://WWW.example.com/ ", "https://www.example.com"),
        ("https://www.example.com:443", "https://www.example.com"),
        ("https://www.example.com:8443", "https://www.example.com:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("ftp://www.example.com", None),
        ("https://www.example.com:99999", None),
    ],
)
def test_a_site_is_kept_as_browsers_name_it(text: str, site: str | None) -> None:
    assert read_site(text) == site


def test_a_file_that_is_no_toml_says_where() -> None:
    with pytest.raises(InputError, match="line 1"):
        parse_form_file("name = News")


def test_every_name_that_is_nothing_here_is_told_at_once(ctx: Context) -> None:
    spec = build_form_file(
        {
            "name": "News", "sender": "Nobody", "topics": ["Nothing"], "fields": [{"field": "shoe_size"}],
            "actions": [{"add_to_segment": "Nowhere"}], "closes_at": "tomorrow",
        }
    )  # fmt: skip

    with pytest.raises(InputError) as raised:
        service.create_form(ctx, spec)

    assert {problem.where for problem in raised.value.problems} == {
        "sender", "topics", "fields", "actions", "closes_at",
    }  # fmt: skip


def test_a_draft_may_lack_what_opening_asks_for(ctx: Context) -> None:
    form = service.create_form(ctx, build_form_file({"name": "News"}))

    with pytest.raises(InputError) as raised:
        service.open_form(ctx, form.public_id)

    assert {problem.where for problem in raised.value.problems} == {"sender", "topics", "wording"}


def test_what_a_form_is_described_as_makes_the_same_form(ctx: Context) -> None:
    segment = create_static(ctx, new_person("Participants"), contact_ids=[], cause="test")
    form = make_form(
        ctx, accent="#0e6b52", sites=["https://www.example.com/"], closes_at="2099-07-01T14:00", closes_after=40,
        actions=[{"add_to_segment": segment.id}, {"follow_up": {"title": "Call"}}],
        fields=[{"field": "company", "label": "Where?", "required": True}],
    )  # fmt: skip
    with ctx.read() as session:
        values = service.describe_form(session, form)

    twin = service.create_form(ctx, build_form_file(values))

    with ctx.read() as session:
        assert service.describe_form(session, twin) == values
    assert values["closes_at"] == "2099-07-01T14:00"
    assert (twin.sites, twin.closes_at) == (["https://www.example.com"], form.closes_at)


def test_another_wording_is_another_version_and_the_old_ones_stay(ctx: Context) -> None:
    form = make_form(ctx, wording="First.")

    for text in ("First.", "Second.", "Second.", "First."):
        with ctx.read() as session:
            values = service.describe_form(session, session.get_one(Form, form.id))
        service.update_form(ctx, form.public_id, build_form_file(values | {"wording": text}))

    with ctx.read() as session:
        kept = [(row.version, row.text) for row in queries.list_wordings(session, form.id)]
        ledger = load_wordings(session, [f"form-{form.id}-v{n}" for n in (1, 2, 3)])
    assert kept == [(3, "First."), (2, "Second."), (1, "First.")]
    assert [ledger[f"form-{form.id}-v{n}"] for n in (1, 2, 3)] == ["First.", "Second.", "First."]


def test_an_open_form_is_never_left_without_what_it_needs(ctx: Context) -> None:
    form = make_form(ctx)
    with ctx.read() as session:
        values = service.describe_form(session, form)

    with pytest.raises(InputError):
        service.update_form(ctx, form.public_id, build_form_file(values | {"topics": []}))

    with ctx.read() as session:
        assert session.get_one(Form, form.id).topic_ids == form.topic_ids


def test_places_are_never_fewer_than_are_taken(ctx: Context) -> None:
    form = make_form(ctx, closes_after=2)
    for _ in range(2):
        row = mail_to(ctx, form, new_person())
        confirm(ctx, link_of(ctx, row)[3:], Visitor("", ""))
    with ctx.read() as session:
        values = service.describe_form(session, session.get_one(Form, form.id))

    with pytest.raises(InputError, match="2 have already signed up"):
        service.update_form(ctx, form.public_id, build_form_file(values | {"closes_after": 1}))


def test_a_segment_that_a_form_adds_to_is_in_use_until_the_form_is_archived(ctx: Context) -> None:
    segment = create_static(ctx, new_person("Participants"), contact_ids=[], cause="test")
    form = make_form(ctx, actions=[{"add_to_segment": segment.id}])

    with ctx.read() as session:
        assert [use.kind for use in list_uses(session, segment.id)] == ["form"]
    service.archive_form(ctx, form.public_id, is_archived=True)
    with ctx.read() as session:
        assert list_uses(session, segment.id) == []


def test_a_private_segment_of_somebody_else_cannot_be_named(ctx: Context) -> None:
    with ctx.write() as session:
        owner, other = (make_staff(session, role=Role.MARKETER.value) for _ in range(2))
    segment = create_static(ctx, new_person("Secret"), contact_ids=[], cause="test", by=owner.id)
    with ctx.write() as session:
        session.get_one(type(segment), segment.id).visibility = "private"
    spec = build_form_file({"name": "News", "actions": [{"add_to_segment": segment.id}]})

    with pytest.raises(InputError) as raised:
        service.create_form(ctx, spec, by=other.id)

    assert "Secret" not in str(raised.value)
    assert service.create_form(ctx, spec, by=owner.id).actions


def test_an_archived_form_cannot_be_opened_and_comes_back_closed(ctx: Context) -> None:
    form = make_form(ctx)
    service.archive_form(ctx, form.public_id, is_archived=True)

    with pytest.raises(ConflictError):
        service.open_form(ctx, form.public_id)

    assert service.archive_form(ctx, form.public_id, is_archived=False).state == "closed"


def test_every_act_leaves_an_audit_line(ctx: Context) -> None:
    form = make_form(ctx)
    service.close_form(ctx, form.public_id)
    service.close_form(ctx, form.public_id)
    service.archive_form(ctx, form.public_id, is_archived=True)

    with ctx.read() as session:
        query = select(AuditEvent.action).where(AuditEvent.subject_kind == "form", AuditEvent.subject_id == form.id)
        actions = session.scalars(query.order_by(AuditEvent.id)).all()
    assert actions == ["forms.create", "forms.open", "forms.close", "forms.archive"]


def test_numbers_add_up_and_refusals_have_their_reasons(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    mail_to(ctx, form, email)
    mail_to(ctx, form, email)
    row = mail_to(ctx, form, new_person())
    confirm(ctx, link_of(ctx, row)[3:], Visitor("", ""))

    with ctx.read() as session:
        numbers = queries.count_numbers(session, [form.id])[form.id]
        reasons = queries.count_refusals(session, form.id)
        lines = queries.list_sign_ups(session, form.id)
    assert vars(numbers) == {"submitted": 3, "waiting": 1, "confirmed": 1, "expired": 0, "refused": 1}
    assert reasons == {"mail_limit": 1}
    assert [line.email is not None for line in lines] == [True, False, True]


def test_a_form_that_is_nothing_here_is_not_found(ctx: Context) -> None:
    with ctx.read() as session, pytest.raises(NotFoundError):
        queries.get_form_by_id(session, 10**9)


def test_sign_ups_are_listed_in_pages(ctx: Context) -> None:
    form = make_form(ctx)
    rows = [mail_to(ctx, form, new_person()) for _ in range(3)]

    with ctx.read() as session:
        first = queries.list_sign_ups(session, form.id, limit=2)
        rest = queries.list_sign_ups(session, form.id, before_id=first[-1].sign_up.id, limit=2)
        waiting = queries.list_sign_ups(session, form.id, status="confirmed")
    found: list[SignUp] = [line.sign_up for line in [*first, *rest]]
    assert [row.id for row in found] == [row.id for row in reversed(rows)]
    assert waiting == []
