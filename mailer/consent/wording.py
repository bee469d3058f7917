"""The words that people agreed to, kept under a version that lines of the ledger name (GDPR, article 7(1))."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.errors import ConflictError
from mailer.schema.consent import Wording

MAX_VERSION = 40


def record_wording(session: Session, version: str, text: str) -> None:
    """Keep a text under its version, for good. Safe to repeat.

    Raises:
        ConflictError: another text has this version.
    """
    row = session.get(Wording, version)
    if row is None:
        session.add(Wording(version=version, text=text, created_at=utc_now()))
        session.flush()
    elif row.text != text:
        raise ConflictError(f"the wording {version!r} is another text", mend="give the new text a version of its own")


def load_wordings(session: Session, versions: Iterable[str]) -> Mapping[str, str]:
    """Return the texts by version; what is not known is left out."""
    rows = session.execute(select(Wording.version, Wording.text).where(Wording.version.in_(set(versions))))
    return {version: text for version, text in rows}
