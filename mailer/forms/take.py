"""A person is taken in: contact, permission with its evidence, topics, actions. Inside the caller's transaction.

The evidence says what was agreed to, when, where and from where; it goes to the ledger's evidence table, and this
room keeps nothing of the person afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from mailer.actions.verbs import Verb, perform_verb
from mailer.addresses import check_address
from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.consent.comeback import lift_for_person
from mailer.consent.service import Cause
from mailer.contacts.people import take_in_person
from mailer.context import Context
from mailer.delivery.forget import forget_recipients
from mailer.errors import MailerError
from mailer.forms.mails import send_response
from mailer.forms.service import wording_word
from mailer.forms.spec import RESPONSE
from mailer.log import get_logger
from mailer.schema.consent import Topic
from mailer.schema.contacts import Contact
from mailer.schema.forms import Form, FormWording, SignUp, SignUpAddress
from mailer.statuses import ActionKind, Basis, Permission, SignUpRefusal, SignUpStatus

log = get_logger("forms")


@dataclass(frozen=True)
class Proof:
    """What proves that the person meant it: with double opt-in, the press of the button in the mailbox's mail."""

    is_double: bool
    at: datetime | None = None
    ip: str = ""
    user_agent: str = ""


def take_in(session: Session, ctx: Context, row: SignUp, proof: Proof) -> bool:
    """Make a locked, pending sign-up a contact with permission; False where the places are taken, which is noted.

    Only a proof from the mailbox ends what suppresses the address (FEATURES C10).
    """
    if not _claim_place(session, row.form_id):
        row.status, row.reason = SignUpStatus.REFUSED.value, SignUpRefusal.FULL.value
        blank(row)
        return False
    form = session.get_one(Form, row.form_id, populate_existing=True)  # as it is now that its row is ours
    contact = take_in_person(
        session,
        ctx,
        check_address(row.email or ""),
        row.data,
        language=str(form.look.get("language", "")),
        contact_id=row.contact_id,
    )
    cause = _cause(session, form, row, proof)
    topic_ids = session.scalars(select(Topic.id).where(Topic.id.in_(row.topic_ids), Topic.archived_at.is_(None))).all()
    if proof.is_double:
        lift_for_person(session, row.address_hash, topic_ids)
    consent.give_permission(session, contact, Permission.CONSENT, cause, basis=Basis.CONSENT)
    for topic_id in topic_ids:
        consent.subscribe(session, contact, topic_id, cause)
    _settle(session, row, contact)
    session.flush()
    forget_recipients(session, [row.message_id] if row.message_id is not None else [])
    row.note = _act(session, ctx, form, contact)
    return True


def blank(row: SignUp) -> None:
    """Forget who it was: the address stays as a keyed hash only."""
    row.email, row.data, row.ip, row.user_agent, row.page, row.contact_id = None, {}, "", "", "", None


def _claim_place(session: Session, form_id: int) -> bool:
    """Take one of the places that a form may have; the same statement looks and counts."""
    claimed = session.execute(
        update(Form)
        .where(Form.id == form_id, or_(Form.closes_after.is_(None), Form.confirmed_count < Form.closes_after))
        .values(confirmed_count=Form.confirmed_count + 1)
        .execution_options(synchronize_session=False)
    )
    return bool(claimed.rowcount)  # type: ignore[attr-defined]


def _settle(session: Session, row: SignUp, contact: Contact) -> None:
    """Mark the sign-up confirmed; others of the same person on this form are settled by it."""
    blank(row)
    row.status, row.reason, row.confirmed_at, row.contact_id = SignUpStatus.CONFIRMED.value, "", utc_now(), contact.id
    session.flush()
    twins = (
        SignUp.form_id == row.form_id,
        SignUp.address_hash == row.address_hash,
        SignUp.status == SignUpStatus.PENDING.value,
        SignUp.id != row.id,
    )
    values: Mapping[str, Any] = {"email": None, "data": {}, "ip": "", "user_agent": "", "page": "", "contact_id": None}
    session.execute(
        update(SignUp)
        .where(*twins)
        .values(status=SignUpStatus.REFUSED.value, reason=SignUpRefusal.REPEATED.value, handled_at=utc_now(), **values)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(SignUpAddress)
        .where(SignUpAddress.address_hash == row.address_hash)
        .values(mails=0)
        .execution_options(synchronize_session=False)
    )


def _cause(session: Session, form: Form, row: SignUp, proof: Proof) -> Cause:
    wording = session.get_one(FormWording, row.wording_id)
    evidence = {
        "form": form.name,
        "form_id": str(form.public_id),
        "wording": wording.text,
        "submitted_at": row.submitted_at.isoformat(),
        "submitted_ip": row.ip,
        "submitted_user_agent": row.user_agent,
        "submitted_from": row.page,
        "opt_in": "double" if proof.is_double else "single",
    }
    if proof.at is not None:
        evidence |= {
            "confirmed_at": proof.at.isoformat(),
            "confirmed_ip": proof.ip,
            "confirmed_user_agent": proof.user_agent,
        }
    return Cause(
        source=f"form {form.name}",
        channel="form",
        message_id=row.message_id,
        wording_version=wording_word(form.id, wording.version),
        evidence=evidence,
    )


def _act(session: Session, ctx: Context, form: Form, contact: Contact) -> str:
    """Do what the form asks for; one that cannot be done costs nobody their sign-up. Returns what could not."""
    failed = []
    for number, action in enumerate(list(form.actions)):
        try:
            with session.begin_nested():
                _do(session, ctx, form, contact, number, action)
        except MailerError as error:
            failed.append(f"{action['kind']}: {error.message}")
            log.warning("form_action_refused", form_id=form.id, kind=action["kind"], error=type(error).__name__)
    return "; ".join(failed)


def _do(session: Session, ctx: Context, form: Form, contact: Contact, number: int, action: Mapping[str, Any]) -> None:
    if action["kind"] == RESPONSE:
        params = send_response(session, ctx, form, contact, action["params"])
        if params != action["params"]:  # frozen once for all who come later
            form.actions = [{**each, "params": params} if each is action else each for each in form.actions]
        return
    key = f"form:{form.id}:{number}:{contact.id}"
    verb = Verb(ActionKind(action["kind"]), action["params"], f"form:{form.id}", key)
    perform_verb(session, ctx, verb, contact.id)
