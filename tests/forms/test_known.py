"""A link of a mail opens a form, filled in: it shows what the form allows, changes nothing and proves nothing."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from mailer import tokens
from mailer.clock import utc_now
from mailer.contacts.service import create_field
from mailer.context import Context
from mailer.errors import ConflictError
from mailer.forms import service
from mailer.forms.handle import handle_sign_ups
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Address, Contact
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.schema.forms import Form, SignUp
from mailer.statuses import FieldType, SendingState, SignUpStatus
from mailer.tokens import CLICK, OPEN, track_token
from tests.support.forms import find_people, link_of, list_rows, make_answers, make_form, new_person, read_row
from tests.support.make import make_company, make_reader, make_sending, make_topic

URL = "https://example.com/sign-up"
FIELDS = [
    {"field": "first_name", "prefill": True},
    {"field": "company", "prefill": True},
    {"field": "phone"},
    {"field": "city"},
]


@dataclass
class Mail:
    """A mail to a reader whose link opens a form."""

    form: Form
    contact: Contact
    email: str
    message_id: int
    path: str


def _mail(ctx: Context, form: Form | None = None, *, text: str = "", **overrides: Any) -> Mail:
    form = form or make_form(ctx, fields=FIELDS)
    email = new_person("kari")
    values = {"first_name": "Kari <b>", "phone": "+47 22 33 44 55", "city": "Bergen", **overrides}
    with ctx.write() as session:
        company = make_company(session, name="Nordlys & Co")
        topic = make_topic(session)
        contact = make_reader(session, topic, email, key=ctx.keys.suppression, company_id=company.id, **values)
        sending = make_sending(session, ctx, [contact], topic)
        link = session.scalars(
            select(TrackedLink).where(TrackedLink.content_version_id == sending.content_version_id)
        ).one()
        link.response, link.form_id, link.page_text = "form", form.id, text
        message = session.scalars(select(Message).where(Message.sending_id == sending.id)).one()
        message.state, message.accepted_at = "accepted", utc_now() - timedelta(days=1)
        token = track_token(ctx.keys, CLICK, message.id, link.ordinal)
    return Mail(form, contact, email, message.id, f"/f/m/{token}")


def _send(client: FlaskClient, ctx: Context, mail: Mail, email: str = "", **more: Any) -> TestResponse:
    return client.post(mail.path, data=make_answers(ctx, mail.form, email, **more))


def _press(client: FlaskClient, ctx: Context, row: SignUp) -> None:
    """Press the button in the confirmation mail."""
    assert client.post(link_of(ctx, row)).status_code == 200


def _count(ctx: Context) -> list[int]:
    with ctx.read() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in (SignUp, Contact, Address)]


def test_form_has_the_values_that_it_allows_and_the_address_masked(ctx: Context, client: FlaskClient) -> None:
    mail = _mail(ctx)

    page = client.get(mail.path)

    assert page.status_code == 200
    assert 'value="Kari &lt;b&gt;"' in page.text
    assert 'value="Nordlys &amp; Co"' in page.text
    assert mail.email not in page.text
    assert mail.email.partition("@")[2] in page.text, "masked"
    assert "22 33 44 55" not in page.text
    assert "Bergen" not in page.text
    assert " checked" not in page.text, "a consent is the person's own act each time"


def test_page_is_kept_nowhere_found_by_nobody_and_read_by_no_other_site(ctx: Context, client: FlaskClient) -> None:
    mail = _mail(ctx, make_form(ctx, sites=["https://www.example.com"]))

    headers = client.get(mail.path, headers={"Origin": "https://www.example.com"}).headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Robots-Tag"] == "noindex"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    assert "Set-Cookie" not in headers


def test_opening_changes_nothing_however_often_and_by_whatever(ctx: Context, client: FlaskClient) -> None:
    mail = _mail(ctx)
    before = _count(ctx)

    for method in ("GET", "HEAD", "GET"):
        assert client.open(mail.path, method=method).status_code == 200

    assert _count(ctx) == before


def test_every_type_of_field_is_filled_in_as_it_would_be_typed(ctx: Context, client: FlaskClient) -> None:
    data: dict[str, Any] = {}
    fields = []
    kinds = (
        (FieldType.NUMBER, 1234567.0),
        (FieldType.DATE, "2026-12-31"),
        (FieldType.YES_NO, True),
        (FieldType.TEXT, "x"),
    )
    for kind, value in kinds:
        key = f"known_{new_person('k').partition('.')[0]}_{kind.value}"
        create_field(ctx, key, key, kind)
        data[key] = value
        fields.append({"field": key, "prefill": True})
    mail = _mail(ctx, make_form(ctx, fields=fields), data=data)

    page = client.get(mail.path).text

    assert 'value="1234567"' in page
    assert 'value="2026-12-31"' in page
    assert page.count(" checked") == 1
    answers = {f"a_{key}": value for key, value in zip(data, ("1234567", "2026-12-31", "1", "x"), strict=True)}
    _send(client, ctx, mail, **answers)
    handle_sign_ups(ctx)
    _press(client, ctx, list_rows(ctx)[-1])
    with ctx.read() as session:
        assert session.get_one(Contact, mail.contact.id).data == data


def test_kept_address_updates_the_contact_once_confirmed_and_makes_no_second(ctx: Context, client: FlaskClient) -> None:
    mail = _mail(ctx)
    assert _send(client, ctx, mail, a_first_name="Karin", a_city="Oslo").status_code == 303

    row = list_rows(ctx)[-1]
    assert (row.email, row.contact_id, row.status) == (mail.email, mail.contact.id, SignUpStatus.PENDING)
    assert _name(ctx, mail) == "Kari <b>", "nothing before the mailbox has confirmed"
    handle_sign_ups(ctx)
    _press(client, ctx, read_row(ctx, row))

    assert _name(ctx, mail) == "Karin"
    assert read_row(ctx, row).contact_id == mail.contact.id
    assert len(find_people(ctx, mail.email)) == 1


def _name(ctx: Context, mail: Mail) -> str:
    with ctx.read() as session:
        return session.get_one(Contact, mail.contact.id).first_name


def test_the_one_of_several_at_an_address_is_meant_who_the_mail_went_to(ctx: Context, client: FlaskClient) -> None:
    first = _mail(ctx)
    second = _mail(ctx, first.form)
    with ctx.write() as session:
        shared = session.get_one(Contact, first.contact.id).address_id
        session.get_one(Contact, second.contact.id).address_id = shared
        session.get_one(Message, second.message_id).address_id = shared
    _send(client, ctx, second, a_first_name="Second")
    handle_sign_ups(ctx)
    _press(client, ctx, list_rows(ctx)[-1])

    assert [_name(ctx, mail) for mail in (first, second)] == ["Kari <b>", "Second"]


def test_refused_sign_up_names_nobody(ctx: Context, client: FlaskClient) -> None:
    mail = _mail(ctx, do_not_mail=True)
    _send(client, ctx, mail)
    assert list_rows(ctx)[-1].contact_id == mail.contact.id

    handle_sign_ups(ctx)

    row = list_rows(ctx)[-1]
    assert (row.status, row.email, row.contact_id) == (SignUpStatus.REFUSED, None, None)


def test_another_address_is_a_plain_new_sign_up(ctx: Context, client: FlaskClient) -> None:
    mail, email = _mail(ctx), new_person("other")
    assert _send(client, ctx, mail, email, a_first_name="Ola").status_code == 303

    row = list_rows(ctx)[-1]
    assert (row.email, row.contact_id) == (email, None)
    handle_sign_ups(ctx)
    _press(client, ctx, read_row(ctx, row))
    assert _name(ctx, mail) == "Kari <b>"
    assert [one.first_name for one in find_people(ctx, email)] == ["Ola"]


def test_same_address_typed_in_capitals_is_still_the_contacts(ctx: Context, client: FlaskClient) -> None:
    mail = _mail(ctx)
    _send(client, ctx, mail, mail.email.upper(), a_first_name="K")

    assert [row.contact_id for row in list_rows(ctx)] == [mail.contact.id]


def test_fault_shows_the_form_again_with_what_was_typed_and_the_address_still_masked(
    ctx: Context, client: FlaskClient
) -> None:
    mail = _mail(ctx)

    again = _send(client, ctx, mail, a_first_name="Typed", agree=None)

    assert again.status_code == 400
    assert 'value="Typed"' in again.text
    assert f'action="{mail.path}"' in again.text
    assert mail.email not in again.text
    assert list_rows(ctx) == []


def test_second_press_counts_once(ctx: Context, client: FlaskClient) -> None:
    mail = _mail(ctx)
    answers = make_answers(ctx, mail.form, "", a_first_name="K")

    assert [client.post(mail.path, data=answers).status_code for _ in range(2)] == [303, 303]
    assert len(list_rows(ctx)) == 1


def test_page_of_another_site_cannot_send_it(ctx: Context, client: FlaskClient) -> None:
    mail = _mail(ctx, make_form(ctx, sites=["https://www.example.com"]))
    for origin in ("https://www.example.com", "https://evil.example"):
        answer = client.post(mail.path, data=make_answers(ctx, mail.form, ""), headers={"Origin": origin})
        assert answer.status_code == 403
    assert list_rows(ctx) == []


def _archive(contact: Contact, _message: Message) -> None:
    contact.archived_at = utc_now()


def _erase(_contact: Contact, message: Message) -> None:
    message.contact_id = None


def _move(contact: Contact, _message: Message) -> None:
    contact.address_id = (contact.address_id or 0) + 1_000_000


def _age(_contact: Contact, message: Message) -> None:
    message.accepted_at = utc_now() - timedelta(days=91)


def _try_out(_contact: Contact, message: Message) -> None:
    message.to_address = "somebody@example.com"


@pytest.mark.parametrize("change", [_archive, _erase, _move, _age, _try_out])
def test_form_is_empty_where_the_reader_is_gone_or_the_mail_was_not_theirs(
    ctx: Context, client: FlaskClient, change: Any
) -> None:
    mail = _mail(ctx)
    with ctx.write() as session:
        change(session.get_one(Contact, mail.contact.id), session.get_one(Message, mail.message_id))

    page = client.get(mail.path)

    assert page.status_code == 200
    assert "Kari" not in page.text
    assert "Nordlys" not in page.text
    assert "This is about" not in page.text
    assert _send(client, ctx, mail).status_code == 400, "an address is asked for"
    _send(client, ctx, mail, mail.email)
    assert [row.contact_id for row in list_rows(ctx)] == [None]


def test_closed_form_gives_way_to_the_links_own_target_or_text(ctx: Context, client: FlaskClient) -> None:
    plain, said = _mail(ctx), _mail(ctx, text="All seats are <taken>.\nSee you in spring.")
    assert client.get(said.path).status_code == 200
    for mail in (plain, said):
        service.close_form(ctx, mail.form.public_id)

    away, page = client.get(plain.path), client.get(said.path)

    assert (away.status_code, away.location) == (302, URL)
    assert away.headers["Referrer-Policy"] == "no-referrer"
    assert page.status_code == 200
    assert "All seats are &lt;taken&gt;." in page.text
    assert _send(client, ctx, plain).status_code == 409
    assert list_rows(ctx) == []


@pytest.mark.parametrize("kind", [OPEN, tokens.VIEW, tokens.CONFIRM])
def test_other_tokens_open_nothing(ctx: Context, client: FlaskClient, kind: int) -> None:
    mail = _mail(ctx)

    assert client.get(f"/f/m/{track_token(ctx.keys, kind, mail.message_id, 0)}").status_code == 404


def test_forged_tokens_and_links_that_open_no_form_are_not_found(ctx: Context, client: FlaskClient) -> None:
    mail = _mail(ctx)
    other = track_token(ctx.keys, CLICK, mail.message_id, 7)
    gone = track_token(ctx.keys, CLICK, 2**50, 0)

    for path in (mail.path[:-1] + ("A" if mail.path[-1] != "A" else "B"), f"/f/m/{other}", f"/f/m/{gone}", "/f/m/x"):
        assert client.get(path).status_code == 404
        assert client.post(path, data={}).status_code == 404


def test_form_that_a_campaign_still_needs_is_not_archived_and_says_who(ctx: Context) -> None:
    form, now = make_form(ctx), utc_now()
    with ctx.write() as session:
        name = new_person("Autumn")
        draft = Campaign(
            name=name, links=[{"match": URL, "response": "form", "form": form.id}], created_at=now, updated_at=now
        )
        session.add(draft)
        session.flush()
    with pytest.raises(ConflictError, match=name):
        service.archive_form(ctx, form.public_id, is_archived=True)

    with ctx.write() as session:
        session.get_one(Campaign, draft.id).archived_at = now
    assert service.archive_form(ctx, form.public_id, is_archived=True).archived_at


def test_form_of_a_campaign_that_is_over_may_be_archived(ctx: Context) -> None:
    mail, now = _mail(ctx), utc_now()
    with ctx.write() as session:
        sending = session.get_one(Message, mail.message_id).sending_id
        campaign = Campaign(name=new_person("Over"), sending_id=sending, created_at=now, updated_at=now)
        session.add(campaign)
        session.flush()
    with pytest.raises(ConflictError, match=campaign.name):
        service.archive_form(ctx, mail.form.public_id, is_archived=True)
    with ctx.write() as session:
        session.get_one(Sending, sending).state = SendingState.FINISHED.value
    assert service.archive_form(ctx, mail.form.public_id, is_archived=True).archived_at
