"""The mails of forms: the one that asks for confirmation, and the response to who is in by then.

A confirmation holds our words and the sender's name, nothing that a stranger typed.

All mails of one run and one form go as one sending of the class `confirmation`, so they have a ledger row, a gate and
retries like every other mail. The link is a keyed function of the message (delivery/build.py).
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.addresses import PROVIDERS, hash_address
from mailer.assets import read_template
from mailer.content.service import ContentSpec, freeze_content, get_design_source
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery import service as delivery
from mailer.delivery.claim import build_batch_row
from mailer.delivery.policy import SEND_UNTIL
from mailer.delivery.sendings import SendingSpec
from mailer.errors import ConflictError
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message
from mailer.schema.forms import Form, SignUp
from mailer.statuses import MessageState, SendingClass

_FOLDER = "email/confirmation"
_RESPONSE_DESIGN = "plain"


@dataclass(frozen=True)
class Letter:
    """A confirmation mail to be sent. `address_id`: whose suppressions the gate is to look at; None for nobody's."""

    sign_up: SignUp
    email: str
    address_id: int | None


def send_letters(session: Session, ctx: Context, form: Form, letters: Sequence[Letter]) -> None:
    """Add one sending with a message for each letter and write into each sign-up which message is its own."""
    if not letters or form.sender_id is None:
        return
    spec = SendingSpec(
        sending_class=SendingClass.CONFIRMATION,
        sender_id=form.sender_id,
        content_version_id=_ensure_version(session, ctx, form),
        send_until=ctx.clock.now() + SEND_UNTIL[SendingClass.CONFIRMATION],
        track_opens=False,
        track_clicks=False,
    )
    sending = sendings.create_sending(session, ctx, spec)
    batches = _add_batches(session, ctx, sending.id, letters)
    by_key = {_recipient_key(ctx, letter.email): letter for letter in letters}
    delivery.add_messages(
        session,
        [
            _message_row(sending.id, batches[_provider(letter.email)], key)
            | {"address_id": letter.address_id, "to_address": letter.email}
            for key, letter in by_key.items()
        ],
    )
    rows = session.execute(select(Message.id, Message.recipient_key).where(Message.sending_id == sending.id))
    for message_id, key in rows:
        by_key[key].sign_up.message_id = message_id
    sendings.start_sending(session, ctx, sending.id)


def _add_batches(session: Session, ctx: Context, sending_id: int, letters: Sequence[Letter]) -> Mapping[str, int]:
    """Add a batch for each mailbox provider among the letters, so that one that refuses holds up no other."""
    providers = sorted({_provider(letter.email) for letter in letters})
    now = ctx.clock.now()
    rows = [build_batch_row(sending_id, provider, n, not_before=now) for n, provider in enumerate(providers)]
    return dict(zip(providers, delivery.add_batches(session, rows), strict=True))


def _provider(email: str) -> str:
    return PROVIDERS.get(email.rpartition("@")[2], "other")


def _recipient_key(ctx: Context, email: str) -> int:
    return -int.from_bytes(hash_address(email, ctx.keys.suppression)[:7])


def _ensure_version(session: Session, ctx: Context, form: Form) -> int:
    """Return the frozen content of a form's mail; made anew where the template or the language is another."""
    spec, key = _read_content(str(form.look.get("language", "en")))
    if form.version_id is None or form.version_key != key:
        form.version_id, form.version_key = freeze_content(session, ctx, spec).id, key
    return form.version_id


def send_response(
    session: Session, ctx: Context, form: Form, contact: Contact, params: Mapping[str, Any]
) -> dict[str, Any]:
    """Queue the response mail of a form for a person who is in; return `params` with the content frozen by then.

    It answers what the person has just done, so it is transactional: no topic, no tracking, no unsubscribe link.

    Raises:
        InputError: the subject is no template.
        ConflictError: the form has no sender profile any more.
    """
    if form.sender_id is None:
        raise ConflictError("the form has no sender profile", mend="choose one")
    spec = response_content(session, params["subject"], params["text"])
    key = hashlib.blake2b(json.dumps([spec.mjml, spec.subject, params["text"]]).encode(), digest_size=32).hexdigest()
    frozen = params.get("version_id") if params.get("version_key") == key else None
    version_id = frozen or freeze_content(session, ctx, spec).id
    sending = sendings.create_sending(
        session,
        ctx,
        SendingSpec(
            sending_class=SendingClass.TRANSACTIONAL,
            sender_id=form.sender_id,
            content_version_id=version_id,
            send_until=ctx.clock.now() + SEND_UNTIL[SendingClass.TRANSACTIONAL],
            track_opens=False,
            track_clicks=False,
        ),
    )
    row = build_batch_row(sending.id, "other", 0, not_before=ctx.clock.now())
    (batch_id,) = delivery.add_batches(session, [row])
    message = _message_row(sending.id, batch_id, contact.id) | {
        "contact_id": contact.id, "address_id": contact.address_id,
    }  # fmt: skip
    delivery.add_messages(session, [message])
    sendings.start_sending(session, ctx, sending.id)
    return {**params, "version_id": version_id, "version_key": key}


def response_content(session: Session, subject: str, text: str) -> ContentSpec:
    """Return what a response mail is made of: the plain design, the subject a template, the text as it is."""
    design = get_design_source(session, _RESPONSE_DESIGN)
    return ContentSpec(mjml=design.mjml, subject=subject, name="response", data={"text": text}, is_marketing=False)


def _message_row(sending_id: int, batch_id: int, recipient_key: int) -> dict[str, object]:
    return {
        "sending_id": sending_id,
        "contact_id": None,
        "address_id": None,
        "to_address": None,
        "recipient_key": recipient_key,
        "occurrence": 0,
        "batch_id": batch_id,
        "state": MessageState.QUEUED.value,
        "reason": "",
        "attempts": 0,
        "reply": "",
    }


@cache
def _read_content(language: str) -> tuple[ContentSpec, str]:
    """Return what the mail is made of in a language, English where it has no words, and what names it."""
    texts = tomllib.loads(read_template(f"{_FOLDER}/texts.toml"))
    words = texts.get(language, texts["en"])
    mjml, subject = read_template(f"{_FOLDER}/mail.mjml"), read_template(f"{_FOLDER}/subject.txt").strip()
    named = json.dumps([mjml, subject, words], sort_keys=True).encode()
    spec = ContentSpec(
        mjml=mjml.replace('lang="en"', f'lang="{language}"', 1),
        subject=subject,
        preheader="",
        name="confirmation",
        data={"text": words},
        is_marketing=False,
    )
    return spec, hashlib.blake2b(named, digest_size=32).hexdigest()
