"""Pages of campaigns: the list, and the steps of a draft: setup, template, content, recipients, review."""

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.accounts.queries import list_groups, list_staff
from mailer.actions.queries import list_webhooks
from mailer.campaigns import attach, audience, composing, drafts, gather, queries, service
from mailer.campaigns.form_links import list_forms_in_use
from mailer.campaigns.queries import CampaignLine
from mailer.campaigns.review import Facts, blockers, review
from mailer.campaigns.views.forms import list_data_fields, overlay, read_data
from mailer.campaigns.views.link_forms import list_link_forms, read_links
from mailer.consent.queries import list_topics
from mailer.content.attachments import MAX_FILE_BYTES
from mailer.content.check import Finding
from mailer.content.service import get_design_source, list_designs, prepare_content
from mailer.errors import InputError, MailerError, NotFoundError, Problem
from mailer.schema.campaigns import Campaign
from mailer.schema.segments import Segment
from mailer.segments.bulk.fields import OWNER, find_field, list_settable, read_value
from mailer.segments.visibility import Viewer, get_visible, list_visible, make_viewer
from mailer.statuses import ActionKind, SegmentKind
from mailer.web.access import MARKETING, access, takes_upload, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, is_fragment, page_with_problems
from mailer.workspace.queries import get_workspace, list_senders

pages = Blueprint("campaigns", __name__, url_prefix="/campaigns")
STEPS = ("setup", "template", "content", "recipients", "review")


@pages.get("")
@access()
def index() -> ResponseReturnValue:
    """List campaigns, newest first."""
    with app_context().read() as session:
        lines = queries.list_campaigns(session, before_id=page_key(), limit=PAGE_SIZE + 1)
    return render_template("admin/campaigns/index.html", page=cut_page(lines, _key), EDITABLE=drafts.EDITABLE)


@pages.get("/new")
@access(*MARKETING)
def new() -> ResponseReturnValue:
    """Ask for a name; `?segment=` is the audience to begin with."""
    segment = _first_segment(request.args.get("segment", ""))
    return render_template("admin/campaigns/new.html", values={}, segment=segment)


@pages.post("")
@access(*MARKETING)
def create() -> ResponseReturnValue:
    """Create an empty draft and go to its first step."""
    segment = _first_segment(form_text("segment"))
    try:
        include = [segment.id] if segment else []
        campaign = composing.create_draft(app_context(), form_text("name"), include=include, by=who().id)
    except MailerError as error:
        return page_with_problems("admin/campaigns/new.html", error, values=request.form, segment=segment)
    return redirect(_address(campaign.public_id, "setup"), code=303)


def _first_segment(text: str) -> Segment | None:
    """Return the segment with this public id that is to be the audience; None where nothing is said."""
    if not text:
        return None
    try:
        public_id = uuid.UUID(text)
    except ValueError as error:
        raise NotFoundError("no such segment") from error
    with app_context().read() as session:
        return get_visible(session, public_id, _viewer())


def _list_pickable(session: Session, campaign: Campaign) -> list[Segment]:
    """Return the segments that this person sees, and those that the campaign has already, whoever chose them."""
    chosen = [one for mode in ("include", "exclude") for one in queries.list_segments(session, campaign.id, mode)]
    seen = list_visible(session, _viewer())
    known = {one.id for one in seen}
    return sorted([*seen, *(one for one in chosen if one.id not in known)], key=lambda one: (one.name, one.id))


def _viewer() -> Viewer:
    return make_viewer(who().id, who().role)


@pages.get("/<uuid:public_id>/<any(setup, template, content, recipients, review):step>")
@access(*MARKETING)
def edit(public_id: uuid.UUID, step: str) -> ResponseReturnValue:
    """Show a step of a draft; a campaign that has started shows its report instead."""
    with app_context().read() as session:
        campaign = queries.get_by_public_id(session, public_id)
        if campaign.status not in drafts.EDITABLE:
            return redirect(url_for("report.show", public_id=public_id))
        return render_template(f"admin/campaigns/{step}.html", **_step_values(session, campaign, step))


@pages.post("/<uuid:public_id>/<any(setup, template, content, recipients):step>")
@access(*MARKETING)
def save(public_id: uuid.UUID, step: str) -> ResponseReturnValue:
    """Save a step and go to the next; htmx gets the audience's numbers instead."""
    ctx = app_context()
    with ctx.read() as session:
        campaign = queries.get_by_public_id(session, public_id)
        try:
            changes, chosen = _read_step(session, campaign, step)
            composing.update_campaign(ctx, campaign.id, changes, **chosen)
        except MailerError as error:
            values = _step_values(session, campaign, step)
            return page_with_problems(f"admin/campaigns/{step}.html", error, **values)
    if is_fragment():
        return audience_numbers(public_id)
    wanted = form_text("then")
    if number := wanted.removeprefix("add:") if wanted.startswith("add:") else "":
        kind = form_text(f"link.{number}.add")
        return redirect(
            _address(public_id, step) + f"?{urlencode({'add': f'{number}:{kind}'})}#link-{number}", code=303
        )
    return redirect(_address(public_id, wanted if wanted in STEPS else _next(step)), code=303)


@pages.get("/<uuid:public_id>/audience")
@access(*MARKETING)
def audience_numbers(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the waterfall of the audience as a fragment."""
    with app_context().read() as session:
        campaign = queries.get_by_public_id(session, public_id)
    numbers = service.count_audience(app_context(), campaign.id)
    return render_template("admin/campaigns/waterfall.html", numbers=numbers, reasons=audience.COUNTED)


@pages.post("/<uuid:public_id>/attachments")
@takes_upload(MAX_FILE_BYTES + 64 * 1024)
@access(*MARKETING)
def attach_file(public_id: uuid.UUID) -> ResponseReturnValue:
    """Attach a file."""
    ctx = app_context()
    sent = request.files.get("file")
    with ctx.read() as session:
        campaign = queries.get_by_public_id(session, public_id)
        try:
            if sent is None or not sent.filename:
                raise InputError(_("choose a file"), where="attachments")
            attach.attach_file(ctx, campaign.id, sent.filename, sent.read(), by=who().id)
        except MailerError as error:
            values = _step_values(session, campaign, "setup")
            return page_with_problems("admin/campaigns/setup.html", error, **values)
    return done(_("The file is attached."), _address(public_id, "setup"))


@pages.post("/<uuid:public_id>/attachments/remove")
@access(*MARKETING)
def remove_file(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take a file off."""
    attach.remove_file(app_context(), _id_of(public_id), request.form.get("name", ""), by=who().id)
    return done(_("The file is removed."), _address(public_id, "setup"))


@pages.post("/<uuid:public_id>/duplicate")
@access(*MARKETING)
def duplicate(public_id: uuid.UUID) -> ResponseReturnValue:
    """Make a new draft like this one."""
    copied = composing.duplicate_campaign(app_context(), _id_of(public_id), by=who().id)
    return done(_("This is the copy."), _address(copied.public_id, "setup"))


@pages.post("/<uuid:public_id>/delete")
@access(*MARKETING)
def delete(public_id: uuid.UUID) -> ResponseReturnValue:
    """Delete a draft."""
    composing.delete_draft(app_context(), _id_of(public_id), by=who().id)
    return done(_("The draft is deleted."), url_for("campaigns.index"))


# ------------------------------------------------------------------ what a step shows and reads


def _step_values(session: Session, campaign: Campaign, step: str) -> dict[str, Any]:
    zone = get_workspace(session).timezone
    values: dict[str, Any] = {
        "campaign": campaign,
        "step": step,
        "marks": _marks(session, campaign),
        "zone": zone,
        "include": queries.list_segments(session, campaign.id, "include"),
        "exclude": queries.list_segments(session, campaign.id, "exclude"),
    }
    show = {
        "setup": _setup_values,
        "template": _template_values,
        "content": _content_values,
        "recipients": _recipient_values,
        "review": _review_values,
    }
    return values | show[step](session, campaign)


def _setup_values(session: Session, campaign: Campaign) -> dict[str, Any]:
    return {
        "senders": list_senders(session),
        "topics": list_topics(session),
        "files": attach.list_files(session, campaign.id),
    }


def _template_values(session: Session, campaign: Campaign) -> dict[str, Any]:
    del campaign
    return {"designs": list_designs(session)}


def _content_values(session: Session, campaign: Campaign) -> dict[str, Any]:
    values: dict[str, Any] = {
        "segments": [one for one in list_visible(session, _viewer()) if one.kind == SegmentKind.STATIC],
        "topics": list_topics(session),
        "webhooks": list_webhooks(session),
        "settable": [one for one in list_settable(session) if one.key != OWNER],
        "people": list_staff(session),
        "groups": list_groups(session),
        "forms": list_forms_in_use(session),
        "fields": [],
        "links": [],
        "content_problem": "",
    }
    try:
        spec = gather.build_content_spec(session, campaign)
        values["fields"] = list_data_fields(_edited_data(session, campaign))
        prepared = prepare_content(spec)
        typed = request.form if request.method == "POST" else None
        values["links"] = list_link_forms(
            prepared.urls, prepared.labels, campaign.links, typed=typed, add=_read_added(request.args.get("add", ""))
        )
    except MailerError as error:
        values["content_problem"] = error.message
    return values


def _recipient_values(session: Session, campaign: Campaign) -> dict[str, Any]:
    clock = app_context().clock
    today = clock.today(get_workspace(session).timezone)
    return {
        "segments": _list_pickable(session, campaign),
        "numbers": audience.count_audience(session, campaign, today, clock.now()),
        "reasons": audience.COUNTED,
    }


def _review_values(session: Session, campaign: Campaign) -> dict[str, Any]:
    facts: Facts = gather.gather_facts(session, app_context(), campaign)
    findings = review(facts)
    zone = get_workspace(session).timezone
    local = campaign.send_at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") if campaign.send_at else ""
    return {
        "findings": [(finding, _mend_address(campaign, finding)) for finding in findings],
        "is_blocked": bool(blockers(findings)),
        "numbers": facts.audience,
        "reasons": audience.COUNTED,
        "send_at": local,
    }


def _mend_address(campaign: Campaign, finding: Finding) -> str:
    """Return the page that mends a finding: a step, or the sending domains; empty for the page that it stands on."""
    if finding.where == "domains":
        return url_for("domains.index")
    step = finding.where if finding.where in STEPS else "content"
    return "" if step == "review" else _address(campaign.public_id, step)


def _marks(session: Session, campaign: Campaign) -> dict[str, str]:
    """Return for each step whether what it asks for is there; the review judges the rest."""
    has_segments = bool(queries.list_segments(session, campaign.id, "include"))
    done_steps = {
        "setup": bool(campaign.sender_id and (campaign.topic_id or campaign.is_transactional)),
        "template": bool(campaign.design or campaign.mjml),
        "content": bool(campaign.subject.strip()),
        "recipients": has_segments,
        "review": False,
    }
    return {step: "ok" if is_done else "" for step, is_done in done_steps.items()}


def _read_step(session: Session, campaign: Campaign, step: str) -> tuple[dict[str, Any], dict[str, Any]]:
    match step:
        case "setup":
            return _read_setup(session), {}
        case "template":
            mjml = form_text("mjml")
            if form_text("copy"):
                mjml = next((one.mjml for one in list_designs(session) if one.name == form_text("design")), mjml)
            return {"design": form_text("design"), "mjml": mjml}, {}
        case "content":
            return _read_content(session, campaign, request.form), {}
        case _:
            ids = {str(one.id) for one in _list_pickable(session, campaign)}
            chosen = {
                mode: [int(text) for text in request.form.getlist(mode) if text in ids]
                for mode in ("include", "exclude")
            }
            return {}, chosen


def _read_setup(session: Session) -> dict[str, Any]:
    name = form_text("name")
    if not name:
        raise InputError(_("a campaign needs a name"), where="name")
    senders = {str(one.id): one.id for one in list_senders(session)}
    topics = {str(one.id): one.id for one in list_topics(session)}
    rate = form_text("rate_per_second")
    if rate and not rate.isdecimal():
        raise InputError(_("not a number"), where="rate_per_second")
    return {
        "name": name[:200],
        "sender_id": senders.get(form_text("sender_id")),
        "topic_id": topics.get(form_text("topic_id")),
        "track_opens": form_text("track_opens") == "1",
        "track_clicks": form_text("track_clicks") == "1",
        "keeps_quiet_hours": form_text("keeps_quiet_hours") == "1",
        "rate_per_second": int(rate) or None if rate else None,
    }


def _read_content(session: Session, campaign: Campaign, form: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {"subject": form_text("subject"), "preheader": form_text("preheader")}
    values["data"] = read_data(form, _edited_data(session, campaign))
    values["links"] = read_links(form, campaign.links)
    _check_fields(session, form)
    return values


def _check_fields(session: Session, form: Mapping[str, str]) -> None:
    """Raise InputError where an action sets a field to what does not suit it."""
    problems = []
    for name in [name for name in form if name.endswith(".kind") and form[name] == ActionKind.SET_FIELD]:
        row = name.removesuffix(".kind")
        if form.get(f"{row}.remove") == "1":
            continue
        try:
            read_value(session, find_field(session, form.get(f"{row}.field", "")), form.get(f"{row}.value", ""))
        except InputError as error:
            problems += [Problem(f"{row}.{one.where}", one.what, one.mend) for one in error.problems]
    if problems:
        raise InputError(problems)


def _read_added(text: str) -> tuple[int, str] | None:
    """Return the number of a link and the kind of the action that is to be added to it, out of `2:add_tag`."""
    number, _colon, kind = text.partition(":")
    return (int(number), kind) if number.isdecimal() and len(number) < 5 else None  # noqa: PLR2004 - an int


def _edited_data(session: Session, campaign: Campaign) -> dict[str, Any]:
    """Return the values of the template as they are edited; own MJML has no sample values."""
    design = None if campaign.mjml or not campaign.design else get_design_source(session, campaign.design)
    return overlay(design.data if design else {}, campaign.data)


def _next(step: str) -> str:
    return STEPS[STEPS.index(step) + 1]


def _id_of(public_id: uuid.UUID) -> int:
    with app_context().read() as session:
        return queries.get_by_public_id(session, public_id).id


def _address(public_id: uuid.UUID, step: str) -> str:
    return url_for("campaigns.edit", public_id=public_id, step=step)


def _key(line: CampaignLine) -> int:
    return line.campaign.id
