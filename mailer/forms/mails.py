"""The confirmation mail of a double opt-in: our words and the sender's name, nothing that a stranger typed.

All mails of one run and one form go as one sending of the class `confirmation`, so they have a ledger row, a gate and
retries like every other mail. The link is a keyed function of the message (delivery/build.py).
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.addresses import PROVIDERS, hash_address
from mailer.assets import read_template
from mailer.content.service import ContentSpec, freeze_content
from mailer.context import Context
from mailer.delivery import service as delivery
from mailer.delivery.claim import build_batch_row
from mailer.delivery.policy import SEND_UNTIL
from mailer.delivery.service import SendingSpec
from mailer.schema.delivery import Message
from mailer.schema.forms import Form, SignUp
from mailer.statuses import MessageState, SendingClass

_FOLDER = "email/confirmation"


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
    sending = delivery.create_sending(session, ctx, spec)
    batches = _add_batches(session, ctx, sending.id, letters)
    by_key = {_recipient_key(ctx, letter.email): letter for letter in letters}
    delivery.add_messages(
        session,
        [
            {
                "sending_id": sending.id,
                "contact_id": None,
                "address_id": letter.address_id,
                "to_address": letter.email,
                "recipient_key": key,
                "occurrence": 0,
                "batch_id": batches[_provider(letter.email)],
                "state": MessageState.QUEUED.value,
                "reason": "",
                "attempts": 0,
                "reply": "",
            }
            for key, letter in by_key.items()
        ],
    )
    rows = session.execute(select(Message.id, Message.recipient_key).where(Message.sending_id == sending.id))
    for message_id, key in rows:
        by_key[key].sign_up.message_id = message_id
    delivery.start_sending(session, ctx, sending.id)


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
