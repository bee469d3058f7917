"""The web application: a factory that puts kit and pages together. The tracking endpoint is mounted in web.py."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from flask_babel import Babel
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFProtect
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from mailer.accounts import queries as accounts
from mailer.accounts.views import settings, signing, staff
from mailer.actions import views as action_pages
from mailer.assets import templates_dir
from mailer.bounces.views import came_back, ways_in
from mailer.bounces.views import doors as webhook_doors
from mailer.bounces.views import reports as bounce_pages
from mailer.campaigns.views import control, overrides, unknowns
from mailer.campaigns.views import pages as campaign_pages
from mailer.catcher import views as inbox
from mailer.consent.views import person_pages, public_pages, staff_pages
from mailer.contacts import views as contact_views
from mailer.content import views as designs
from mailer.context import Context
from mailer.delivery.views import browser, transports
from mailer.delivery.views import domains as domain_pages
from mailer.followups.views import sharing as sharing_pages
from mailer.followups.views import tasks as followup_views
from mailer.forms.views import editor as form_editor
from mailer.forms.views import public_pages as form_pages
from mailer.forms.views import staff_pages as form_staff
from mailer.imports import views as import_pages
from mailer.privacy.views import people as privacy_people
from mailer.privacy.views import rules as privacy_rules
from mailer.reports.views import campaign as campaign_report
from mailer.reports.views import clickers, contact, dashboard, metrics, operations, rates
from mailer.segments.views import bulk as bulk_pages
from mailer.segments.views import export as segment_export
from mailer.segments.views import history as segment_history
from mailer.segments.views import live as segment_live
from mailer.segments.views import members as segment_members
from mailer.segments.views import pages as segment_pages
from mailer.segments.views import properties as segment_properties
from mailer.web.access import CurrentUser, guard_routes, public
from mailer.web.csp import add_headers
from mailer.web.errors import handle_errors
from mailer.web.files import add_static_files
from mailer.web.formats import add_formats, zone_name
from mailer.web.navigation import sections_for
from mailer.web.paging import page_address
from mailer.web.requests import EXTENSION, app_context
from mailer.web.words import OUTCOMES, ROLE_WORDS, action_word, reason_word, state_word
from mailer.workspace.queries import get_workspace

SESSION_LIFETIME = timedelta(hours=12)
MAX_FORM_BYTES = 2 * 1024 * 1024

ADMIN_PAGES: tuple[Blueprint, ...] = (
    signing.pages,
    dashboard.pages,
    contact_views.pages,
    import_pages.pages,
    campaign_pages.pages,
    control.pages,
    unknowns.pages,
    overrides.pages,
    campaign_report.pages,
    clickers.pages,
    action_pages.pages,
    action_pages.webhook_pages,
    form_staff.pages,
    form_editor.pages,
    segment_pages.pages,
    segment_history.pages,
    segment_properties.pages,
    segment_export.pages,
    bulk_pages.pages,
    segment_live.pages,
    segment_members.pages,
    contact.pages,
    followup_views.pages,
    sharing_pages.pages,
    designs.pages,
    rates.pages,
    operations.pages,
    transports.pages,
    came_back.pages,
    bounce_pages.pages,
    ways_in.pages,
    staff_pages.suppression_pages,
    staff_pages.topic_pages,
    person_pages.objection_pages,
    person_pages.proof_pages,
    contact_views.field_pages,
    settings.pages,
    settings.sender_pages,
    domain_pages.pages,
    staff.pages,
    staff.audit_pages,
    privacy_people.pages,
    privacy_rules.retention_pages,
    privacy_rules.incident_pages,
)
PUBLIC_PAGES: tuple[Blueprint, ...] = (
    metrics.pages,
    settings.brand_pages,
    public_pages.pages,
    form_pages.pages,
    browser.pages,
    webhook_doors.pages,
)
_WITHOUT_FRAME = frozenset({"static", "healthz", "readyz"})
_PUBLIC_NAMES = frozenset(page.name for page in PUBLIC_PAGES)


def create_app(ctx: Context) -> Flask:
    """Return the Flask application for `ctx`."""
    app = Flask("mailer", static_folder=None, template_folder=templates_dir())
    app.extensions[EXTENSION] = ctx
    app.config.update(_config(ctx))
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "autoescape": True}
    add_static_files(app)
    _add_health(app)
    _add_login(app)
    Babel(app, timezone_selector=zone_name)
    guard_routes(app)  # first: nobody's body is read before we know whose it is
    csrf = CSRFProtect(app)
    for page in ADMIN_PAGES:
        app.register_blueprint(page)
    if has_catcher(ctx):
        app.register_blueprint(inbox.pages)
    for page in PUBLIC_PAGES:
        app.register_blueprint(page)
        csrf.exempt(page)  # no cookie says who asks there: the signed token in the address does
    add_headers(app)
    handle_errors(app)
    add_formats(app)
    _add_template_values(app)
    return app


def has_catcher(ctx: Context) -> bool:
    """Return whether the embedded default's catcher keeps its mails in this installation's data folder."""
    return "catcher" in ctx.settings.embedded_ports or (ctx.settings.data_dir / "catcher.sqlite").exists()


def _config(ctx: Context) -> dict[str, Any]:
    return {
        "SECRET_KEY": ctx.keys.session,
        "SESSION_COOKIE_NAME": "mailer_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": ctx.settings.public_url.startswith("https://"),
        "PERMANENT_SESSION_LIFETIME": SESSION_LIFETIME,
        "MAX_CONTENT_LENGTH": MAX_FORM_BYTES,
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session
        "BABEL_DEFAULT_LOCALE": "en",
    }


def _add_health(app: Flask) -> None:
    """Liveness and readiness, for supervisors and load balancers."""

    @app.get("/healthz")
    @public
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @app.get("/readyz")
    @public
    def readyz() -> Response:
        try:
            with app_context().read() as session:
                session.execute(text("SELECT 1"))
        except OperationalError:
            return Response("the database is away\n", status=503, mimetype="text/plain")
        return Response("ok\n", mimetype="text/plain")


def _add_login(app: Flask) -> None:
    login = LoginManager(app)
    login.session_protection = None  # addresses of phones change; the version in the session ends it

    @login.user_loader  # type: ignore[untyped-decorator]
    def load(key: str) -> CurrentUser | None:
        number, _, version = key.partition(".")
        if not number.isdecimal() or not version.isdecimal():
            return None
        with app_context().read() as session:
            found = accounts.find_staff_by_id(session, int(number))
        return signing.current_user_of(found) if found and found.session_version == int(version) else None


def _add_template_values(app: Flask) -> None:
    app.jinja_env.globals.update(
        state_word=state_word,
        reason_word=reason_word,
        action_word=action_word,
        page_address=page_address,
        ROLES=ROLE_WORDS,
        OUTCOMES=OUTCOMES,
    )
    app.jinja_env.globals["has_endpoint"] = app.view_functions.__contains__
    app.before_request(_read_workspace)

    @app.context_processor
    def values() -> dict[str, Any]:
        is_signed_in = bool(current_user.is_authenticated) and request.blueprint not in _PUBLIC_NAMES
        if is_signed_in:
            _read_workspace()
        return {
            "workspace": g.get("workspace"),
            "sections": sections_for(current_user) if is_signed_in else [],
            "find_endpoint": "contacts.index",
        }


def _read_workspace() -> None:
    """Read what the frame of every staff page shows: the workspace's name, zone and whether all is stopped."""
    if "workspace" in g or request.endpoint in _WITHOUT_FRAME or request.blueprint in _PUBLIC_NAMES:
        return
    with app_context().read() as session:
        g.workspace = get_workspace(session)
    g.zone = (current_user.timezone if current_user.is_authenticated else "") or g.workspace.timezone
