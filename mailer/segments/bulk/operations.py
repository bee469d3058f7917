"""What a bulk task does to contacts: one operation a kind, each with its undoing; set-based, inside a transaction.

An operation is given a few hundred contact ids that are not archived and says what came of them. What it did carries
its task's id, so that it can be found and taken back: `bulk:17`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, aliased

from mailer.accounts.queries import find_staff_by_id
from mailer.clock import utc_now
from mailer.contacts import changes
from mailer.contacts.tagging import ensure_tags
from mailer.errors import InputError, NotFoundError, Problem
from mailer.followups import service as followups
from mailer.followups.service import TaskSpec
from mailer.schema.contacts import Contact
from mailer.schema.segments import BulkMember, BulkTask, Segment, SegmentMember
from mailer.segments import members
from mailer.segments.bulk.fields import find_field, read_id, read_value
from mailer.segments.chosen import is_among
from mailer.segments.visibility import require_visible
from mailer.statuses import BulkKind, FollowUpKind, SegmentKind

Params = Mapping[str, Any]
_TAG_LIMIT = 100


@dataclass
class Outcome:
    """Who was changed, with the value before where it can be written back, and who was skipped, with the reason."""

    changed: Sequence[int]
    skipped: Mapping[int, str] = field(default_factory=dict)
    before: Mapping[int, str | None] = field(default_factory=dict)


class Operation(Protocol):
    """One kind of bulk task."""

    def check(self, session: Session, params: Params, by: int | None) -> dict[str, Any]:
        """Return the parameters as they are kept; InputError lists everything that is wrong."""

    def apply(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Outcome:
        """Do it."""

    def undo(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Sequence[int]:
        """Take it back and return for whom; the others were changed again since."""


def source_of(task: BulkTask) -> str:
    """Return what stands at everything that a task made: in lists, histories and follow-up tasks."""
    return f"bulk:{task.id}"


class FollowUps:
    """A follow-up task for each contact, or for the first one of each company."""

    def check(self, session: Session, params: Params, by: int | None) -> dict[str, Any]:
        """`owner`: `chain`, `me` or a staff id; `due_on` an ISO day; `per` is `contact` or `company`.

        `minutes` counts for a meeting only, which finds the first free hour of its owner on `due_on` or later.
        """
        problems: list[Problem] = []
        owner_id = self._owner_id(session, params, by, problems)
        kept = {
            "title": str(params.get("title", "")).strip(),
            "due_on": str(params.get("due_on", "")),
            "kind": str(params.get("kind") or "to_do"),
            "minutes": None,
            "note": str(params.get("note", "")),
            "owner_id": owner_id,
            "per": str(params.get("per") or "contact"),
            "once": str(params.get("once", ""))[:40],
        }
        if kept["per"] not in {"contact", "company"}:
            problems.append(Problem("per", "one task for each contact or for each company"))
        if kept["kind"] == FollowUpKind.MEETING and (text := str(params.get("minutes") or "")):
            kept["minutes"] = read_id(text) or 0
        try:
            followups.check_spec(_spec_of(kept))
        except InputError as error:
            problems += error.problems
        except ValueError:
            problems.append(Problem("due_on", f"not a day: {kept['due_on']!r}", "2026-12-31"))
            if not kept["title"]:
                problems.append(Problem("title", "a task needs a title"))
        if problems:
            raise InputError(problems)
        return kept

    def _owner_id(self, session: Session, params: Params, by: int | None, problems: list[Problem]) -> int | None:
        text = str(params.get("owner") or "chain")
        if text == "chain":
            return None
        number = by if text == "me" else read_id(text)
        if number is None or find_staff_by_id(session, number) is None:
            problems.append(Problem("owner", "nobody of the staff", "choose somebody, or the contact's own owner"))
        return number

    def apply(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Outcome:
        """Create tasks; a repeated `once` leaves those who have one."""
        others = _with_earlier_colleague(session, task, ids) if task.params.get("per") == "company" else set()
        spec = _spec_of(task.params, source=source_of(task), segment_id=task.segment_id)
        occasion = task.params.get("once") or str(task.id)
        wanted = [number for number in ids if number not in others]
        made = followups.create_for_contacts(session, wanted, spec, occasion=occasion)
        return Outcome(made, dict.fromkeys(others, "same_company"))

    def undo(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Sequence[int]:
        """Cancel those that are still open."""
        return followups.withdraw(session, ids, source_of(task))


def _spec_of(params: Params, *, source: str = "", segment_id: int | None = None) -> TaskSpec:
    return TaskSpec(
        title=params["title"], due_on=date.fromisoformat(params["due_on"]), kind=params["kind"], note=params["note"],
        minutes=params.get("minutes"),
        owner_id=params["owner_id"], source=source, segment_id=segment_id,
    )  # fmt: skip


def _with_earlier_colleague(session: Session, task: BulkTask, ids: Sequence[int]) -> set[int]:
    """Return the contacts in whose company somebody of the task has a lower id and is not archived."""
    colleague = aliased(Contact)
    earlier = select(colleague.id).join(BulkMember, BulkMember.contact_id == colleague.id)
    earlier = earlier.where(
        BulkMember.bulk_task_id == task.id,
        colleague.company_id == Contact.company_id,
        colleague.id < Contact.id,
        colleague.archived_at.is_(None),
    )
    query = select(Contact.id).where(is_among(session, Contact.id, ids), exists(earlier.correlate(Contact)))
    return set(session.scalars(query))


class SetField:
    """One value in a field of every contact, or none."""

    def check(self, session: Session, params: Params, by: int | None) -> dict[str, Any]:
        """`field`: a key; `value`: text as people write it, or `clear`: `1`, so that nothing is emptied by mistake."""
        del by
        found = find_field(session, str(params.get("field", "")))
        is_cleared = str(params.get("clear", "")) == "1"
        value = None if is_cleared else read_value(session, found, params.get("value", ""))
        if value is None and not is_cleared:
            raise InputError("give a value", where="value", mend="or choose to clear the field")
        return {"field": found.key, "label": found.label, "value": value}

    def apply(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Outcome:
        """Set it where it differs, and keep what was there."""
        name = task.params["field"]
        before = changes.read_field(session, ids, name)
        changed = changes.set_field(session, ids, name, task.params["value"], utc_now())
        return Outcome(changed, before={number: before.get(number) for number in changed})

    def undo(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Sequence[int]:
        """Write back what was there, for those who still have the task's value."""
        name = task.params["field"]
        ours = changes.list_equal(session, ids, name, task.params["value"])
        of_task = (BulkMember.bulk_task_id == task.id, is_among(session, BulkMember.contact_id, sorted(ours)))
        rows = session.execute(select(BulkMember.contact_id, BulkMember.before).where(*of_task)).all()
        changes.restore_field(session, [(number, before) for number, before in rows], name, utc_now())
        return sorted(ours)


class AddTag:
    """A tag on every contact."""

    def check(self, session: Session, params: Params, by: int | None) -> dict[str, Any]:
        """`tag`: a word."""
        del session, by
        return {"tag": _checked_tag(params)}

    def apply(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Outcome:
        """Give it to those who do not have it."""
        return Outcome(changes.tag_contacts(session, ids, _tag_id(session, task)))

    def undo(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Sequence[int]:
        """Take it away from those who still have it."""
        return changes.untag_contacts(session, ids, _tag_id(session, task))


class RemoveTag:
    """A tag taken away from every contact."""

    def check(self, session: Session, params: Params, by: int | None) -> dict[str, Any]:
        """`tag`: a word."""
        del session, by
        return {"tag": _checked_tag(params)}

    def apply(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Outcome:
        """Take it away from those who have it."""
        return Outcome(changes.untag_contacts(session, ids, _tag_id(session, task)))

    def undo(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Sequence[int]:
        """Give it back to those who have not got it meanwhile."""
        return changes.tag_contacts(session, ids, _tag_id(session, task))


def _checked_tag(params: Params) -> str:
    tag = str(params.get("tag", "")).strip()
    if not tag or len(tag) > _TAG_LIMIT or "," in tag:
        raise InputError(f"a tag has 1 to {_TAG_LIMIT} characters and no comma", where="tag")
    return tag


def _tag_id(session: Session, task: BulkTask) -> int:
    tag = task.params["tag"]
    return ensure_tags(session, [tag])[tag]


class AddToSegment:
    """Every contact on the list of a static segment."""

    def check(self, session: Session, params: Params, by: int | None) -> dict[str, Any]:
        """`segment_id`: a static segment that `by` may see."""
        return _checked_target(session, params, by)

    def apply(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Outcome:
        """Add those who are not on it."""
        there = _list_listed(session, task, ids)
        fresh = [number for number in ids if number not in there]
        members.add_members(session, task.params["segment_id"], fresh, cause=source_of(task), by=task.created_by)
        return Outcome(fresh)

    def undo(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Sequence[int]:
        """Take those out whom the task has added; not one who was taken out and added again since."""
        ours = sorted(_list_listed(session, task, ids, cause=source_of(task)))
        cause = f"undo {source_of(task)}"
        members.remove_members(session, task.params["segment_id"], ours, cause=cause, by=task.undone_by)
        return ours


class RemoveFromSegment:
    """Every contact taken out of a static segment."""

    def check(self, session: Session, params: Params, by: int | None) -> dict[str, Any]:
        """`segment_id`: a static segment that `by` may see."""
        return _checked_target(session, params, by)

    def apply(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Outcome:
        """Take out those who are on it."""
        there = sorted(_list_listed(session, task, ids))
        members.remove_members(session, task.params["segment_id"], there, cause=source_of(task), by=task.created_by)
        return Outcome(there)

    def undo(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Sequence[int]:
        """Add those again who have not come back meanwhile."""
        there = _list_listed(session, task, ids)
        missing = [number for number in ids if number not in there]
        cause = f"undo {source_of(task)}"
        members.add_members(session, task.params["segment_id"], missing, cause=cause, by=task.undone_by)
        return missing


def _checked_target(session: Session, params: Params, by: int | None) -> dict[str, Any]:
    text = str(params.get("segment_id", ""))
    number = read_id(text)
    target = session.get(Segment, number) if number is not None else None
    if target is None or target.kind != SegmentKind.STATIC or target.archived_at is not None:
        raise InputError("choose a static segment", where="segment_id", mend="only lists can be added to")
    try:
        require_visible(session, [target], by)
    except NotFoundError as error:
        raise InputError("choose a static segment", where="segment_id") from error
    return {"segment_id": target.id, "segment": target.name}


def _list_listed(session: Session, task: BulkTask, ids: Sequence[int], *, cause: str = "") -> set[int]:
    query = select(SegmentMember.contact_id).where(
        SegmentMember.segment_id == task.params["segment_id"], is_among(session, SegmentMember.contact_id, ids)
    )
    return set(session.scalars(query.where(SegmentMember.cause == cause) if cause else query))


class Archive:
    """Contacts archived: out of every list and audience, with all that is known of them kept."""

    def check(self, session: Session, params: Params, by: int | None) -> dict[str, Any]:
        """Nothing but the number of members, which the service compares."""
        del session, params, by
        return {}

    def apply(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Outcome:
        """Archive."""
        del task
        return Outcome(changes.archive_contacts(session, ids, utc_now()))

    def undo(self, session: Session, task: BulkTask, ids: Sequence[int]) -> Sequence[int]:
        """Bring those back who are still archived."""
        del task
        return changes.unarchive_contacts(session, ids, utc_now())


OPERATIONS: Mapping[BulkKind, Operation] = {
    BulkKind.FOLLOW_UPS: FollowUps(),
    BulkKind.SET_FIELD: SetField(),
    BulkKind.ADD_TAG: AddTag(),
    BulkKind.REMOVE_TAG: RemoveTag(),
    BulkKind.ADD_TO_SEGMENT: AddToSegment(),
    BulkKind.REMOVE_FROM_SEGMENT: RemoveFromSegment(),
    BulkKind.ARCHIVE: Archive(),
}
