"""What a dry run would have written, so that later rows of the file find it: a temporary database."""

import marshal
import sqlite3
from collections.abc import Iterable, Mapping

from mailer.contacts.bulk import Known, KnownAddress
from mailer.imports.plan import There


class Overlay:
    """Contacts by key that a dry run made or changed; memory stays flat, the rest lies in a temporary file."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("")
        self._store.execute("PRAGMA journal_mode=OFF")
        self._store.execute("CREATE TABLE contact (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
        self._made = 0

    def next_number(self) -> int:
        """Return an id for a contact that does not exist: below zero."""
        self._made += 1
        return -self._made

    def put(self, contacts: Iterable[tuple[Known, set[str]]]) -> None:
        """Keep contacts with their tags as they would be."""
        rows = []
        for known, tags in contacts:
            value = marshal.dumps((tuple(known[:8]), dict(known.data), sorted(tags)))
            keys = [known.email] if known.email else []
            keys += ["\0" + known.external_id] if known.external_id else []
            rows += [(key, value) for key in keys]
        self._store.executemany("INSERT OR REPLACE INTO contact VALUES (?, ?)", rows)

    def lay_over(self, there: There, emails: Iterable[str], external_ids: Iterable[str]) -> There:
        """Return what would be there: the database with what the dry run did on top."""
        by_email = dict(there.by_email)
        by_external_id = dict(there.by_external_id)
        tags: dict[int, set[str]] = dict(there.tags)
        for key in [*emails, *("\0" + text for text in external_ids)]:
            found = self._get(key)
            if found is None:
                continue
            known, known_tags = found
            tags[known.id] = known_tags
            if key.startswith("\0"):
                by_external_id[known.external_id] = known
            elif len(_others(by_email, key, known)) == 0:
                by_email[key] = KnownAddress(known.address_id, [known])
        return There(by_email, by_external_id, tags, there.erased)

    def _get(self, key: str) -> tuple[Known, set[str]] | None:
        row = self._store.execute("SELECT value FROM contact WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        head, data, tags = marshal.loads(row[0])  # noqa: S302 - we wrote it ourselves
        return Known._make([*head, data]), set(tags)

    def close(self) -> None:
        """Drop it all."""
        self._store.close()


def _others(by_email: Mapping[str, KnownAddress], key: str, known: Known) -> list[Known]:
    address = by_email.get(key)
    return [contact for contact in address.contacts if contact.id != known.id] if address else []
