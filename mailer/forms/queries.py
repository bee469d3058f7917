"""Reads of forms and sign-ups. Never commits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.consent.queries import list_topics
from mailer.contacts.queries import list_fields
from mailer.errors import NotFoundError
from mailer.forms.answers import ASKED_TYPES, PLAIN_LIMITS, Question
from mailer.forms.limits import REST_SECONDS, Allowance
from mailer.schema.consent import Topic
from mailer.schema.contacts import Address, Contact
from mailer.schema.forms import Form, FormRefusal, FormWording, SignUp
from mailer.schema.workspace import Sender
from mailer.statuses import FieldType, SignUpRefusal, SignUpStatus
from mailer.workspace.limits import limit_value
from mailer.workspace.queries import get_workspace


@dataclass(frozen=True)
class TopicLine:
    """A topic that a form offers."""

    id: int
    name: str
    description: str


@dataclass(frozen=True)
class FormPage:
    """All that the public page of a form needs, read in one go. `is_open`: sign-ups are taken now."""

    form: Form
    wording: FormWording | None
    questions: Sequence[Question]
    topics: Sequence[TopicLine]
    workspace: str
    allowance: Allowance
    is_open: bool

    @property
    def look(self) -> dict[str, Any]:
        """The texts and colors."""
        return self.form.look

    @property
    def topic_ids(self) -> list[int]:
        """Ids of the topics offered."""
        return [topic.id for topic in self.topics]


def find_form(session: Session, public_id: uuid.UUID) -> Form | None:
    """Return a form by the id in its address, archived ones too."""
    return session.scalar(select(Form).where(Form.public_id == public_id))


def get_form(session: Session, public_id: uuid.UUID) -> Form:
    """Return a form or raise NotFoundError."""
    form = find_form(session, public_id)
    if form is None:
        raise NotFoundError("no such form")
    return form


def get_form_by_id(session: Session, form_id: int) -> Form:
    """Return a form by its number or raise NotFoundError."""
    form = session.get(Form, form_id)
    if form is None:
        raise NotFoundError(f"there is no form with the id {form_id}", mend="mailer forms list")
    return form


def load_page(session: Session, form: Form, now: datetime) -> FormPage:
    """Return what the page of a form shows at the business time `now`."""
    workspace = get_workspace(session)
    allowance = {name: int(limit_value(workspace.limits, f"signup_{name}")) for name in Allowance.__annotations__}
    return FormPage(
        form=form,
        wording=find_wording(session, form.id),
        questions=list_questions(session, form),
        topics=list_offered(session, form),
        workspace=workspace.name,
        allowance=Allowance(**allowance),
        is_open=form.is_open_at(now),
    )


def find_wording(session: Session, form_id: int) -> FormWording | None:
    """Return the wording in use: the newest."""
    query = select(FormWording).where(FormWording.form_id == form_id).order_by(FormWording.version.desc()).limit(1)
    return session.scalar(query)


def list_wordings(session: Session, form_id: int) -> Sequence[FormWording]:
    """Return every wording of a form, newest first."""
    query = select(FormWording).where(FormWording.form_id == form_id).order_by(FormWording.version.desc())
    return session.scalars(query).all()


def list_offered(session: Session, form: Form) -> list[TopicLine]:
    """Return the topics of a form that are in use, in the form's order."""
    rows = session.scalars(select(Topic).where(Topic.id.in_(form.topic_ids), Topic.archived_at.is_(None)))
    topics = {topic.id: TopicLine(topic.id, topic.name, topic.description) for topic in rows}
    return [topics[number] for number in form.topic_ids if number in topics]


def list_questions(session: Session, form: Form) -> list[Question]:
    """Return what a form asks for; an own field that is archived by now is left out."""
    known = {question.key: question for question in list_askable(session)}
    asked = []
    for line in form.fields:
        if base := known.get(line["field"]):
            label, required = line.get("label") or base.label, bool(line.get("required"))
            is_filled_in = line.get("prefill") is True
            asked.append(Question(base.key, label, base.type, required, base.limit, base.choices, is_filled_in))
    return asked


def list_askable(session: Session) -> list[Question]:
    """Return every contact field that a form may ask for, own ones too, with the label as staff know it."""
    plain = [
        Question(key, key.replace("_", " ").capitalize(), FieldType.TEXT, is_required=False, limit=limit)
        for key, limit in PLAIN_LIMITS.items()
    ]
    own = [
        Question(row.key, row.label, FieldType(row.type), is_required=False, choices=tuple(row.choices))
        for row in list_fields(session)
        if row.type in ASKED_TYPES
    ]
    return plain + own


# ------------------------------------------------------------------ lists and numbers


@dataclass(frozen=True)
class Numbers:
    """What came of a form's sign-ups."""

    submitted: int = 0
    waiting: int = 0
    confirmed: int = 0
    expired: int = 0
    refused: int = 0


@dataclass(frozen=True)
class FormLine:
    """A form as lists show it."""

    form: Form
    numbers: Numbers
    is_open: bool


def list_forms(
    session: Session, now: datetime, *, archived: bool = False, before_id: int | None = None, limit: int = 50
) -> list[FormLine]:
    """Return forms with their numbers, newest first, in keyset pages."""
    query = select(Form).order_by(Form.id.desc()).limit(limit)
    query = query.where(Form.archived_at.is_not(None) if archived else Form.archived_at.is_(None))
    if before_id is not None:
        query = query.where(Form.id < before_id)
    forms = session.scalars(query).all()
    numbers = count_numbers(session, [form.id for form in forms])
    return [FormLine(form, numbers.get(form.id, Numbers()), form.is_open_at(now)) for form in forms]


def count_numbers(session: Session, form_ids: Sequence[int]) -> dict[int, Numbers]:
    """Return the numbers of forms by id; who was turned away at the door counts as submitted and refused."""
    found: dict[int, dict[str, int]] = {}
    rows = session.execute(
        select(SignUp.form_id, SignUp.status, func.count())
        .where(SignUp.form_id.in_(form_ids))
        .group_by(SignUp.form_id, SignUp.status)
    )
    for form_id, status, count in rows:
        found.setdefault(form_id, {})[status] = count
    doors = select(FormRefusal.form_id, FormRefusal.reason, func.sum(FormRefusal.count))
    doors = doors.where(FormRefusal.form_id.in_(form_ids)).group_by(FormRefusal.form_id, FormRefusal.reason)
    for form_id, reason, count in session.execute(doors):
        states = found.setdefault(form_id, {})
        status = SignUpStatus.EXPIRED if reason == SignUpRefusal.UNCONFIRMED else SignUpStatus.REFUSED
        states[status] = states.get(status, 0) + int(count)
    return {
        form_id: Numbers(
            submitted=sum(states.values()),
            waiting=states.get(SignUpStatus.PENDING, 0),
            confirmed=states.get(SignUpStatus.CONFIRMED, 0),
            expired=states.get(SignUpStatus.EXPIRED, 0),
            refused=states.get(SignUpStatus.REFUSED, 0),
        )
        for form_id, states in found.items()
    }


def count_refusals(session: Session, form_id: int) -> dict[str, int]:
    """Return how many were turned away at the door and how many refused later, by reason, most first."""
    counts: dict[str, int] = {}
    doors = select(FormRefusal.reason, func.sum(FormRefusal.count)).where(
        FormRefusal.form_id == form_id, FormRefusal.reason != SignUpRefusal.UNCONFIRMED.value
    )
    later = select(SignUp.reason, func.count()).where(
        SignUp.form_id == form_id, SignUp.status == SignUpStatus.REFUSED.value
    )
    for query in (doors.group_by(FormRefusal.reason), later.group_by(SignUp.reason)):
        for reason, count in session.execute(query):
            counts[reason] = counts.get(reason, 0) + int(count)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class SignUpLine:
    """A sign-up as lists show it; the contact where there is one by now."""

    sign_up: SignUp
    email: str | None
    contact: uuid.UUID | None


def list_sign_ups(
    session: Session, form_id: int, *, status: str = "", before_id: int | None = None, limit: int = 50
) -> list[SignUpLine]:
    """Return sign-ups of a form, newest first, in keyset pages."""
    query = (
        select(SignUp, Address.email, Contact.public_id)
        .outerjoin(Contact, Contact.id == SignUp.contact_id)
        .outerjoin(Address, Address.id == Contact.address_id)
        .where(SignUp.form_id == form_id)
        .order_by(SignUp.id.desc())
        .limit(limit)
    )
    if status:
        query = query.where(SignUp.status == status)
    if before_id is not None:
        query = query.where(SignUp.id < before_id)
    return [SignUpLine(row, row.email or email, contact) for row, email, contact in session.execute(query)]


def find_sender_name(session: Session, form: Form) -> str:
    """Return the name of the sender profile of a form; empty where none is chosen."""
    return (session.scalar(select(Sender.name).where(Sender.id == form.sender_id)) or "") if form.sender_id else ""


def list_topic_names(session: Session) -> list[TopicLine]:
    """Return the topics that a form may offer."""
    return [TopicLine(topic.id, topic.name, topic.description) for topic in list_topics(session)]


def list_tripped(session: Session, now: datetime) -> Sequence[Form]:
    """Return forms whose breaker went off less than a rest ago; `now` is real time."""
    rows = session.scalars(select(Form).where(Form.tripped_at.is_not(None)).order_by(Form.tripped_at.desc()))
    return [form for form in rows if is_resting(form, now)]


def is_resting(form: Form, now: datetime) -> bool:
    """Return whether a form rests because its breaker went off."""
    return form.tripped_at is not None and (now - form.tripped_at).total_seconds() < REST_SECONDS
