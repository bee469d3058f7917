"""The web inbox: caught mails newest first, shown without running anything."""

from email.message import EmailMessage

import pytest
from flask.testing import FlaskClient

from mailer.catcher import store
from mailer.clock import utc_now
from mailer.context import Context
from tests.support.client import make_client, sign_in
from tests.support.story import make_story


def build_mail(number: int) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"] = "Fjord <news@example.com>", f"reader{number}@example.com"
    mail["Subject"], mail["Message-ID"] = f"Hei {number} på Åsen", f"<m{number}@example.com>"
    mail["List-Unsubscribe"] = "<https://example.com/u/token>"
    mail.set_content(f"Hello {number}\nhttps://example.com/text\n")
    mail.add_alternative(f'<p>Hello <b>{number}</b> <a href="https://example.com/c">x</a></p>', subtype="html")
    mail.set_boundary("part")
    return mail.as_bytes()


@pytest.fixture
def client(ctx: Context) -> FlaskClient:
    with store.opened(ctx.settings.data_dir / "catcher.sqlite") as connection:
        for number in range(60):
            row = (utc_now().isoformat(), "b+x@bounce.localhost", f"reader{number}@example.com", build_mail(number))
            connection.execute("INSERT INTO mail (received_at, mail_from, rcpt_to, raw) VALUES (?, ?, ?, ?)", row)
    make_story(ctx, people=4)
    client = make_client(ctx)
    sign_in(client)
    return client


def test_the_newest_mail_is_first_and_pages_go_back(client: FlaskClient) -> None:
    first = client.get("/inbox").text
    second = client.get("/inbox?after=11").text

    assert first.index("Hei 59 på Åsen") < first.index("Hei 58 på Åsen")
    assert "Hei 5 på Åsen" not in first
    assert "Hei 9 på Åsen" in second
    assert "Hei 10 på Åsen" not in second


def test_a_recipient_is_found(client: FlaskClient) -> None:
    page = client.get("/inbox?q=READER7@").text

    assert "Hei 7 på Åsen" in page
    assert "Hei 17 på Åsen" not in page


def test_a_mail_shows_headers_links_and_its_text(client: FlaskClient) -> None:
    page = client.get("/inbox/8").text

    assert "&lt;m7@example.com&gt;" in page
    assert "https://example.com/text" in page
    assert "List-Unsubscribe" in page


def test_its_html_is_a_page_that_can_run_nothing(client: FlaskClient) -> None:
    response = client.get("/inbox/8/html")

    assert "Hello <b>7</b>" in response.text
    assert response.headers["Content-Security-Policy"].startswith("sandbox")


def test_the_raw_mail_is_byte_for_byte(client: FlaskClient) -> None:
    assert client.get("/inbox/8/raw").data == build_mail(7)


def test_without_a_catcher_there_is_no_inbox(ctx: Context) -> None:
    make_story(ctx, people=4)
    client = make_client(ctx)
    sign_in(client)

    assert client.get("/inbox").status_code == 404
    assert "/inbox" not in client.get("/dashboard").text
