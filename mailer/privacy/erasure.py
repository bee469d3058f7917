"""Erasure of a person (GDPR, article 17): the address is closed at once, the rest follows step by step.

The first transaction takes the lock of the address like a withdrawal (DESIGN: the gate), so no mail passes after it;
it leaves an `erasure` row that says which step comes next and, sealed, whom to look for. Every step is safe to repeat:
whatever is killed when, the background job goes on where it stopped.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.consent.service import lock_addresses, suppress
from mailer.context import Context
from mailer.errors import ConflictError
from mailer.privacy import queries
from mailer.privacy.cache import clean_cache
from mailer.privacy.compact import compact
from mailer.privacy.files import clean_catcher, clean_logs, clean_refusals, clean_spool, clean_uploads
from mailer.privacy.jobs import ERASE
from mailer.privacy.mailtext import is_in_mail
from mailer.privacy.person import Person, read_person
from mailer.privacy.register import Phase, get_table, of_phase
from mailer.privacy.rows import count_rows, is_of
from mailer.privacy.wiping import (
    blank_reports,
    clean_texts,
    erasing,
    has_message_under_way,
    select_loose_reports,
    skip_waiting,
    wipe,
    wipe_messages,
    wipe_rows,
)
from mailer.schema.consent import ConsentEvidence
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Event
from mailer.schema.forms import SignUp
from mailer.schema.privacy import Erasure, SubjectRequest
from mailer.sealing import seal, unseal
from mailer.statuses import ErasureStatus, EventKind, RequestStatus, SuppressionReason

LEASE = timedelta(minutes=5)
MENTIONED = ": mentioned"
"""Marks the counts of rows of others in which the person stood."""
_LAST = ("contact", "address")
"""Blanked after everything that is found through them."""


@dataclass(frozen=True)
class Preview:
    """What an erasure would take: contacts by name, rows by table; `running` where one is under way."""

    person: Person
    contacts: list[queries.ContactName]
    rows: Mapping[str, int]
    running: Erasure | None = None

    @property
    def confirmation(self) -> str:
        """What must be typed to confirm: the address, else the name, else the number; never nothing."""
        name = next((one.name for one in self.contacts if one.name), "")
        numbers = " ".join(map(str, self.person.contact_ids))
        return next(iter(self.person.emails), "") or name or f"contact {numbers}".strip()


@dataclass(frozen=True)
class Done:
    """What a step came to: the person with new traces, rows by table, and why it is not over yet."""

    person: Person
    counts: Mapping[str, int] = field(default_factory=dict)
    waits_for: str = ""


def preview_erasure(session: Session, person: Person) -> Preview:
    """Return what an erasure of `person` would take. Writes nothing."""
    running = queries.find_running(session, person.hashes)
    return Preview(person, queries.list_names(session, person), count_rows(session, person), running)


def erase_person(ctx: Context, person: Person, *, by: int | None = None) -> Erasure:
    """Close the address, then erase as far as that is possible now; the background job does the rest.

    An erasure of the same person that is under way goes on. The row that is returned says how far it came.
    """
    return advance(ctx, start_erasure(ctx, person, by=by).id)


def start_erasure(ctx: Context, person: Person, *, by: int | None = None) -> Erasure:
    """Do the first transaction: no mail passes the gate after it. Rings for the rest."""
    try:
        return _start(ctx, person, by)
    except IntegrityError:  # an address without a row cannot be locked: somebody began with the same one just now
        return _start(ctx, person, by)


def _start(ctx: Context, person: Person, by: int | None) -> Erasure:
    with erasing(ctx) as session:
        lock_addresses(session, person.address_ids)
        running = queries.find_running(session, person.hashes) if person.hashes else None
        if running is not None:
            return running
        person = _with_late_comers(session, person)
        person = person.with_traces((), _find_ips(session, person))
        counts = _close(session, person, by)
        erasure = Erasure(
            step=STEPS[0].name, address_hashes=[value.hex() for value in person.hashes],
            contact_ids=list(person.contact_ids), address_ids=list(person.address_ids), counts=counts,
            by_staff_id=by, started_at=utc_now(),
        )  # fmt: skip
        session.add(erasure)
        session.flush()
        erasure.person = _seal(ctx, erasure, person)
        detail = {"contacts": len(person.contact_ids)}
        record_audit(session, "privacy.erase", by=by, subject=("erasure", erasure.id), detail=detail)
        ctx.ring(session, ERASE)
    return erasure


def _with_late_comers(session: Session, person: Person) -> Person:
    """Return the person with contacts that got one of the addresses since it was looked for."""
    if not person.address_ids:
        return person
    late = session.scalars(select(Contact.id).where(Contact.address_id.in_(person.address_ids))).all()
    return replace(person, contact_ids=tuple(sorted({*person.contact_ids, *late})))


def _find_ips(session: Session, person: Person) -> Iterator[str]:
    """Yield the IPs in evidence and sign-ups, which logs are masked of."""
    evidence = get_table("consent_evidence")
    for data in session.scalars(select(ConsentEvidence.data).where(is_of(evidence, person, ()))):
        yield from _iter_ips(data)
    yield from session.scalars(select(SignUp.ip).where(is_of(get_table("sign_up"), person, ())))


def _iter_ips(value: Any) -> Iterator[str]:
    for key, one in value.items() if isinstance(value, dict) else ():
        if isinstance(one, str) and (key == "ip" or key.endswith("_ip")):
            yield one
        yield from _iter_ips(one)


def _close(session: Session, person: Person, by: int | None) -> dict[str, int]:
    """Suppress by hash, stop what waits, end permission and evidence, blank contact and address."""
    _keep_hashes(session, person)
    for digest in person.hashes:
        suppress(session, digest, SuppressionReason.ERASURE, "")
    _keep_complaints(session, person)
    session.flush()
    counts = {"message": 0}
    skip_waiting(session, person)
    _answer_requests(session, person, by)
    for entry in sorted(of_phase(Phase.CLOSE), key=lambda entry: _order(entry.name)):
        if done := wipe(session, entry, person, ()):
            counts[entry.name] = done
    return {name: count for name, count in counts.items() if count}


def _order(name: str) -> int:
    return _LAST.index(name) + 1 if name in _LAST else 0


def _keep_hashes(session: Session, person: Person) -> None:
    """Keep a row with the hash of an address that had none, so that a list cannot bring it (imports/plan.py)."""
    there = {bytes(value) for value in session.scalars(
        select(Address.email_hash).where(Address.email_hash.in_(person.hashes)))}  # fmt: skip
    session.add_all(
        Address(email=None, email_hash=digest, created_at=utc_now()) for digest in person.hashes if digest not in there
    )


def _keep_complaints(session: Session, person: Person) -> None:
    """Keep a complaint about a confirmation mail as a suppression: the sign-up that says so goes (forms/facts.py)."""
    complained = session.scalars(
        select(SignUp.address_hash)
        .join(Event, Event.message_id == SignUp.message_id)
        .where(SignUp.address_hash.in_(person.hashes), Event.kind == EventKind.COMPLAINT.value)
        .distinct()
    ).all()
    for digest in complained:
        suppress(session, digest, SuppressionReason.COMPLAINT, "")


def _answer_requests(session: Session, person: Person, by: int | None) -> None:
    """Close what the person asked for: there is nothing left to answer with."""
    is_mine = or_(
        SubjectRequest.contact_id.in_(person.contact_ids), SubjectRequest.address_hash.in_(person.hashes)
    )  # fmt: skip
    session.execute(
        update(SubjectRequest)
        .where(is_mine, SubjectRequest.status == RequestStatus.OPEN.value)
        .values(status=RequestStatus.ANSWERED.value, closed_at=utc_now(), closed_by=by)
        .execution_options(synchronize_session=False)
    )


# ------------------------------------------------------------------ the steps


def _do_rows(ctx: Context, erasure: Erasure, person: Person) -> Done:
    del erasure
    return Done(person, wipe_rows(ctx, person))


def _do_messages(ctx: Context, erasure: Erasure, person: Person) -> Done:
    """Blank the mails in pieces; their ids are kept sealed for the files, which are looked through afterwards."""
    total: dict[str, int] = {}
    while True:
        with erasing(ctx) as session:
            person, counts = wipe_messages(session, person)
            row = session.get_one(Erasure, erasure.id)
            row.person = _seal(ctx, row, person)
            row.counts = _sum(row.counts, counts)
        if not counts:
            break
    with ctx.read() as session:
        if has_message_under_way(session, person):
            return Done(person, total, "a mail is being handed over to a relay")
    return Done(person, total)


def _do_texts(ctx: Context, erasure: Erasure, person: Person) -> Done:
    """Clean free text everywhere, and reports that belong to no mail of ours but name the person."""
    del erasure
    counts = {f"{name}{MENTIONED}": count for name, count in clean_texts(ctx, person).items()}
    after, blanked = 0, 0
    while True:
        with ctx.read() as session:
            rows = session.execute(select_loose_reports(after)).all()
        if not rows:
            break
        found = [row.id for row in rows if _is_about(person, row)]
        if found:
            with erasing(ctx) as session:
                blanked += blank_reports(session, found)
        after = rows[-1].id
    return Done(person, counts | ({f"bounce_report{MENTIONED}": blanked} if blanked else {}))


def _is_about(person: Person, row: Any) -> bool:
    told = " ".join([row.mail_from, row.rcpt_to, row.diagnostic, *map(str, row.recipients)])
    return person.is_in(told) or (row.raw is not None and is_in_mail(person, bytes(row.raw)))


def _do_files(ctx: Context, erasure: Erasure, person: Person) -> Done:
    del erasure
    hits, is_spool_whole = clean_spool(ctx, person)
    refused, is_refused_whole = clean_refusals(ctx, person)
    counts = {
        "spool": hits,
        "catcher": clean_catcher(ctx, person),
        "uploads": clean_uploads(ctx, person),
        "refused rows": refused,
        "logs": clean_logs(ctx, person),
    }
    waits = "" if is_spool_whole else "the tracking spool is being read"
    waits = waits if is_refused_whole else "an import is running"
    return Done(person, {name: count for name, count in counts.items() if count}, waits)


def _do_cache(ctx: Context, erasure: Erasure, person: Person) -> Done:
    del erasure
    gone, has_answered = clean_cache(ctx, person)
    return Done(person, {"redis": gone} if gone else {}, "" if has_answered else "Redis does not answer")


def _do_compact(ctx: Context, erasure: Erasure, person: Person) -> Done:
    return Done(person, {}, compact(ctx, erasure))


@dataclass(frozen=True)
class Step:
    """A step by name; `waits` ones that are not over hold up those behind them."""

    name: str
    do: Callable[[Context, Erasure, Person], Done]


STEPS = (
    Step("rows", _do_rows),
    Step("messages", _do_messages),
    Step("texts", _do_texts),
    Step("files", _do_files),
    Step("redis", _do_cache),
    Step("compact", _do_compact),
)


def advance(ctx: Context, erasure_id: int) -> Erasure:
    """Go on with an erasure until it is done or must wait; another process that is at it is left alone."""
    token = _claim(ctx, erasure_id)
    while token is not None:
        with ctx.read() as session:
            erasure = session.get_one(Erasure, erasure_id)
        if erasure.status == ErasureStatus.FINISHED or erasure.person is None:
            break
        step = next(one for one in STEPS if one.name == erasure.step)
        done = step.do(ctx, erasure, read_person(unseal(ctx.keys, _context(erasure), erasure.person)))
        if _note(ctx, erasure_id, token, step, done):
            break
    with ctx.read() as session:
        return session.get_one(Erasure, erasure_id)


def advance_all(ctx: Context) -> int:
    """Go on with every erasure that is not done; return how many are done now."""
    with ctx.read() as session:
        ids = session.scalars(
            select(Erasure.id).where(Erasure.status == ErasureStatus.RUNNING.value).order_by(Erasure.id)
        ).all()
    return sum(advance(ctx, number).status == ErasureStatus.FINISHED for number in ids)


def _claim(ctx: Context, erasure_id: int) -> int | None:
    """Take the lease; None where another process has it or nothing is left to do."""
    with ctx.write() as session:
        row = session.get(Erasure, erasure_id, with_for_update=True)
        now = utc_now()
        if row is None or row.status == ErasureStatus.FINISHED or (row.leased_until and row.leased_until > now):
            return None
        row.token, row.leased_until = row.token + 1, now + LEASE
        return row.token


def _note(ctx: Context, erasure_id: int, token: int, step: Step, done: Done) -> bool:
    """Write down what a step came to; return whether to stop here."""
    with erasing(ctx) as session:
        row = session.get_one(Erasure, erasure_id, with_for_update=True)
        if row.token != token or row.step != step.name:
            return True  # the lease ran out, somebody else goes on
        row.counts = _sum(row.counts, done.counts)
        row.waits_for, row.leased_until = done.waits_for, utc_now() + LEASE
        if done.waits_for:
            row.leased_until = None
            return True
        place = STEPS.index(step) + 1
        if place < len(STEPS):
            row.step = STEPS[place].name
            return False
        row.status, row.finished_at, row.leased_until = ErasureStatus.FINISHED.value, utc_now(), None
        row.person = None
    return True


def forget_traces(ctx: Context, *, before: timedelta = timedelta(days=1)) -> int:
    """Repeat what may have come after an erasure was done, then drop the ids that it was known by; return how many.

    A campaign that was being prepared may have written a mail for the empty contact; the gate refused it.
    """
    with ctx.read() as session:
        rows = session.scalars(
            select(Erasure).where(
                Erasure.status == ErasureStatus.FINISHED.value, Erasure.finished_at < utc_now() - before
            ).order_by(Erasure.id.desc()).limit(200)
        ).all()  # fmt: skip
    late = [row for row in rows if row.contact_ids or row.address_ids]
    for row in late:
        person = Person(tuple(row.contact_ids), tuple(row.address_ids))
        wipe_rows(ctx, person)
        with erasing(ctx) as session:
            skip_waiting(session, person)
        counts: Mapping[str, int] = {"message": 1}
        while counts:
            with erasing(ctx) as session:
                person, counts = wipe_messages(session, person)
        with ctx.write() as session:
            session.execute(update(Erasure).where(Erasure.id == row.id).values(contact_ids=[], address_ids=[]))
    return len(late)


def refuse_wrong_confirmation(preview: Preview, typed: str) -> None:
    """Raise ConflictError where what was typed is not what the preview asks for."""
    if typed.strip().casefold() != preview.confirmation.casefold():
        raise ConflictError("this is not what the page asks you to type", mend=f"type {preview.confirmation}")


def _seal(ctx: Context, erasure: Erasure, person: Person) -> bytes:
    return seal(ctx.keys, _context(erasure), person.as_json())


def _context(erasure: Erasure) -> str:
    return f"erasure {erasure.id}"


def _sum(one: Mapping[str, Any], two: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + two.get(name, 0) for name in dict.fromkeys([*one, *two])}
