"""Pages of sending domains: which there are, what each must publish, and what was seen of it."""

import uuid
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.delivery import domain_queries, domain_service
from mailer.delivery.domains import Check, Light, read_checks, worst_light
from mailer.errors import MailerError
from mailer.schema.transports import SendingDomain
from mailer.web.access import MARKETING, OPERATIONS, access, who
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("domains", __name__, url_prefix="/domains")


@pages.get("")
@access(*MARKETING, *OPERATIONS)
def index() -> ResponseReturnValue:
    """List the sending domains with their lights."""
    with app_context().read() as session:
        lines = domain_queries.list_domains(session)
    return render_template("admin/delivery/domains.html", lines=lines)


@pages.get("/new")
@access(*OPERATIONS)
def new() -> ResponseReturnValue:
    """Ask for the name of a domain."""
    return render_template("admin/delivery/domain_new.html", values={"warm_up": "1"})


@pages.post("")
@access(*OPERATIONS)
def create() -> ResponseReturnValue:
    """Add a domain with its first key."""
    try:
        row = domain_service.create_domain(
            app_context(),
            form_text("domain"),
            with_ed25519=bool(request.form.get("ed25519")),
            warms_up=bool(request.form.get("warm_up")),
            by=who().id,
        )
    except MailerError as error:
        return page_with_problems("admin/delivery/domain_new.html", error, values=request.form)
    return done(_("Now publish the records below, then check."), _address(row.public_id))


@pages.get("/<uuid:public_id>")
@access(*MARKETING, *OPERATIONS)
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a domain: its records, each with what was seen of it, and its keys."""
    with app_context().read() as session:
        row = domain_queries.get_domain(session, public_id)
        return render_template("admin/delivery/domain.html", **_values(session, row))


def _values(session: Session, row: SendingDomain) -> dict[str, Any]:
    checks = read_checks(row.checks)
    records = domain_service.list_domain_records(session, app_context(), row)
    seen = {(check.kind, check.selector): check for check in checks}
    shown = {(record.kind, record.selector) for record in records}
    return {
        "domain": row,
        "light": worst_light(checks),
        "records": [(record, seen.get((record.kind, record.selector))) for record in records],
        "others": [check for check in checks if (check.kind, check.selector) not in shown],
        "keys": [(key, _is_seen(checks, key.selector)) for key in domain_queries.list_keys(session, row.id)],
    }


def _is_seen(checks: list[Check], selector: str) -> bool:
    return any(check.selector == selector and check.light is Light.OK for check in checks)


@pages.post("/<uuid:public_id>/check")
@access(*OPERATIONS, *MARKETING)
def check(public_id: uuid.UUID) -> ResponseReturnValue:
    """Look at the domain's DNS records now; takes seconds where a name server is silent."""
    found = domain_service.check_now(app_context(), _id_of(public_id))
    wrong = [one for one in found if one.light is not Light.OK]
    if not wrong:
        return done(_("Checked: everything is as it should be."), _address(public_id))
    return done(_("Checked: see below what is left to do."), _address(public_id), kind="warning")


@pages.post("/<uuid:public_id>/keys")
@access(*OPERATIONS)
def add_key(public_id: uuid.UUID) -> ResponseReturnValue:
    """Make a further key."""
    domain_service.create_key(app_context(), _id_of(public_id), form_text("algorithm"), by=who().id)
    return done(_("The key is made. Publish its record, check, then put it to use."), _address(public_id))


@pages.post("/<uuid:public_id>/keys/<selector>/activate")
@access(*OPERATIONS)
def activate(public_id: uuid.UUID, selector: str) -> ResponseReturnValue:
    """Sign with a key from now on."""
    domain_service.activate_key(app_context(), _id_of(public_id), selector, by=who().id)
    return done(_("Mails are signed with it from now on."), _address(public_id))


@pages.post("/<uuid:public_id>/keys/<selector>/retire")
@access(*OPERATIONS)
def retire(public_id: uuid.UUID, selector: str) -> ResponseReturnValue:
    """Destroy a key."""
    domain_service.retire_key(app_context(), _id_of(public_id), selector, by=who().id)
    return done(_("The key is gone. Leave its record in DNS for a week."), _address(public_id))


@pages.post("/<uuid:public_id>/delete")
@access(*OPERATIONS)
def delete(public_id: uuid.UUID) -> ResponseReturnValue:
    """Delete a domain with its keys."""
    domain_service.delete_domain(app_context(), _id_of(public_id), by=who().id)
    return done(_("The sending domain is deleted."), url_for("domains.index"))


def _id_of(public_id: uuid.UUID) -> int:
    with app_context().read() as session:
        return domain_queries.get_domain(session, public_id).id


def _address(public_id: uuid.UUID) -> str:
    return url_for("domains.show", public_id=public_id)
