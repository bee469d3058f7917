"""Everything that is kept about a person (GDPR, 15 and 20): sections in words, table by table of the register."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import MailerError, NotFoundError
from mailer.privacy.archive import build_archive
from mailer.privacy.person import Person
from mailer.privacy.register import OF_PERSONS, Table
from mailer.privacy.rows import select_rows, table_of
from mailer.privacy.service import close_answered
from mailer.schema.accounts import Staff
from mailer.schema.bounces import BounceReport
from mailer.schema.consent import ConsentOverride, Topic, Wording
from mailer.schema.contacts import Company, Tag
from mailer.schema.content import ContentVersion, LinkAction, TrackedLink
from mailer.schema.delivery import Sending
from mailer.schema.forms import Form, FormWording
from mailer.schema.imports import ImportRun
from mailer.schema.segments import BulkTask, Segment
from mailer.segments.patience import at_most
from mailer.segments.queries import is_member
from mailer.statuses import RequestKind, SegmentKind
from mailer.workspace.queries import get_workspace

LOOKUPS: Mapping[str, tuple[str, Any]] = {
    "topic_id": ("topic", select(Topic.id, Topic.name)),
    "tag_id": ("tag", select(Tag.id, Tag.name)),
    "company_id": ("company", select(Company.id, Company.name)),
    "owner_id": ("looked after by", select(Staff.id, func.coalesce(func.nullif(Staff.name, ""), Staff.email))),
    "segment_id": ("list", select(Segment.id, Segment.name)),
    "bulk_task_id": ("change", select(BulkTask.id, BulkTask.kind)),
    "tracked_link_id": ("link", select(TrackedLink.id, TrackedLink.url)),
    "link_action_id": ("action", select(LinkAction.id, LinkAction.kind)),
    "import_id": ("came with", select(ImportRun.id, ImportRun.source)),
    "form_id": ("form", select(Form.id, Form.name)),
    "wording_id": ("wording", select(FormWording.id, FormWording.text)),
    "wording_version": ("wording", select(Wording.version, Wording.text)),
    "override_id": ("reason", select(ConsentOverride.id, ConsentOverride.reason)),
    "sending_id": (
        "mail",
        select(Sending.id, ContentVersion.subject).join(
            ContentVersion, ContentVersion.id == Sending.content_version_id
        ),
    ),
}
"""Columns that name something else: what an export calls them, and where their words are."""
_STAFF = frozenset({"by_staff_id", "staff_id", "created_by", "closed_by", "added_by", "lifted_by", "import_id"})
"""Who of the staff did something is the staff's own data."""
_AUDIENCES = 200
_SECONDS = 2.0


@dataclass(frozen=True)
class Section:
    """A heading with rows; every row has the same columns."""

    name: str
    title: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Export:
    """What is known of a person at one time; `mails` are raw reports that came back, by file name."""

    emails: tuple[str, ...]
    at: datetime
    controller: str
    sections: list[Section]
    mails: dict[str, bytes]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(len(section.rows) for section in self.sections)


def export_person(ctx: Context, person: Person, *, by: int | None = None) -> bytes:
    """Return a ZIP of everything that is kept about a person; leaves an audit line and closes what asked for it.

    Raises:
        NotFoundError: nothing is kept about them.
    """
    with ctx.read() as session:
        found = gather(session, ctx, person)
    if not found.count:
        raise NotFoundError("nothing is kept about this person")
    archive = build_archive(found)
    with ctx.write() as session:
        subject = ("contact", person.contact_ids[0]) if person.contact_ids else ("", None)
        record_audit(session, "privacy.export", by=by, subject=subject, detail={"rows": found.count})
        close_answered(session, (RequestKind.ACCESS, RequestKind.PORTABILITY), person.hashes, by)
    return archive


def gather(session: Session, ctx: Context, person: Person) -> Export:
    """Read everything about a person, in the order of the register."""
    words = _Words(session)
    sections = [_read(session, entry, person, words) for entry in OF_PERSONS]
    sections.append(Section("audience", "Audiences that you are in now", list(_audiences(session, ctx, person))))
    reports = select(BounceReport.id, BounceReport.raw).where(
        BounceReport.id.in_(row["id"] for one in sections if one.name == "bounce_report" for row in one.rows),
        BounceReport.raw.is_not(None),
    )
    mails = {f"reports/{number}.eml": bytes(raw or b"") for number, raw in session.execute(reports)}
    filled = [section for section in sections if section.rows]
    return Export(person.emails, utc_now(), get_workspace(session).name, filled, mails)


class _Words:
    """What stands for ids in an export, each read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[tuple[str, Any], Any] = {}

    def of(self, column: str, key: Any) -> Any:
        if key is None or key == "":
            return None
        if (column, key) not in self._known:
            _, query = LOOKUPS[column]
            row = self._session.execute(query.where(query.selected_columns[0] == key)).first()
            self._known[column, key] = row[1] if row else key
        return self._known[column, key]


def _read(session: Session, entry: Table, person: Person, words: _Words) -> Section:
    names = [column.name for column in table_of(entry).columns if _is_shown(entry, column.name)]
    rows = [
        {_heading(name): _plain(words.of(name, row[name]) if name in LOOKUPS else row[name]) for name in names}
        for row in session.execute(select_rows(entry, person)).mappings()
    ]
    return Section(entry.name, entry.title, rows)


def _is_shown(entry: Table, name: str) -> bool:
    return name not in entry.hidden and (name not in _STAFF or name == "owner_id" or entry.name == "contact")


def _heading(name: str) -> str:
    return LOOKUPS[name][0] if name in LOOKUPS else name


def _plain(value: Any) -> Any:
    """Return a value as JSON and a cell of a table can hold it."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        return value
    return str(value)


def _audiences(session: Session, ctx: Context, person: Person) -> Iterator[dict[str, Any]]:
    """Yield the segments with a rule that a contact is a member of today, as far as that is quick to say."""
    today = ctx.clock.today(get_workspace(session).timezone)
    ruled = select(Segment).where(Segment.kind != SegmentKind.STATIC.value, Segment.archived_at.is_(None))
    for segment in session.scalars(ruled.order_by(Segment.id).limit(_AUDIENCES)).all():
        for contact_id in person.contact_ids:
            try:
                with at_most(session, _SECONDS):
                    if is_member(session, segment, contact_id, today):
                        yield {"list": segment.name}
                        break
            except MailerError:
                yield {"list": f"{segment.name} (too costly to say)"}
                break
