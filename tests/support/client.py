"""Test clients that are signed in, through the real sign-in page."""

import re

from flask.testing import FlaskClient

from mailer.app import create_app
from mailer.context import Context
from tests.support.story import PASSWORD


def make_client(ctx: Context) -> FlaskClient:
    """A client that nobody has signed in with."""
    return create_app(ctx).test_client()


def sign_in(client: FlaskClient, email: str = "ada@example.com", password: str = PASSWORD) -> str:
    """Sign in and return the token against forged requests."""
    page = client.get("/sign-in")
    form = {"csrf_token": csrf_of(page.text), "email": email, "password": password}
    response = client.post("/sign-in", data=form)
    assert response.status_code == 303, response.text
    return csrf_of(client.get("/account/password").text)


def csrf_of(html: str) -> str:
    """Return the token in a page's form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found, "the page has no form with a token"
    return found[1]
