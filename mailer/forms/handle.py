"""New sign-ups, some seconds after they came in: a mail to confirm, a contact at once, or nothing, with the reason.

Several workers may run this at the same time: rows are locked and passed over, and whatever was done is committed with
the mark that it was done.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.forms.facts import Known, claim_mail, load_known, lock_unhandled, why_not_taken
from mailer.forms.mails import Letter, send_letters
from mailer.forms.take import Proof, blank, take_in
from mailer.log import get_logger
from mailer.schema.forms import Form, SignUp
from mailer.statuses import SignUpRefusal, SignUpStatus

log = get_logger("forms")
VALID_FOR = timedelta(days=7)
_PAGE = 50
"""Sign-ups in one transaction: SQLite has one writer, who must not keep others waiting."""


def handle_sign_ups(ctx: Context) -> int:
    """Do what every sign-up that waits asks for and return how many were handled."""
    done = 0
    after = 0
    while groups := _list_waiting(ctx, after):
        for form_id, ids in groups.items():
            done += _handle(ctx, form_id, ids)
        after = max(number for ids in groups.values() for number in ids)
    if done:
        log.info("sign_ups_handled", count=done)
    return done


def _list_waiting(ctx: Context, after: int) -> dict[int, list[int]]:
    with ctx.read() as session:
        query = select(SignUp.form_id, SignUp.id).where(SignUp.handled_at.is_(None), SignUp.id > after)
        rows = session.execute(query.order_by(SignUp.id).limit(_PAGE)).all()
    groups: dict[int, list[int]] = {}
    for form_id, number in rows:
        groups.setdefault(form_id, []).append(number)
    return groups


def _handle(ctx: Context, form_id: int, ids: Sequence[int]) -> int:
    with ctx.write() as session:
        form = session.get_one(Form, form_id)
        rows = lock_unhandled(session, ids)
        known = load_known(session, (row.address_hash for row in rows))
        letters = []
        at_once = []
        for row in rows:
            facts = known[row.address_hash]
            if reason := why_not_taken(facts):
                _refuse(row, reason)
            elif form.is_double or facts.needs_proof:
                letters += _letter(session, ctx, row, facts)
            else:
                at_once.append(row.id)
        send_letters(session, ctx, form, letters)
    return len(rows) - len(at_once) + sum(_take_in_alone(ctx, number) for number in at_once)


def _letter(session: Session, ctx: Context, row: SignUp, known: Known) -> list[Letter]:
    if row.email is None or not claim_mail(session, row.address_hash, ctx.clock.now()):
        _refuse(row, SignUpRefusal.MAIL_LIMIT)
        return []
    row.handled_at, row.expires_at = utc_now(), ctx.clock.now() + VALID_FOR
    return [Letter(row, row.email, known.gate_address)]


def _refuse(row: SignUp, reason: SignUpRefusal) -> None:
    row.status, row.reason, row.handled_at = SignUpStatus.REFUSED.value, reason.value, utc_now()
    blank(row)


def _take_in_alone(ctx: Context, number: int) -> int:
    """Take in one person of a form with single opt-in, in a transaction of its own."""
    try:
        with ctx.write() as session:
            for row in lock_unhandled(session, [number]):
                row.handled_at = utc_now()
                take_in(session, ctx, row, Proof(is_double=False))
                return 1
    except IntegrityError:  # the same new address by another form at the same moment: the next tick finds its contact
        log.info("sign_up_put_off", sign_up_id=number)
    return 0
