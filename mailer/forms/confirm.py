"""The link in the confirmation mail: a page with one button, and the press of it. The signed token is all there is.

Reading changes nothing, because scanners fetch links; pressing works once, for seven days. The row is locked while it
is pressed, so that of two presses at the same moment one confirms and the other is told that it is done.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mailer.addresses import mask_address
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import UntrustedRequestError
from mailer.forms.submit import Visitor
from mailer.forms.take import Proof, take_in
from mailer.schema.forms import Form, SignUp
from mailer.schema.workspace import Workspace
from mailer.statuses import SignUpRefusal, SignUpStatus
from mailer.tokens import CONFIRM, read_track_token


class Standing(StrEnum):
    """Where a link stands."""

    ASKS = "asks"
    DONE = "done"
    ALREADY = "already"
    LATE = "late"
    FULL = "full"


@dataclass(frozen=True)
class Confirmation:
    """What the page of a link shows; `masked` only while it asks."""

    standing: Standing
    workspace: str = ""
    form: Form | None = None
    masked: str = ""
    look: dict[str, Any] = field(default_factory=dict)


def read_confirmation(ctx: Context, token: str) -> Confirmation:
    """Return what a link asks or says; changes nothing. UntrustedRequestError where it is none of ours."""
    message_id = _read(ctx, token)
    with ctx.read() as session:
        row = session.scalar(select(SignUp).where(SignUp.message_id == message_id))
        return _shown(session, row, _standing(row, ctx.clock.now()))


def confirm(ctx: Context, token: str, visitor: Visitor) -> Confirmation:
    """Confirm a sign-up. Safe to repeat; UntrustedRequestError where the link is none of ours."""
    message_id = _read(ctx, token)
    try:
        return _confirm(ctx, message_id, visitor)
    except IntegrityError:  # the same new address was taken in by another form at this very moment
        return _confirm(ctx, message_id, visitor)


def _confirm(ctx: Context, message_id: int, visitor: Visitor) -> Confirmation:
    with ctx.write() as session:
        row = session.scalar(select(SignUp).where(SignUp.message_id == message_id).with_for_update())
        standing = _standing(row, ctx.clock.now())
        if row is not None and standing is Standing.ASKS:
            proof = Proof(is_double=True, at=utc_now(), ip=visitor.ip, user_agent=visitor.user_agent[:500])
            standing = Standing.DONE if take_in(session, ctx, row, proof) else Standing.FULL
        return _shown(session, row, standing)


def _read(ctx: Context, token: str) -> int:
    read = read_track_token(ctx.keys, token)
    if read.kind != CONFIRM:
        raise UntrustedRequestError("not one of our tokens")
    return read.message_id


def _standing(row: SignUp | None, now: datetime) -> Standing:
    if row is None:
        return Standing.LATE
    if row.status == SignUpStatus.CONFIRMED or row.reason == SignUpRefusal.REPEATED:
        return Standing.ALREADY
    if row.reason == SignUpRefusal.FULL:
        return Standing.FULL
    is_waiting = row.status == SignUpStatus.PENDING and row.email is not None
    return Standing.ASKS if is_waiting and row.expires_at is not None and now < row.expires_at else Standing.LATE


def _shown(session: Session, row: SignUp | None, standing: Standing) -> Confirmation:
    form = session.get(Form, row.form_id) if row else None
    masked = mask_address(row.email) if row and row.email and standing is Standing.ASKS else ""
    name = session.scalar(select(Workspace.name)) or ""
    return Confirmation(standing, name, form, masked, dict(form.look) if form else {})
