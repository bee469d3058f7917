"""A sign-up form that is open, and people who fill it in."""

import itertools
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from mailer.addresses import hash_address
from mailer.clock import utc_now
from mailer.contacts.queries import list_by_email
from mailer.context import Context
from mailer.forms import service
from mailer.forms.handle import handle_sign_ups
from mailer.forms.nonce import make_nonce
from mailer.forms.queries import find_wording
from mailer.forms.spec import build_form_file
from mailer.schema.contacts import Contact
from mailer.schema.forms import Form, SignUp
from mailer.schema.workspace import Workspace
from mailer.tokens import CONFIRM, track_token
from tests.support.make import make_sender, make_staff, make_topic, make_workspace

WORDING = "Yes, Fjord Seminars may write to me about what I chose. I can leave at any time."


def make_form(ctx: Context, *, is_open: bool = True, **overrides: Any) -> Form:
    """A form called News with one topic and the first name; the world that it needs is made with it."""
    with ctx.write() as session:
        if session.get(Workspace, 1) is None:
            make_workspace(session, name="Fjord Seminars", timezone="Europe/Oslo")
            make_staff(session)
        sender, topic = make_sender(session), make_topic(session)
        if "topics" not in overrides:
            overrides["topics"] = [topic.name]
    values = {"name": "News", "sender": sender.name, "wording": WORDING, "fields": [{"field": "first_name"}]}
    form = service.create_form(ctx, build_form_file(values | overrides))
    return service.open_form(ctx, form.public_id) if is_open else form


def make_answers(ctx: Context, form: Form, email: str, *, seconds: float = 30, **more: Any) -> dict[str, Any]:
    """What a browser sends `seconds` after it was shown the form; None leaves a value out."""
    nonce = make_nonce(ctx.keys, form.id, utc_now() - timedelta(seconds=seconds))
    values = {"email": email, "agree": "1", "nonce": nonce, **more}
    return {key: value for key, value in values.items() if value is not None}


def sign_up(client: FlaskClient, ctx: Context, form: Form, email: str, *, ip: str = "", **more: Any) -> TestResponse:
    """Fill a form in and send it, from an IP where one is named."""
    headers = {"X-Forwarded-For": ip} if ip else {}
    return client.post(f"/f/{form.public_id}", data=make_answers(ctx, form, email, **more), headers=headers)


def list_rows(ctx: Context) -> list[SignUp]:
    """Every sign-up, oldest first."""
    with ctx.read() as session:
        return list(session.scalars(select(SignUp).order_by(SignUp.id)))


def link_of(ctx: Context, row: SignUp) -> str:
    """The path in the confirmation mail of a sign-up."""
    assert row.message_id is not None
    return f"/s/{track_token(ctx.keys, CONFIRM, row.message_id)}"


_people = itertools.count(1)


def new_person(name: str = "person") -> str:
    """An address that no other test has used."""
    return f"{name}{next(_people)}.of.forms@example.com"


def keep_sign_up(ctx: Context, form: Form, email: str, **overrides: Any) -> SignUp:
    """A sign-up as the page keeps it, without the page."""
    with ctx.write() as session:
        wording = find_wording(session, form.id)
        assert wording is not None
        values = {
            "form_id": form.id,
            "wording_id": wording.id,
            "address_hash": hash_address(email, ctx.keys.suppression),
            "email": email,
            "data": {"first_name": "Anna"},
            "topic_ids": list(form.topic_ids),
            "ip": "198.51.100.7",
            "user_agent": "Test browser",
            "submitted_at": utc_now(),
        }
        row = SignUp(**values | overrides)
        session.add(row)
    return row


def read_row(ctx: Context, row: SignUp) -> SignUp:
    """A sign-up as it is now."""
    with ctx.read() as session:
        return session.get_one(SignUp, row.id)


def mail_to(ctx: Context, form: Form, email: str, **overrides: Any) -> SignUp:
    """A sign-up whose confirmation mail is on its way."""
    row = keep_sign_up(ctx, form, email, **overrides)
    handle_sign_ups(ctx)
    return read_row(ctx, row)


def find_people(ctx: Context, email: str) -> list[Contact]:
    """Every contact with an address."""
    with ctx.read() as session:
        return list(list_by_email(session, email))
