"""Every route states who may open it, and is denied without that."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mailer.app import create_app
from mailer.assets import templates_dir
from mailer.context import Context
from mailer.database import Database
from mailer.jobs import SilentBell
from mailer.settings import Settings
from mailer.tokens import new_keys
from mailer.web.access import stated_access
from tests.structure.rights import render_rights

PUBLIC = {
    "static", "healthz", "readyz", "metrics.show", "accounts.sign_in", "accounts.enter",
    "public.unsubscribe", "public.end", "public.choose", "public.save", "view.show", "brand.style",
    "signup.show", "signup.embed", "signup.submit", "signup.submit_embed", "signup.preflight", "signup.nonce",
    "signup.thanks", "signup.thanks_embed", "signup.look", "signup.ask", "signup.confirm", "webhook_door.take",
    "webhook_door.look", "signup.show_known", "signup.submit_known",
}  # fmt: skip


@pytest.fixture
def app(tmp_path: Path, sqlite_template: Path) -> Flask:
    database = tmp_path / "mailer.sqlite"
    database.write_bytes(sqlite_template.read_bytes())
    (tmp_path / "catcher.sqlite").touch()  # so that the inbox is there too
    settings = Settings(data_dir=tmp_path, database_url=f"sqlite:///{database}", public_url="http://127.0.0.1:8000")
    return create_app(Context(settings, Database(settings.database_url), new_keys(), SilentBell()))


def test_every_route_states_its_access(app: Flask) -> None:
    silent = [
        rule.endpoint for rule in app.url_map.iter_rules() if not stated_access(app.view_functions[rule.endpoint])
    ]

    assert silent == []


def test_only_these_routes_are_public(app: Flask) -> None:
    public = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if (stated := stated_access(app.view_functions[rule.endpoint])) and stated.is_public
    }

    assert public == PUBLIC


def test_a_route_without_a_word_is_denied(app: Flask) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")

    assert app.test_client().get("/forgotten").status_code == 403


def test_every_page_of_staff_asks_strangers_to_sign_in(app: Flask) -> None:
    client: FlaskClient = app.test_client()
    with app.test_request_context():
        adapter = app.create_url_adapter(None)
    for rule in app.url_map.iter_rules():
        if rule.endpoint in PUBLIC or "GET" not in (rule.methods or ()) or rule.arguments or adapter is None:
            continue
        response = client.get(rule.rule)

        assert response.status_code == 302, rule.rule
        assert response.location.startswith("/sign-in"), rule.rule


def test_the_page_of_rights_is_true(app: Flask) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "rights.md").read_text(encoding="utf-8")

    assert page == render_rights(app), "make it anew: python -m tests.structure.rights > docs/reference/rights.md"


def test_no_template_has_inline_style_or_script() -> None:
    """The policy forbids both (STACK section 6); a style attribute would be silently ignored."""
    wrong = []
    for path in [*templates_dir().glob("admin/**/*.html"), *templates_dir().glob("public/**/*.html")]:
        text = path.read_text(encoding="utf-8")
        if " style=" in text or "onclick=" in text or "<script>" in text or "javascript:" in text:
            wrong.append(path.name)

    assert wrong == []
