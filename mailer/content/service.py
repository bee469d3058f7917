"""Designs and frozen contents: what a campaign, a test mail and a preview are made of.

`prepare_content` is pure and slow (about 0.1 s); `freeze_content` writes what it returned, with links and actions.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.content.attachments import FileRef, attach_to_version
from mailer.content.check import Finding, Level, Prepared, find_problems
from mailer.content.compile import compile_mjml
from mailer.content.designs import DesignSource, find_starter, list_starters, sample_context
from mailer.content.link_actions import ASKS_FIRST, Action, read_action, read_end, read_form, read_page_text
from mailer.content.links import Link, add_pixel, fill_links, number_links
from mailer.content.placeholders import protect
from mailer.content.render import Renderer, RenderError, compile_renderer
from mailer.content.safety import check_template
from mailer.content.text import build_text
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError, Problem
from mailer.schema.content import ContentVersion, Design, LinkAction, TrackedLink
from mailer.statuses import LinkResponse
from mailer.workspace.queries import get_workspace

ACTIONS_END_AFTER = timedelta(days=90)
_CAMPAIGN_TOKEN = re.compile(r"\{\{-?\s*campaign\.(subject|preheader|name)\s*-?\}\}")


@dataclass(frozen=True)
class ContentSpec:
    """What a mail is made of. `links` is as in a campaign file: match, response, actions; `attachments` are stored."""

    mjml: str
    subject: str
    preheader: str = ""
    name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    links: tuple[Mapping[str, Any], ...] = ()
    is_marketing: bool = True
    attachments: tuple[FileRef, ...] = ()


@dataclass(frozen=True)
class LinkPlan:
    """A link of a campaign file, read: what it matches, how it answers, what it does."""

    match: str
    response: LinkResponse
    actions: tuple[Action, ...]
    ends_on: date | None = None
    is_repeated: bool = False
    text: str = ""
    form_id: int | None = None

    def fits(self, url: str) -> bool:
        """Whether this is about `url`; a `*` in the match stands for anything."""
        return url == self.match or fnmatchcase(url, self.match.replace("[", "[[]").replace("?", "[?]"))


def list_designs(session: Session) -> list[DesignSource]:
    """Return starters in gallery order, then own designs by name."""
    rows = session.scalars(select(Design).where(Design.archived_at.is_(None)).order_by(Design.name))
    return [*list_starters(), *(_source(row) for row in rows)]


def get_design_source(session: Session, name: str) -> DesignSource:
    """Return the own design or, where there is none of that name, the starter; NotFoundError for neither."""
    row = session.scalar(select(Design).where(Design.name == name, Design.archived_at.is_(None)))
    found = _source(row) if row else find_starter(name)
    if found is None:
        known = ", ".join(design.name for design in list_designs(session))
        raise NotFoundError(f"there is no design {name!r}", mend=f"designs: {known}")
    return found


def save_design(
    ctx: Context, name: str, mjml: str, *, description: str = "", data: Mapping[str, Any] | None = None
) -> int:
    """Store MJML as an own design, new or over the one of that name, and return its id.

    Raises:
        InputError: the MJML does not compile.
        ConflictError: the name is a starter's.
    """
    if find_starter(name):
        raise ConflictError(f"{name!r} is a starter", mend="choose another name")
    compile_mjml(mjml)
    now = utc_now()
    with ctx.write() as session:
        row = session.scalar(select(Design).where(Design.name == name))
        if row is None:
            row = Design(name=name, created_at=now)
            session.add(row)
        row.mjml, row.description, row.data, row.updated_at, row.archived_at = (
            mjml,
            description,
            dict(data or {}),
            now,
            None,
        )
        session.flush()
        return row.id


def prepare_content(spec: ContentSpec) -> Prepared:
    """Return the content as it would be frozen: compiled, links numbered, text made, every template checked.

    Raises:
        InputError: what is wrong with design, subject or preheader, by line and column.
    """
    return _prepare(spec.mjml, spec.subject, spec.preheader, spec.name, json.dumps(dict(spec.data), sort_keys=True))


@lru_cache(32)
def _prepare(mjml: str, subject: str, preheader: str, name: str, data_text: str) -> Prepared:
    data = json.loads(data_text)
    check_template(subject, "subject")
    check_template(preheader, "preheader")
    check_template(mjml)
    values = {"subject": _as_markup(subject), "preheader": _as_markup(preheader), "name": _as_markup(name)}
    source = _CAMPAIGN_TOKEN.sub(lambda match: values[match[1]], mjml)
    numbered = number_links(compile_mjml(fill_links(source, data)))
    return Prepared(
        subject=subject,
        preheader=preheader,
        html=add_pixel(numbered.html),
        text=build_text(numbered.html),
        urls=tuple(link.url for link in numbered.links),
        labels=tuple(_shown_label(link, data) for link in numbered.links),
        untracked=tuple(numbered.untracked),
    )


def _as_markup(template: str) -> str:
    """Return a text template as it may stand in MJML: its text escaped, its tokens as they are."""
    protected = protect(template)
    return protected.restore(protected.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _shown_label(link: Link, data: Mapping[str, Any]) -> str:
    try:
        return " ".join(Renderer("", link.label, "").text(data).split())[:200]
    except (RenderError, InputError):
        protected = protect(link.label)
        return " ".join(protected.pattern.sub("…", protected.text).split())


def check_content(spec: ContentSpec, samples: Iterable[Mapping[str, Any]] = ()) -> list[Finding]:
    """Return red and amber findings; never raises. `samples` are contexts of contacts without the campaign's data.

    A design that does not compile is one red finding `template` for each problem.
    """
    try:
        prepared = prepare_content(spec)
        plan_links(spec, prepared.urls)
    except InputError as error:
        return [Finding("template", Level.RED, problem.what, problem.where, problem.mend) for problem in error.problems]
    links = list(prepared.urls)
    contexts = ({**sample, "links": links, **spec.data} for sample in samples)
    return find_problems(prepared, contexts, is_marketing=spec.is_marketing)


def plan_links(spec: ContentSpec, urls: Iterable[str]) -> dict[str, LinkPlan]:
    """Return for each of `urls` that the campaign says something about what it says; the first match counts.

    Raises:
        InputError: an unknown response or action, or a match that no link of the design meets.
    """
    plans, problems = [], []
    for number, entry in enumerate(spec.links):
        try:
            plans.append(_read_plan(entry, f"links[{number}]"))
        except InputError as error:
            problems += error.problems
    urls = list(urls)
    for number, plan in enumerate(plans):
        if not any(plan.fits(url) for url in urls):
            mend = "links of the design: " + (", ".join(urls) or "none")
            problems.append(Problem(f"links[{number}].match", f"no link of the design is {plan.match}", mend))
    if problems:
        raise InputError(problems)
    return {url: plan for url in urls for plan in reversed(plans) if plan.fits(url)}


def _read_plan(entry: Mapping[str, Any], where: str) -> LinkPlan:
    unknown = set(entry) - {"match", "response", "form", "text", "actions", "ends_on", "each_time"}
    if unknown or not isinstance(entry.get("match"), str):
        raise InputError("a link has match, response, form, text, actions, ends_on and each_time", where=where)
    actions = tuple(read_action(action, f"{where}.actions[{n}]") for n, action in enumerate(entry.get("actions", ())))
    asks_first = any(kind in ASKS_FIRST for kind, _ in actions)
    usual = LinkResponse.FORM if entry.get("form") else LinkResponse.CONFIRM if asks_first else LinkResponse.REDIRECT
    response = entry.get("response") or usual
    if response not in list(LinkResponse):
        raise InputError(
            f"there is no response {response!r}", where=f"{where}.response", mend="use " + " or ".join(LinkResponse)
        )
    text = read_page_text(entry.get("text", ""), LinkResponse(response), f"{where}.text")
    ends_on = read_end(entry.get("ends_on"), f"{where}.ends_on")
    form_id = read_form(entry.get("form"), LinkResponse(response), f"{where}.form")
    return LinkPlan(
        entry["match"], LinkResponse(response), actions, ends_on, entry.get("each_time") is True, text, form_id
    )


def freeze_content(session: Session, ctx: Context, spec: ContentSpec) -> ContentVersion:
    """Write the content version with its tracked links and their actions, and return it; never changed afterwards.

    `params` of an action: {"segment_id": id} or {"segment": name}; a follow-up's are those of the campaign file.

    Raises:
        InputError: as `prepare_content` and `plan_links`.
    """
    prepared = prepare_content(spec)
    plans = plan_links(spec, prepared.urls)
    version = ContentVersion(
        content_hash=_content_hash(prepared),
        subject=prepared.subject,
        preheader=prepared.preheader,
        html=prepared.html,
        text=prepared.text,
        data=dict(spec.data),
        created_at=utc_now(),
    )
    session.add(version)
    session.flush()
    zone = ZoneInfo(get_workspace(session).timezone)
    for ordinal, (url, label) in enumerate(zip(prepared.urls, prepared.labels, strict=True)):
        plan = plans.get(url)
        _add_link(session, version.id, Place(ordinal, url, label), plan, _end_of(plan, ctx.clock.now(), zone))
    attach_to_version(session, version.id, spec.attachments)
    return version


@dataclass(frozen=True)
class Place:
    """Number, target and label of a link."""

    ordinal: int
    url: str
    label: str


def _end_of(plan: LinkPlan | None, now: datetime, zone: ZoneInfo) -> datetime:
    """Return when the actions of a link end: with the last day that was given, else after 90 days."""
    if plan is None or plan.ends_on is None:
        return now + ACTIONS_END_AFTER
    return datetime.combine(plan.ends_on + timedelta(days=1), time(), zone)


def _add_link(session: Session, version_id: int, place: Place, plan: LinkPlan | None, ends_at: datetime) -> None:
    response = plan.response if plan else LinkResponse.REDIRECT
    link = TrackedLink(
        content_version_id=version_id, ordinal=place.ordinal, url=place.url, label=place.label, response=response,
        page_text=plan.text if plan else "", form_id=plan.form_id if plan else None,
    )  # fmt: skip
    session.add(link)
    session.flush()
    for ordinal, (kind, params) in enumerate(plan.actions if plan else ()):
        session.add(
            LinkAction(
                tracked_link_id=link.id,
                ordinal=ordinal,
                kind=kind,
                params=params,
                is_repeated=plan.is_repeated if plan else False,
                ends_at=ends_at,
            )
        )
    session.flush()


def render_preview(
    spec: ContentSpec, context: Mapping[str, Any] | None = None, *, is_dark: bool = False
) -> tuple[str, str, str]:
    """Return subject, HTML and text as a contact would see them; `context` defaults to sample data of example.com.

    `is_dark` shows the rules for dark mode, since a frame does not pass that wish on.

    Raises:
        InputError: the content does not compile.
        RenderError: a value is missing.
    """
    prepared = prepare_content(spec)
    whole = {**(context or sample_context()), "links": list(prepared.urls), "pixel_url": "", **spec.data}
    renderer = compile_renderer(prepared.html, prepared.text, prepared.subject, prepared.preheader)
    html = renderer.html(whole)
    if is_dark:
        html = html.replace("@media (prefers-color-scheme: dark)", "@media all")
    return renderer.subject(whole), html, renderer.text(whole)


def _content_hash(prepared: Prepared) -> str:
    text = json.dumps([prepared.subject, prepared.preheader, prepared.html, prepared.text])
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def _source(row: Design) -> DesignSource:
    return DesignSource(row.name, row.name, row.description, row.mjml, is_starter=False, data=dict(row.data))
