"""A chunk of checked rows is written, whole, in the caller's transaction; or, in a dry run, only counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.addresses import hash_address
from mailer.consent.bulk import Imported, ImportTerms, count_left, lock_imported, record_fresh, record_imported
from mailer.contacts import activity_rows, bulk, stage, tagging
from mailer.contacts.activity_rows import KnownActivity, NewActivity
from mailer.imports.check import ActivityRow, ContactRow, Refused
from mailer.imports.overlay import Overlay
from mailer.imports.plan import Counts, Plan, There, after, as_known, plan_rows, split_repeats
from mailer.imports.stage import Staged, read_row

_COMPANIES_KEPT = 50_000


@dataclass(frozen=True)
class ContactJob:
    """What is the same for every chunk of an import of contacts; `companies` remembers ids by name."""

    terms: ImportTerms
    hash_key: bytes
    at: datetime
    import_id: int | None = None
    overlay: Overlay | None = None
    companies: dict[str, int] = field(default_factory=dict)


def apply_contacts(session: Session, rows: Sequence[ContactRow], job: ContactJob) -> tuple[Counts, list[Refused]]:
    """Write a chunk; return what it did and the rows that were refused. Repeats within it come one by one."""
    try:
        return _apply_contacts(session, rows, job)
    except BaseException:
        job.companies.clear()  # some of them are rolled back now
        raise


def apply_staged(
    session: Session, staged: Staged, packed: Sequence[bytes], job: ContactJob
) -> tuple[Counts, list[Refused]]:
    """Write a staged chunk: what is new and simple by SQL alone, the rest of the `packed` rows one by one."""
    try:
        if not staged.path:
            stage.load_stage(session, staged.rows, staged.tags)
        fresh = stage.mark_fresh(session)
        if fresh:
            stage.add_fresh(session, job.companies, job.at, import_id=job.import_id)
            record_fresh(session, job.terms, job.at)
        known = stage.list_not_fresh(session) if fresh < staged.height else []
        rest = [read_row(packed[number - 1]) for number in sorted([*known, *staged.apart])]
        if rest:
            stage.prefer_indexes(session)
        counts, refused = _apply_contacts(session, rest, job)
    except BaseException:
        job.companies.clear()  # some of them are rolled back now
        raise
    return counts + Counts(new=fresh), refused


def _apply_contacts(session: Session, rows: Sequence[ContactRow], job: ContactJob) -> tuple[Counts, list[Refused]]:
    counts, refused = Counts(), []
    waiting: Sequence[ContactRow] = rows
    while waiting:
        first, waiting = split_repeats(waiting)
        there = _look_up(session, first, job)
        plan = plan_rows(first, there)
        overlay = job.overlay
        left = _count_only(session, plan, there, job, overlay) if overlay else _write(session, plan, there, job)
        refused += plan.refused
        done = Counts(0, len(plan.new), len(plan.changed), len(plan.unchanged), len(plan.refused), left)
        counts += done
    return counts, refused


def _look_up(session: Session, rows: Sequence[ContactRow], job: ContactJob) -> There:
    emails = [row.email for row in rows if row.email]
    external_ids = [row.external_id for row in rows if row.external_id]
    by_email = bulk.find_by_emails(session, emails)
    by_external_id = bulk.find_by_external_ids(session, external_ids) if external_ids else {}
    contacts = [contact.id for address in by_email.values() for contact in address.contacts]
    contacts += [known.id for known in by_external_id.values()]
    tags = tagging.find_tags(session, contacts) if contacts and any(row.tags for row in rows) else {}
    erased = bulk.find_erased(session, [row.email_hash for row in rows if row.email and row.email not in by_email])
    there = There(by_email, by_external_id, tags, erased)
    return job.overlay.lay_over(there, emails, external_ids) if job.overlay else there


def _count_only(session: Session, plan: Plan, there: There, job: ContactJob, overlay: Overlay) -> int:
    addresses = {email: address.id for email, address in there.by_email.items()}
    people = [
        Imported(-number, 0, addresses.get(row.email, 0), row.email_hash, True, row.email not in addresses)
        for number, row in enumerate(plan.new, 1)
    ]
    overlay.put((as_known(row, overlay.next_number()), set(row.tags)) for row in plan.new)
    overlay.put(
        (after(change), there.tags.get(change.known.id, set()) | set(change.row.tags)) for change in plan.changed
    )
    return count_left(session, people + _known_people(plan, addresses, job), job.at)


def _write(session: Session, plan: Plan, there: There, job: ContactJob) -> int:
    touched = [known.address_id for _, known in plan.unchanged] + [change.known.address_id for change in plan.changed]
    rows = [*plan.new, *(change.row for change in plan.changed)]
    touched += [there.by_email[row.email].id for row in rows if row.email in there.by_email]
    lock_imported(session, touched)
    addresses, added = _ensure_addresses(session, rows, there, job)
    companies = _ensure_companies(session, {row.company for row in rows if row.company}, job)
    new = [
        (external_id or None, addresses.get(email), *plain, owner_id or None, companies.get(company), data)
        for email, _, _, _, external_id, plain, owner_id, company, _, data, _ in plan.new
    ]
    identities = bulk.add_contacts(session, new, job.at, import_id=job.import_id)
    _write_changes(session, plan, addresses, companies, job)
    pairs = [(identity[0], row.tags) for identity, row in zip(identities, plan.new, strict=True) if row.tags]
    _write_tags(session, pairs + [(change.known.id, change.new_tags) for change in plan.changed if change.new_tags])
    people = [
        Imported(*identity, addresses.get(row.email, 0), row.email_hash, True, row.email in added)
        for identity, row in zip(identities, plan.new, strict=True)
    ]
    return record_imported(session, people + _known_people(plan, addresses, job), job.terms, job.at)


def _ensure_companies(session: Session, names: set[str], job: ContactJob) -> dict[str, int]:
    """Return ids by name for at least `names`; the job remembers them, since companies repeat all through a file."""
    if len(job.companies) > _COMPANIES_KEPT:
        job.companies.clear()
    missing = names - job.companies.keys()
    job.companies.update(bulk.ensure_companies(session, missing, job.at))
    return job.companies


def _known_people(plan: Plan, addresses: dict[str, int], job: ContactJob) -> list[Imported]:
    """Return the contacts of a chunk that were there, with the address they have afterwards."""
    pairs = [*plan.unchanged, *((change.row, change.known) for change in plan.changed)]
    return [
        Imported(
            known.id,
            known.ledger_id,
            addresses.get(row.email, known.address_id),
            row.email_hash or (hash_address(known.email, job.hash_key) if known.email else b""),
            False,
            False,
        )
        for row, known in pairs
    ]


def _ensure_addresses(
    session: Session, rows: Sequence[ContactRow], there: There, job: ContactJob
) -> tuple[dict[str, int], set[str]]:
    """Return the id of each address by address, and those that are new."""
    known = {email: address.id for email, address in there.by_email.items()}
    missing = {row.email: row for row in rows if row.email and row.email not in known}
    new = [(row.email, row.email_hash, row.domain, row.provider) for row in missing.values()]
    ids = bulk.add_addresses(session, new, job.at)
    return known | dict(zip(missing, ids, strict=True)), set(missing)


def _write_changes(
    session: Session, plan: Plan, addresses: dict[str, int], companies: dict[str, int], job: ContactJob
) -> None:
    bulk.change_contacts(
        session,
        [
            bulk.ChangedContact(
                change.known.id,
                addresses.get(change.row.email, change.known.address_id),
                change.known.external_id or change.row.external_id,
                change.plain,
                change.row.owner_id or change.known.owner_id,
                companies.get(change.row.company),
                change.data,
            )
            for change in plan.changed
        ],
        job.at,
    )


def _write_tags(session: Session, wanted: Sequence[tuple[int, tuple[str, ...]]]) -> None:
    if not wanted:
        return
    tags = tagging.ensure_tags(session, (name for _, names in wanted for name in names))
    tagging.add_tags(session, [(contact_id, tags[name]) for contact_id, names in wanted for name in names])


# ------------------------------------------------------------------ activities


@dataclass(frozen=True)
class ActivityJob:
    """What is the same for every chunk of an import of activities."""

    at: datetime
    import_id: int | None = None
    is_dry: bool = False


NOBODY = "no contact has this address"
SEVERAL = "several contacts share this address"


def apply_activities(session: Session, rows: Sequence[ActivityRow], job: ActivityJob) -> tuple[Counts, list[Refused]]:
    """Write a chunk; an activity is the one with its external id, else the same contact, kind, time and amount."""
    contacts = activity_rows.find_contact_ids(session, list({row.email for row in rows}))
    refused: list[Refused] = []
    wanted: list[NewActivity] = []
    for row in rows:
        owners = contacts.get(row.email, [])
        if len(owners) == 1:
            wanted.append(_activity(row, owners[0]))
        else:
            refused.append(Refused(row.cells, SEVERAL if owners else NOBODY))
    ids = sorted({row.contact_id for row in wanted})
    found = activity_rows.find_activities(session, ids, sorted({row.external_id for row in wanted if row.external_id}))
    there = {_key(known): known for known in found}
    new: dict[tuple[object, ...], NewActivity] = {}
    changed: list[tuple[int, NewActivity]] = []
    same = 0
    for activity in wanted:
        known = there.get(_key(activity))
        if known is None:
            same += _key(activity) in new
            new[_key(activity)] = activity
        elif _values(known) == _values(activity):
            same += 1
        else:
            changed.append((known.id, activity))
    if not job.is_dry:
        activity_rows.add_activities(session, list(new.values()), job.at, import_id=job.import_id)
        activity_rows.change_activities(session, changed)
    return Counts(0, len(new), len(changed), same, len(refused)), refused


def _activity(row: ActivityRow, contact_id: int) -> NewActivity:
    moment = datetime.fromisoformat(row.at)
    return NewActivity(contact_id, row.kind, moment, row.amount, row.currency, row.external_id, row.note, row.data)


def _key(row: NewActivity | KnownActivity) -> tuple[object, ...]:
    if row.external_id:
        return (row.kind, row.external_id)
    return (row.contact_id, row.kind, row.at, row.amount, row.currency)


def _values(row: NewActivity | KnownActivity) -> tuple[object, ...]:
    return (row.contact_id, row.at, row.amount, row.currency)
