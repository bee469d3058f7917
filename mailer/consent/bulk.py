"""Permission and subscriptions that come with an import, set-based, inside the caller's transaction.

An import never raises anything for a person who left: permission withdrawn, address suppressed,
or another contact of the same address withdrawn; a topic they left or have not confirmed stays as it is (FEATURES C7).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, select, text, update
from sqlalchemy.orm import Session

from mailer.consent.ledger import clean_source
from mailer.database import insert_rows, stored_instant
from mailer.schema.consent import Consent, Subscription, Suppression
from mailer.schema.contacts import Contact
from mailer.statuses import Basis, ConsentVerdict, Permission, Purpose, SubscriptionStatus

_RANK = {
    Permission.NONE.value: 0,
    Permission.BUSINESS.value: 1,
    Permission.CUSTOMER.value: 2,
    Permission.CONSENT.value: 3,
}
_PURPOSE = Purpose.E_MARKETING.value
_CHANNEL = "import"
_PAGE = 500


class Imported(NamedTuple):
    """A contact of an import; `is_new_address` spares the look at who else has it."""

    contact_id: int
    ledger_id: int
    address_id: int
    address_hash: bytes
    is_new: bool
    is_new_address: bool


@dataclass(frozen=True)
class ImportTerms:
    """What the person who imports answers for."""

    basis: Basis
    source: str
    topic_ids: tuple[int, ...] = ()
    expires_at: datetime | None = None

    @property
    def permission(self) -> Permission:
        """The permission that the basis gives; contract, legal duty, vital and public give none."""
        words = {
            Basis.CONSENT: Permission.CONSENT,
            Basis.CUSTOMER: Permission.CUSTOMER,
            Basis.BUSINESS: Permission.BUSINESS,
        }
        return words.get(self.basis, Permission.NONE)


@dataclass(frozen=True)
class _Left:
    """Who left: addresses for good, and topics by address."""

    addresses: frozenset[int]
    hashes: frozenset[bytes]
    topics: frozenset[tuple[int, int]]


def lock_imported(session: Session, address_ids: Sequence[int]) -> None:
    """Lock the addresses that are there already, before their permission is looked at.

    As `lock_addresses` does, in the order of their ids; thousands go as one parameter, which takes a tenth of the time.
    """
    if session.get_bind().dialect.name == "sqlite":
        return  # who writes has the whole database
    query = text("SELECT id FROM address WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
    session.execute(query, {"ids": sorted(set(address_ids))}).all()


def record_imported(session: Session, people: Sequence[Imported], terms: ImportTerms, at: datetime) -> int:
    """Record permission and subscriptions of `people`; return how many were left as they are because they left.

    New people come first, by id. The addresses of the others must be locked (`lock_imported`). Safe to repeat.
    """
    left = _find_left(session, people)
    there = _current(session, [person.contact_id for person in people if not person.is_new], at)
    is_plain = not (left.addresses or left.hashes or there)
    staying = people if is_plain else [person for person in people if not _is_gone(person, left, there)]
    _record_permission(session, staying, there, terms, at)
    for topic_id in terms.topic_ids:
        _record_subscriptions(session, staying, topic_id, left, terms, at)
    return len(people) - len(staying)


def count_left(session: Session, people: Sequence[Imported], at: datetime) -> int:
    """Return how many of `people` `record_imported` would leave as they are."""
    left = _find_left(session, people)
    there = _current(session, [person.contact_id for person in people if not person.is_new], at)
    return sum(_is_gone(person, left, there) for person in people)


def _is_gone(person: Imported, left: "_Left", there: Mapping[int, str]) -> bool:
    return (
        person.address_hash in left.hashes
        or person.address_id in left.addresses
        or there.get(person.contact_id) == Permission.WITHDRAWN.value
    )


def _find_left(session: Session, people: Sequence[Imported]) -> _Left:
    hashes = frozenset(_suppressed_hashes(session, [person.address_hash for person in people if person.address_hash]))
    ids = [person.address_id for person in people if person.address_id and not person.is_new_address]
    addresses: set[int] = set()
    topics: set[tuple[int, int]] = set()
    for start in range(0, len(ids), _PAGE):
        page = Contact.address_id.in_(ids[start : start + _PAGE])
        own = and_(Consent.contact_id == Contact.id, Consent.purpose == _PURPOSE)
        withdrawn = select(Contact.address_id).join(Consent, own)
        found = session.scalars(withdrawn.where(page, Consent.permission == Permission.WITHDRAWN.value))
        addresses |= {number for number in found if number is not None}
        ended = select(Contact.address_id, Subscription.topic_id).join(
            Subscription, Subscription.contact_id == Contact.id
        )
        rows = session.execute(ended.where(page, Subscription.status == SubscriptionStatus.UNSUBSCRIBED.value))
        topics |= {(address_id, topic_id) for address_id, topic_id in rows if address_id is not None}
    return _Left(frozenset(addresses), hashes, frozenset(topics))


def _suppressed_hashes(session: Session, hashes: Sequence[bytes]) -> set[bytes]:
    active = select(Suppression.address_hash).where(Suppression.lifted_at.is_(None), Suppression.scope == "all")
    if session.scalar(active.limit(1)) is None:
        return set()
    found: set[bytes] = set()
    for start in range(0, len(hashes), _PAGE):
        found |= set(session.scalars(active.where(Suppression.address_hash.in_(hashes[start : start + _PAGE]))))
    return found


def _record_permission(
    session: Session, people: Sequence[Imported], there: Mapping[int, str], terms: ImportTerms, at: datetime
) -> None:
    rank = _RANK[terms.permission.value]
    added = [person for person in people if person.contact_id not in there]
    raised = [
        person for person in people
        if person.contact_id in there and rank > _RANK[there[person.contact_id]]
    ]  # fmt: skip
    values: dict[str, Any] = {"purpose": _PURPOSE, "permission": terms.permission.value, "basis": terms.basis.value}
    values |= {"source": terms.source, "updated_at": stored_instant(session, at)}
    _add_rows(session, "consent", "contact_id", added, values | _end(session, terms, "expires_at"))
    for start in range(0, len(raised), _PAGE):
        ids = [person.contact_id for person in raised[start : start + _PAGE]]
        session.execute(
            update(Consent)
            .where(Consent.contact_id.in_(ids), Consent.purpose == _PURPOSE)
            .values(permission=terms.permission.value, basis=terms.basis.value, source=terms.source)
            .values(expires_at=terms.expires_at if rank else None, updated_at=at)
        )
    _record_ledger(session, added, terms, at, topic_id=None)
    _record_ledger(session, raised, terms, at, topic_id=None)


def _current(session: Session, contact_ids: Sequence[int], at: datetime) -> dict[int, str]:
    """Return the permission of contacts that have one; an expired one counts as none."""
    found: dict[int, str] = {}
    for start in range(0, len(contact_ids), _PAGE):
        page = Consent.contact_id.in_(contact_ids[start : start + _PAGE])
        rows = session.execute(
            select(Consent.contact_id, Consent.permission, Consent.expires_at).where(page, Consent.purpose == _PURPOSE)
        )
        for contact_id, permission, expires_at in rows:
            is_over = expires_at is not None and expires_at <= at and permission != Permission.WITHDRAWN.value
            found[contact_id] = Permission.NONE.value if is_over else permission
    return found


def _record_subscriptions(
    session: Session, people: Sequence[Imported], topic_id: int, left: _Left, terms: ImportTerms, at: datetime
) -> None:
    there = _subscribed(session, [person.contact_id for person in people if not person.is_new], topic_id)
    added = [
        person for person in people
        if person.contact_id not in there and (person.address_id, topic_id) not in left.topics
    ]  # fmt: skip
    values = {"topic_id": topic_id, "status": SubscriptionStatus.SUBSCRIBED.value}
    _add_rows(session, "subscription", "contact_id", added, values | {"updated_at": stored_instant(session, at)})
    _record_ledger(session, added, terms, at, topic_id=topic_id)


def _subscribed(session: Session, contact_ids: Sequence[int], topic_id: int) -> set[int]:
    """Return the contacts that have any row for the topic; what it says stays."""
    found: set[int] = set()
    for start in range(0, len(contact_ids), _PAGE):
        page = Subscription.contact_id.in_(contact_ids[start : start + _PAGE])
        found |= set(session.scalars(select(Subscription.contact_id).where(page, Subscription.topic_id == topic_id)))
    return found


def _record_ledger(
    session: Session, people: Sequence[Imported], terms: ImportTerms, at: datetime, *, topic_id: int | None
) -> None:
    verdict = ConsentVerdict.GIVEN if topic_id is None else ConsentVerdict.SUBSCRIBED
    values: dict[str, Any] = {"purpose": _PURPOSE, "verdict": verdict.value, "basis": terms.basis.value}
    values |= {"source": clean_source(terms.source), "channel": _CHANNEL, "wording_version": ""}
    values["at"] = stored_instant(session, at)
    if topic_id is None:
        values |= {"permission": terms.permission.value} | _end(session, terms, "ends_at")
    else:
        values["topic_id"] = topic_id
    _add_rows(session, "consent_event", "ledger_id", people, values)


def _add_rows(session: Session, table: str, key: str, people: Sequence[Imported], values: Mapping[str, Any]) -> None:
    """Add a row for each of `people`; for a run of new contacts the database takes their ids from `contact` itself."""
    if not people:
        return
    first, last = people[0].contact_id, people[-1].contact_id
    if last - first + 1 != len(people) or not people[-1].is_new:  # new people come first, so all of them are
        constants = tuple(values.values())
        keys = ("contact_id", "ledger_id").index(key)
        insert_rows(session, table, (key, *values), [(person[keys], *constants) for person in people])
        return
    source = "id" if key == "contact_id" else key
    listed, bound = ", ".join(values), ", ".join(f":{name}" for name in values)
    statement = (
        f"INSERT INTO {table} ({key}, {listed}) SELECT {source}, {bound} FROM contact WHERE id BETWEEN :a AND :b"  # noqa: S608
    )
    session.execute(text(statement), {**values, "a": first, "b": last})


def record_fresh(session: Session, terms: ImportTerms, at: datetime) -> None:
    """Record permission and subscriptions of the contacts that `contacts.stage.add_fresh` added."""
    stamp = stored_instant(session, at)
    given = {"purpose": _PURPOSE, "basis": terms.basis.value, "source": terms.source}
    consent = given | {"permission": terms.permission.value, "updated_at": stamp}
    line = given | {"source": clean_source(terms.source), "channel": _CHANNEL, "wording_version": "", "at": stamp}
    verdict = {"verdict": ConsentVerdict.GIVEN.value, "permission": terms.permission.value}
    _add_fresh(session, "consent", "contact_id", consent | _end(session, terms, "expires_at"))
    _add_fresh(session, "consent_event", "ledger_id", line | verdict | _end(session, terms, "ends_at"))
    for topic_id in terms.topic_ids:
        status = {"topic_id": topic_id, "status": SubscriptionStatus.SUBSCRIBED.value, "updated_at": stamp}
        _add_fresh(session, "subscription", "contact_id", status)
        subscribed = line | {"verdict": ConsentVerdict.SUBSCRIBED.value, "topic_id": topic_id}
        _add_fresh(session, "consent_event", "ledger_id", subscribed)


def _add_fresh(session: Session, table: str, key: str, values: Mapping[str, Any]) -> None:
    """Add a row for each fresh contact, in the order of an index; so the ledger does not show the order of a file."""
    listed, bound = ", ".join(values), ", ".join(f":{name}" for name in values)
    rows = f"SELECT {key}, {bound} FROM fresh ORDER BY {key}"  # noqa: S608 - names are ours
    session.execute(text(f"INSERT INTO {table} ({key}, {listed}) {rows}"), dict(values))


def _end(session: Session, terms: ImportTerms, column: str) -> dict[str, Any]:
    """Return the column that says when what an import gives runs out; none where it gives nothing, or for good."""
    if terms.expires_at is None or terms.permission is Permission.NONE:
        return {}
    return {column: stored_instant(session, terms.expires_at)}
