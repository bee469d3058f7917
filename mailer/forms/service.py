"""Use-cases of forms for staff: create, change, open, close, archive. Each leaves an audit line.

Another wording is another version; the old ones stay, because people agreed to them word for word.
"""

import uuid
from collections.abc import Collection, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.campaigns.form_links import list_form_uses
from mailer.campaigns.windows import parse_local_time
from mailer.clock import utc_now
from mailer.consent.queries import find_topic, list_topics
from mailer.consent.wording import record_wording
from mailer.content.service import prepare_content
from mailer.context import Context
from mailer.errors import ConflictError, InputError, MailerError, Problem
from mailer.forms import queries
from mailer.forms.limits import release_breaker
from mailer.forms.mails import response_content
from mailer.forms.spec import RESPONSE, FormFile, read_site
from mailer.schema.forms import Form, FormWording
from mailer.segments import uses
from mailer.segments.members import require_static
from mailer.segments.queries import get_segment
from mailer.segments.visibility import require_visible
from mailer.statuses import ActionKind, FormState
from mailer.workspace.queries import find_sender, get_workspace, list_senders

LOOK_KEYS = ("title", "intro", "button", "thanks", "redirect", "privacy_url", "accent", "language")


def create_form(ctx: Context, spec: FormFile, *, by: int | None = None) -> Form:
    """Create a draft; InputError lists every name that is nothing here."""
    with ctx.write() as session:
        now = utc_now()
        form = Form(name=spec.name, state=FormState.DRAFT.value, created_by=by, created_at=now, updated_at=now)
        _apply(session, form, spec, by)
        session.add(form)
        session.flush()
        _record_uses(session, form)
        _write_wording(session, form, spec.wording, by)
        record_audit(session, "forms.create", by=by, subject=("form", form.id), detail={"name": form.name})
    return form


def update_form(ctx: Context, public_id: uuid.UUID, spec: FormFile, *, by: int | None = None) -> Form:
    """Change a form, open or not; what people agreed to so far stays as it was.

    Raises:
        InputError: a name that is nothing here, fewer places than are taken, or an open form would lack something.
    """
    with ctx.write() as session:
        form = _locked(session, public_id)
        _apply(session, form, spec, by)
        form.updated_at = utc_now()
        _record_uses(session, form)
        _write_wording(session, form, spec.wording, by)
        if form.state == FormState.OPEN and (problems := why_not_open(session, form)):
            raise InputError(problems)
        record_audit(session, "forms.update", by=by, subject=("form", form.id), detail={"name": form.name})
    return form


def open_form(ctx: Context, public_id: uuid.UUID, *, by: int | None = None) -> Form:
    """Let a form take sign-ups. Safe to repeat; InputError says everything it lacks."""
    with ctx.write() as session:
        form = _locked(session, public_id)
        if form.archived_at is not None:
            raise ConflictError("the form is archived", mend="bring it back first")
        if problems := why_not_open(session, form):
            raise InputError(problems)
        if form.state != FormState.OPEN:
            form.state = FormState.OPEN.value
            record_audit(session, "forms.open", by=by, subject=("form", form.id), detail={"name": form.name})
    return form


def close_form(ctx: Context, public_id: uuid.UUID, *, by: int | None = None) -> Form:
    """Take no more sign-ups; links that were mailed before still confirm. Safe to repeat."""
    with ctx.write() as session:
        form = _locked(session, public_id)
        if form.state != FormState.CLOSED:
            form.state = FormState.CLOSED.value
            record_audit(session, "forms.close", by=by, subject=("form", form.id), detail={"name": form.name})
    return form


def archive_form(ctx: Context, public_id: uuid.UUID, *, is_archived: bool, by: int | None = None) -> Form:
    """Put a form out of sight, closed, or bring it back; nothing of it is lost.

    Raises:
        ConflictError: links of campaigns that have not ended open it; names them.
    """
    with ctx.write() as session:
        form = _locked(session, public_id)
        if is_archived and (names := [use.name for use in list_form_uses(session, form) if use.is_active]):
            mend = "let their links answer in another way, or wait for their end"
            raise ConflictError(f"links of campaigns open this form: {', '.join(names)}", mend=mend)
        form.archived_at = utc_now() if is_archived else None
        _record_uses(session, form)
        if is_archived and form.state == FormState.OPEN:
            form.state = FormState.CLOSED.value
        action = "forms.archive" if is_archived else "forms.unarchive"
        record_audit(session, action, by=by, subject=("form", form.id), detail={"name": form.name})
    return form


def why_not_open(session: Session, form: Form) -> list[Problem]:
    """Return everything that a form lacks before strangers may see it."""
    wording = queries.find_wording(session, form.id)
    problems = []
    if form.sender_id is None:
        problems.append(Problem("sender", "the confirmation mail needs a sender profile", "choose one"))
    if not queries.list_offered(session, form):
        problems.append(Problem("topics", "a form offers at least one topic", "choose what people get"))
    if wording is None or not wording.text:
        problems.append(Problem("wording", "people must read what they agree to", "write it in one or two sentences"))
    return problems


def note_tripped(ctx: Context, form_id: int) -> None:
    """Write down that the breaker of a form went off, for staff to see."""
    with ctx.write() as session:
        session.execute(update(Form).where(Form.id == form_id).values(tripped_at=utc_now()))
        record_audit(session, "forms.trip_breaker", actor="system", subject=("form", form_id))


def release_form(ctx: Context, public_id: uuid.UUID, *, by: int | None = None) -> None:
    """Let a form that rests take sign-ups again; LimiterAwayError without Redis."""
    with ctx.write() as session:
        form = _locked(session, public_id)
        release_breaker(ctx.redis, form.id)
        form.tripped_at = None
        record_audit(session, "forms.release_breaker", by=by, subject=("form", form.id))


def describe_form(session: Session, form: Form) -> dict[str, Any]:
    """Return a form in the keys of a form file: what `create_form` would make it of."""
    wording = queries.find_wording(session, form.id)
    zone = get_workspace(session).timezone
    closes_at = form.closes_at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") if form.closes_at else ""
    return {
        "name": form.name,
        "sender": queries.find_sender_name(session, form),
        "double_opt_in": form.is_double,
        "topics": [topic.name for topic in queries.list_offered(session, form)],
        "wording": wording.text if wording else "",
        "fields": [dict(line) for line in form.fields],
        **{key: form.look.get(key, "") for key in LOOK_KEYS},
        "sites": list(form.sites),
        "actions": [_described(action) for action in form.actions],
        "closes_at": closes_at,
        "closes_after": form.closes_after,
    }


def _locked(session: Session, public_id: uuid.UUID) -> Form:
    form = queries.get_form(session, public_id)
    return session.get_one(Form, form.id, with_for_update=True, populate_existing=True)


def _apply(session: Session, form: Form, spec: FormFile, by: int | None) -> None:
    """Write a spec into a form, names as ids; InputError lists every name that is nothing here."""
    with session.no_autoflush:  # nothing is written before all of it was judged
        problems = _fill(session, form, spec, by)
    if problems:
        raise InputError(problems)


def _fill(session: Session, form: Form, spec: FormFile, by: int | None) -> list[Problem]:
    problems: list[Problem] = []
    form.name, form.is_double = spec.name, spec.double_opt_in
    form.sender_id = _sender_id(session, spec, problems)
    form.topic_ids = _topic_ids(session, spec, problems)
    form.fields = _fields(session, spec, problems)
    form.look = {key: getattr(spec, key) for key in LOOK_KEYS}
    form.sites = list(dict.fromkeys(site for text in spec.sites if (site := read_site(text))))
    kept = {action["params"].get("segment_id") for action in form.actions or ()}
    form.actions = [_action(session, action, problems, by=by, kept=kept) for action in spec.actions]
    form.closes_after = spec.closes_after
    if spec.closes_after is not None and spec.closes_after < (form.confirmed_count or 0):
        problems.append(Problem("closes_after", f"{form.confirmed_count} have already signed up"))
    try:
        zone = get_workspace(session).timezone
        form.closes_at = parse_local_time(spec.closes_at, zone).at if spec.closes_at else None
    except InputError as error:
        problems += [Problem("closes_at", problem.what, problem.mend) for problem in error.problems]
    return problems


def _sender_id(session: Session, spec: FormFile, problems: list[Problem]) -> int | None:
    if not spec.sender:
        return None
    sender = find_sender(session, spec.sender)
    if sender is None:
        known = ", ".join(each.name for each in list_senders(session)) or "none yet"
        problems.append(Problem("sender", f"no sender profile is called {spec.sender!r}", f"profiles: {known}"))
    return sender.id if sender else None


def _topic_ids(session: Session, spec: FormFile, problems: list[Problem]) -> list[int]:
    found = []
    for name in dict.fromkeys(spec.topics):
        topic = find_topic(session, name)
        if topic is None or topic.archived_at is not None:
            known = ", ".join(each.name for each in list_topics(session)) or "none yet"
            problems.append(Problem("topics", f"no topic is called {name!r}", f"topics: {known}"))
        else:
            found.append(topic.id)
    return found


def _fields(session: Session, spec: FormFile, problems: list[Problem]) -> list[Any]:
    known = {question.key for question in queries.list_askable(session)}
    problems += [
        Problem("fields", f"a form cannot ask for {line.field!r}", "fields: " + ", ".join(sorted(known)))
        for line in spec.fields
        if line.field not in known
    ]
    return [line.model_dump() for line in spec.fields]


def _action(
    session: Session,
    action: Mapping[str, Any],
    problems: list[Problem],
    *,
    by: int | None,
    kept: Collection[int | None],
) -> dict[str, Any]:
    """Return an action with its segment as id; one that was there before may be private to somebody else."""
    ((kind, value),) = action.items()
    if kind == RESPONSE:
        try:
            prepare_content(response_content(session, value["subject"], value["text"]))
        except InputError as error:
            problems += [Problem("actions", f"response mail: {found.what}", found.mend) for found in error.problems]
        return {"kind": RESPONSE, "params": dict(value)}
    if kind != ActionKind.ADD_TO_SEGMENT:
        return {"kind": ActionKind.FOLLOW_UP.value, "params": dict(value)}
    try:
        segment = require_static(session, get_segment(session, value).id)
        if segment.id not in kept:
            require_visible(session, [segment], by)
    except MailerError as error:
        problems.append(Problem("actions", error.message, error.mend))
        return {}
    return {"kind": ActionKind.ADD_TO_SEGMENT.value, "params": {"segment_id": segment.id}}


def _record_uses(session: Session, form: Form) -> None:
    """Keep the segments that the form adds to from being deleted under it."""
    segments = {action["params"]["segment_id"] for action in form.actions if "segment_id" in action["params"]}
    uses.record_uses(session, segments if form.archived_at is None else (), "form", form.id)


def _described(action: Mapping[str, Any]) -> dict[str, Any]:
    if action["kind"] == RESPONSE:
        return {RESPONSE: {key: action["params"][key] for key in ("subject", "text")}}
    if action["kind"] != ActionKind.ADD_TO_SEGMENT:
        return {ActionKind.FOLLOW_UP.value: dict(action["params"])}
    return {ActionKind.ADD_TO_SEGMENT.value: action["params"]["segment_id"]}


def _write_wording(session: Session, form: Form, text: str, by: int | None) -> None:
    """Keep the wording as a new version where it differs from the one in use."""
    newest = queries.find_wording(session, form.id)
    if not text or (newest is not None and newest.text == text):
        return
    version = (session.scalar(select(func.max(FormWording.version)).where(FormWording.form_id == form.id)) or 0) + 1
    session.add(FormWording(form_id=form.id, version=version, text=text, created_by=by, created_at=utc_now()))
    session.flush()
    record_wording(session, wording_word(form.id, version), text)


def wording_word(form_id: int, version: int) -> str:
    """Return the word by which the ledger knows a wording."""
    return f"form-{form_id}-v{version}"
