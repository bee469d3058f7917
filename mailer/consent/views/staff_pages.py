"""Staff pages of consent: topics and suppressions (FEATURES C2, C10)."""

import csv
import io
import uuid
from collections.abc import Iterator

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from mailer.consent import lifting, queries, service, suppressions
from mailer.consent.queries import SuppressionLine
from mailer.context import Context
from mailer.errors import InputError, MailerError
from mailer.statuses import LiftAct, SuppressionReason
from mailer.web.access import MARKETING, OPERATIONS, access, takes_upload, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, page_with_problems

topic_pages = Blueprint("topics", __name__, url_prefix="/topics")
suppression_pages = Blueprint("suppressions", __name__, url_prefix="/suppressions")
_EXPORT_PAGE = 1000
MAX_UPLOAD_BYTES = 64 * 1024 * 1024


@topic_pages.get("")
@access(*MARKETING)
def index() -> ResponseReturnValue:
    """List the topics with a form for another."""
    with app_context().read() as session:
        topics = queries.list_topics(session)
        counts = queries.count_subscribers(session)
    return render_template("admin/consent/topics.html", topics=topics, counts=counts, values={})


@topic_pages.post("")
@access(*MARKETING)
def create() -> ResponseReturnValue:
    """Create a topic; it starts empty."""
    try:
        topic = service.create_topic(
            app_context(),
            form_text("name"),
            description=form_text("description"),
            is_own_products=form_text("is_own_products") == "1",
            is_tracked=form_text("is_untracked") != "1",
        )
    except MailerError as error:
        with app_context().read() as session:
            topics, counts = queries.list_topics(session), queries.count_subscribers(session)
        return page_with_problems("admin/consent/topics.html", error, topics=topics, counts=counts, values=request.form)
    return done(_("%(name)s is there; nobody subscribes to it yet.", name=topic.name), url_for("topics.index"))


@topic_pages.post("/<uuid:public_id>/tracking")
@access(*MARKETING)
def track(public_id: uuid.UUID) -> ResponseReturnValue:
    """Keep opens and clicks of a topic's mails from now on, or do not."""
    is_tracked = form_text("is_tracked") == "1"
    service.set_topic_tracking(app_context(), public_id, is_tracked=is_tracked, by=who().id)
    said = _("Opens and clicks are kept.") if is_tracked else _("Opens and clicks of new mails are not kept.")
    return done(said, url_for("topics.index"))


@suppression_pages.get("", endpoint="index")
@access(*MARKETING, *OPERATIONS)
def list_suppressions() -> ResponseReturnValue:
    """List what is suppressed, newest first."""
    search, reason = request.args.get("q", "").strip()[:100], request.args.get("reason", "")
    with app_context().read() as session:
        lines = queries.list_suppressions(
            session, search=search, hashed=suppressions.find_hash(app_context(), search), reason=reason,
            before_id=page_key(), limit=PAGE_SIZE + 1,
        )  # fmt: skip
        topics = queries.list_topics(session)
    return render_template(
        "admin/consent/suppressions.html",
        page=cut_page(lines, _key),
        search=search,
        reason=reason,
        reasons=list(SuppressionReason),
        topics=topics,
        liftable=lifting.list_lifted_by(LiftAct.STAFF),
    )


@suppression_pages.post("", endpoint="add")
@access(*MARKETING, *OPERATIONS)
def add_suppression() -> ResponseReturnValue:
    """Suppress a typed address."""
    email = form_text("email")
    topic = form_text("topic")
    is_new = suppressions.add_suppression(
        app_context(), email, by=who().id, source=f"{who().shown_name}: {form_text('note') or _('by hand')}",
        topic_id=int(topic) if topic.isdecimal() else None,
    )  # fmt: skip
    text = _("%(email)s gets no more mail.", email=email) if is_new else _("%(email)s was suppressed.", email=email)
    return done(text, url_for("suppressions.index"))


@suppression_pages.get("/<int:suppression_id>", endpoint="show")
@access(*MARKETING, *OPERATIONS)
def show_suppression(suppression_id: int) -> ResponseReturnValue:
    """Show one suppression: why, since when, what was before, and who may lift it."""
    with app_context().read() as session:
        line = queries.get_suppression(session, suppression_id)
        history = queries.list_history(session, line.address_hash)
    return render_template(
        "admin/consent/suppression.html",
        line=line,
        history=history,
        why_not=lifting.why_not_lift(line.reason, LiftAct.STAFF),
        is_mine=who().has_role(*OPERATIONS),
    )


@suppression_pages.post("/remove", endpoint="remove")
@access(*OPERATIONS)
def lift_suppression() -> ResponseReturnValue:
    """Lift what staff may lift."""
    email = form_text("email")
    suppressions.lift_suppressions(app_context(), email, by=who().id)
    return done(_("%(email)s may be mailed again where permission allows.", email=email), url_for("suppressions.index"))


@suppression_pages.post("/<int:suppression_id>/lift", endpoint="lift")
@access(*OPERATIONS)
def lift_one(suppression_id: int) -> ResponseReturnValue:
    """Lift one, also where the address is known by its hash only."""
    suppressions.lift_one(app_context(), suppression_id, by=who().id)
    return done(_("Lifted: it may be mailed again where permission allows."), url_for("suppressions.index"))


@suppression_pages.post("/import", endpoint="import_file")
@takes_upload(MAX_UPLOAD_BYTES)
@access(*MARKETING, *OPERATIONS)
def import_suppressions() -> ResponseReturnValue:
    """Suppress the addresses of a file: one a line, or the column `email` of a CSV."""
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        raise InputError(_("no file was chosen"), where="file")
    try:
        lines = upload.stream.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(_("this is not a text file in UTF-8"), where="file") from error
    source = _("file %(name)s", name=upload.filename)
    rows = suppressions.read_list(csv.reader(lines))
    found = suppressions.import_suppressions(app_context(), rows, source=source, by=who().id)
    text = ngettext("%(num)d address is new.", "%(num)d addresses are new.", found.new)
    if found.refused:
        first, why = found.refused[0]
        text += "\n" + _(
            "%(count)d lines were not taken, the first: %(first)s (%(why)s)",
            count=found.refused_count, first=first, why=why,
        )  # fmt: skip
    return done(text, url_for("suppressions.index"), kind="warning" if found.refused else "success")


@suppression_pages.get("/export", endpoint="export")
@access(*OPERATIONS)
def export_suppressions() -> ResponseReturnValue:
    """Return everything that is suppressed as CSV."""
    response = Response(_export_lines(app_context()), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="suppressions.csv"'
    return response


def _export_lines(ctx: Context) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(suppressions.EXPORT_COLUMNS)
    for number, row in enumerate(suppressions.iter_export(ctx)):
        writer.writerow(row)
        if number % _EXPORT_PAGE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _key(line: SuppressionLine) -> int:
    return line.id
