"""View in browser: for whom the mail was, and safe to forward (FEATURES M5)."""

import pytest
from sqlalchemy import select

from mailer.context import Context
from mailer.delivery.viewing import render_view
from mailer.errors import UntrustedRequestError
from mailer.schema.delivery import Message
from mailer.tokens import OPEN, VIEW, track_token
from tests.support.client import make_client
from tests.support.make import make_reader, make_sending, make_topic, make_workspace


@pytest.fixture
def message(ctx: Context) -> Message:
    with ctx.write() as session:
        make_workspace(session)
        topic = make_topic(session)
        make_sending(session, ctx, [make_reader(session, topic, first_name="Åse", key=ctx.keys.suppression)], topic)
        return session.scalars(select(Message)).one()


def test_it_shows_the_mail_of_its_recipient_without_links_of_their_own(ctx: Context, message: Message) -> None:
    html = render_view(ctx, track_token(ctx.keys, VIEW, message.id))

    assert "Hello Åse" in html
    assert "https://example.com/sign-up" in html
    assert "/u/" not in html
    assert "/c/" not in html
    assert "/o/" not in html


def test_a_token_of_another_kind_opens_nothing(ctx: Context, message: Message) -> None:
    with pytest.raises(UntrustedRequestError):
        render_view(ctx, track_token(ctx.keys, OPEN, message.id))


def test_the_page_runs_nothing_and_is_kept_nowhere(ctx: Context, message: Message) -> None:
    response = make_client(ctx).get(f"/v/{track_token(ctx.keys, VIEW, message.id)}")

    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"].startswith("sandbox")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Robots-Tag"] == "noindex"
    assert "Set-Cookie" not in response.headers
