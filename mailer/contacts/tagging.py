"""Tags of contacts in thousands: found, made, given. Inside the caller's transaction; nothing commits."""

from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from mailer.contacts.lists import in_list, list_value
from mailer.database import allocate_ids, insert_rows


def ensure_tags(session: Session, names: Iterable[str]) -> dict[str, int]:
    """Return the id of each tag by name, made where there is none."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    query = f"SELECT name, id FROM tag WHERE name {in_list(session, 'names')}"  # noqa: S608 - no value is in it
    there: dict[str, int] = {
        name: number for name, number in session.execute(text(query), {"names": list_value(session, wanted)})
    }
    missing = [name for name in wanted if name not in there]
    ids = allocate_ids(session, "tag", len(missing))
    insert_rows(session, "tag", ("id", "name"), list(zip(ids, missing, strict=True)))
    return there | dict(zip(missing, ids, strict=True))


def find_tags(session: Session, contact_ids: Sequence[int]) -> dict[int, set[str]]:
    """Return the tags of contacts by contact id."""
    query = f"""
      SELECT ct.contact_id, t.name FROM contact_tag ct JOIN tag t ON t.id = ct.tag_id
      WHERE ct.contact_id {in_list(session, "ids")}
    """  # noqa: S608 - no value is in it
    found: dict[int, set[str]] = {}
    for contact_id, name in session.execute(text(query), {"ids": list_value(session, contact_ids)}):
        found.setdefault(contact_id, set()).add(name)
    return found


def add_tags(session: Session, pairs: Sequence[tuple[int, int]]) -> None:
    """Give contacts tags they do not have yet, as (contact id, tag id)."""
    insert_rows(session, "contact_tag", ("contact_id", "tag_id"), pairs)
