"""Somebody submits a form: validate, count, keep a row, answer. The same work for every address.

Whatever depends on who it is, such as a suppression, a contact, an earlier sign-up, is the background work's
(handle.py), so neither the answer nor its time tells whether an address is known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from mailer.addresses import hash_address
from mailer.clock import utc_now
from mailer.context import Context
from mailer.forms import service
from mailer.forms.answers import Answers, Fault, Given, check_answers
from mailer.forms.known import Known
from mailer.forms.limits import LimiterAwayError, Verdict, note_refusal, take_turn
from mailer.forms.nonce import MAX_AGE, MIN_FILL, Nonce, make_nonce, read_nonce
from mailer.forms.queries import FormPage
from mailer.schema.forms import SignUp
from mailer.statuses import SignUpRefusal, SignUpStatus

_AGENT_LIMIT, _PAGE_LIMIT, _IP_LIMIT = 500, 300, 45
_ALIKE = frozenset({SignUpRefusal.HONEYPOT, SignUpRefusal.REPLAYED, SignUpRefusal.ADDRESS_LIMIT})
"""Refusals that get the answer of a sign-up that was taken."""


class Outcome(StrEnum):
    """What the page says: `thanks`, or the form again with a notice, or why it cannot be now."""

    THANKS = "thanks"
    FAULTS = "faults"
    LOOK_AGAIN = "look_again"
    TOO_QUICK = "too_quick"
    TOO_OLD = "too_old"
    TOO_MANY = "too_many"
    AWAY = "away"
    FOREIGN_SITE = "foreign_site"
    CLOSED = "closed"


@dataclass(frozen=True)
class Visitor:
    """Where a submission comes from; `page` is the origin that the browser names, empty for our own pages."""

    ip: str
    user_agent: str
    page: str = ""


@dataclass(frozen=True)
class Answer:
    """What came of a submission, and a nonce for the form where it is shown again."""

    outcome: Outcome
    faults: Sequence[Fault] = field(default_factory=tuple)
    nonce: str = ""


@dataclass(frozen=True)
class Submission:
    """What came in: the answers, the nonce, the field that only robots fill in, the visitor.

    `known`: who the mail went to by whose link the visitor came; without an address of their own theirs is meant.
    """

    given: Given
    nonce: str
    honeypot: str
    visitor: Visitor
    is_foreign: bool = False
    known: Known | None = None

    @property
    def meant(self) -> Given:
        """The answers with the address that they mean."""
        if self.known is None or self.given.email.strip():
            return self.given
        return replace(self.given, email=self.known.email)


def submit_form(ctx: Context, page: FormPage, submission: Submission) -> Answer:
    """Take a sign-up, or say why not; never raises for what a stranger typed."""
    if submission.is_foreign:
        return _refuse(ctx, page, SignUpRefusal.FOREIGN_SITE, Outcome.FOREIGN_SITE)
    if not page.is_open or page.wording is None:
        return _refuse(ctx, page, SignUpRefusal.CLOSED, Outcome.CLOSED)
    if submission.honeypot:
        return _refuse(ctx, page, SignUpRefusal.HONEYPOT, Outcome.THANKS)
    nonce = read_nonce(ctx.keys, submission.nonce, page.form.id, now=utc_now())
    answers = check_answers(submission.meant, page.questions, page.topic_ids)
    if isinstance(answers, list):
        return Answer(Outcome.FAULTS, answers, _again(ctx, page, nonce))
    if nonce is None:
        return Answer(Outcome.LOOK_AGAIN, (), _again(ctx, page, nonce))
    age = utc_now() - nonce.issued_at
    if age < MIN_FILL:
        return _refuse(ctx, page, SignUpRefusal.TOO_QUICK, Outcome.TOO_QUICK, _again(ctx, page, nonce))
    if age > MAX_AGE:
        return _refuse(ctx, page, SignUpRefusal.TOO_OLD, Outcome.TOO_OLD, _again(ctx, page, None))
    return _count_and_keep(ctx, page, submission, answers, nonce)


def _count_and_keep(ctx: Context, page: FormPage, submission: Submission, answers: Answers, nonce: Nonce) -> Answer:
    visitor = submission.visitor
    try:
        verdict = take_turn(
            ctx.redis, ctx.keys, page.form.id,
            serial=nonce.serial, address=answers.address, ip=visitor.ip, allowance=page.allowance,
        )  # fmt: skip
    except LimiterAwayError:
        return Answer(Outcome.AWAY, (), _again(ctx, page, nonce))
    if verdict.has_tripped:
        service.note_tripped(ctx, page.form.id)
    if verdict.refusal is not None:
        return _refuse(ctx, page, verdict.refusal, _outcome(verdict), _again(ctx, page, nonce))
    _keep(ctx, page, answers, submission)
    return Answer(Outcome.THANKS)


def _outcome(verdict: Verdict) -> Outcome:
    """A second press of the button is thanked like the first; another address on a page that was used is asked for."""
    if verdict.is_other:
        return Outcome.LOOK_AGAIN
    return Outcome.THANKS if verdict.refusal in _ALIKE else Outcome.TOO_MANY


def _keep(ctx: Context, page: FormPage, answers: Answers, submission: Submission) -> None:
    if page.wording is None:
        return
    visitor, known = submission.visitor, submission.known
    is_theirs = known is not None and known.email.casefold() == answers.address.email.casefold()
    row = SignUp(
        form_id=page.form.id,
        wording_id=page.wording.id,
        address_hash=hash_address(answers.address.email, ctx.keys.suppression),
        email=answers.address.email,
        data=dict(answers.data),
        topic_ids=list(answers.topic_ids),
        status=SignUpStatus.PENDING.value,
        ip=visitor.ip[:_IP_LIMIT],
        user_agent=_clean(visitor.user_agent)[:_AGENT_LIMIT],
        page=_clean(visitor.page)[:_PAGE_LIMIT],
        submitted_at=utc_now(),
        contact_id=known.contact_id if known is not None and is_theirs else None,
    )
    with ctx.write() as session:
        session.add(row)


def first_nonce(ctx: Context, page: FormPage) -> str:
    """Return the nonce of a form that is shown now."""
    return make_nonce(ctx.keys, page.form.id, utc_now())


def _again(ctx: Context, page: FormPage, nonce: Nonce | None) -> str:
    """Return a nonce for the form shown again: whoever took their time once need not take it twice."""
    now = utc_now()
    recent = nonce is not None and now - nonce.issued_at < MAX_AGE
    started = nonce.issued_at if nonce is not None and recent else now - MIN_FILL + timedelta(seconds=1)
    return make_nonce(ctx.keys, page.form.id, started)


def _refuse(ctx: Context, page: FormPage, reason: SignUpRefusal, outcome: Outcome, nonce: str = "") -> Answer:
    note_refusal(ctx.redis, page.form.id, reason)
    return Answer(outcome, (), nonce)


def _clean(text: str) -> str:
    return "".join(char for char in text if char.isprintable())
