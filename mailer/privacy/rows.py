"""A person's rows in any table of the register: the condition that finds them, how many there are. Never commits."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, Table, and_, func, or_, select, union
from sqlalchemy.orm import Session

from mailer.privacy.person import Person
from mailer.privacy.register import OF_PERSONS, Key
from mailer.privacy.register import Table as Entry
from mailer.schema.consent import ConsentEvent
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message, Sending
from mailer.schema.tables import metadata

Messages = Sequence[int] | CompoundSelect[Any]
_HASH_BYTES = 7


def recipient_key(address_hash: bytes) -> int:
    """Return the recipient key of a mail to a typed address (delivery.service.add_direct_messages)."""
    return -int.from_bytes(address_hash[:_HASH_BYTES])


def messages_of(person: Person) -> CompoundSelect[Any]:
    """Return a select of the ids of every mail to a person: as a contact, or to their address as it was typed."""
    as_contact = select(Message.id).where(Message.contact_id.in_(person.contact_ids))
    typed = select(Message.id).where(
        Message.recipient_key.in_([recipient_key(value) for value in person.hashes]),
        Message.sending_id.in_(select(Sending.id)),  # so that the unique index finds them
    )
    return union(as_contact, typed)


def table_of(entry: Entry) -> Table:
    """Return the SQL table of an entry."""
    return metadata.tables[entry.name]


def is_of(entry: Entry, person: Person, messages: Messages) -> ColumnElement[bool]:
    """Return the condition that a row of `entry` is the person's; `messages` are ids, or a select of them."""
    columns = table_of(entry).c
    return or_(*(_matches(key, columns[name], columns, person, messages) for key, name in entry.found))


def _matches(key: Key, column: Any, columns: Any, person: Person, messages: Messages) -> ColumnElement[bool]:
    ledgers = select(Contact.ledger_id).where(Contact.id.in_(person.contact_ids))
    wanted: dict[Key, Any] = {
        Key.CONTACT: person.contact_ids,
        Key.ADDRESS: person.address_ids,
        Key.HASH: person.hashes,
        Key.EMAIL: person.emails,
        Key.MESSAGE: messages,
        Key.LEDGER: ledgers,
        Key.LINE: select(ConsentEvent.id).where(ConsentEvent.ledger_id.in_(ledgers)),
        Key.SUBJECT: person.contact_ids,
    }
    condition: ColumnElement[bool] = column.in_(wanted[key])
    return and_(columns.subject_kind == "contact", condition) if key is Key.SUBJECT else condition


def count_rows(session: Session, person: Person) -> dict[str, int]:
    """Return how many rows of each table are the person's, by table, those with none left out."""
    messages = messages_of(person)
    counted = {
        entry.name: session.scalar(
            select(func.count()).select_from(table_of(entry)).where(is_of(entry, person, messages))
        )
        or 0
        for entry in OF_PERSONS
    }
    return {name: count for name, count in counted.items() if count}


def select_rows(entry: Entry, person: Person) -> Select[Any]:
    """Return a select of every row of a person in a table, all columns, by primary key."""
    table = table_of(entry)
    return select(table).where(is_of(entry, person, messages_of(person))).order_by(*table.primary_key.columns)
