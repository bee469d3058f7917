"""Create, change and copy segments; each with its line in the audit.

They become lists in freezing.py and go in removal.py. Members of static segments are in members.py, the watch and its
history in history/, bulk tasks in bulk/.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from mailer.accounts.queries import find_staff_by_id
from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError
from mailer.schema.segments import Segment, SegmentInput
from mailer.segments import queries
from mailer.segments.algebra import check_operands
from mailer.segments.history.record import note_rule_change
from mailer.segments.jobs import LOOK
from mailer.segments.locking import lock_segment
from mailer.segments.members import BY_HAND, add_members, add_members_of
from mailer.segments.recipes import RECIPES
from mailer.segments.resolve import TooLargeError
from mailer.segments.rules import named_segments
from mailer.segments.uses import list_dependents, list_used, record_uses
from mailer.segments.visibility import Visibility, require_visible, visibility_of
from mailer.statuses import SegmentKind, SegmentOperation

_NAME_LIMIT = 200


def create_static(
    ctx: Context,
    name: str,
    *,
    description: str = "",
    contact_ids: Iterable[int] = (),
    cause: str = BY_HAND,
    by: int | None = None,
) -> Segment:
    """Create a static segment with these members; ids of nobody are left out."""
    with ctx.write() as session:
        segment = _add(session, name, SegmentKind.STATIC, by, description=description)
        add_members(session, segment.id, contact_ids, cause=cause, by=by)
    return segment


def create_dynamic(
    ctx: Context, name: str, rule: Mapping[str, Any], *, description: str = "", by: int | None = None
) -> Segment:
    """Create a segment from a rule.

    Raises:
        InputError: the rule is wrong, by place in the tree.
        NotFoundError: it asks about a segment that does not exist, or that `by` may not see.
    """
    with ctx.write() as session:
        segment = _add(
            session, name, SegmentKind.DYNAMIC, by, rule=queries.pin_rule(session, rule), description=description
        )
        _record_named(session, segment, by)
    return segment


def create_combined(
    ctx: Context,
    name: str,
    operation: SegmentOperation,
    inputs: Sequence[int | str],
    *,
    description: str = "",
    by: int | None = None,
) -> Segment:
    """Create a set operation over other segments, named by name or id, in this order.

    Raises:
        InputError: too few or too many inputs.
        NotFoundError: an input does not exist, or `by` may not see it.
    """
    check_operands(operation, len(inputs))
    with ctx.write() as session:
        operands = [queries.get_segment(session, text) for text in inputs]
        require_visible(session, operands, by)
        segment = _add(session, name, SegmentKind.COMBINED, by, operation=operation.value, description=description)
        _set_inputs(session, segment, operands)
        queries.member_condition(session, segment, utc_now().date())  # raises where it is too deep or too large
    return segment


def copy_members(ctx: Context, source: Segment, name: str, *, by: int | None = None) -> Segment:
    """Create a static segment with the members that another has now; the other stays as it is.

    It is in no list before it is whole: one that dies half-way leaves an archived segment behind.
    """
    with ctx.write() as session:
        made = _add(session, name, SegmentKind.STATIC, by, description=source.description, archived_at=utc_now())
    add_members_of(ctx, made.id, source, cause=f"copied:{source.id}", by=by)
    with ctx.write() as session:
        segment = lock_segment(session, made.id)
        segment.archived_at = None
    return segment


def update_segment(
    ctx: Context, segment_id: int, *, name: str | None = None, description: str | None = None,
    rule: Mapping[str, Any] | None = None, operation: SegmentOperation | None = None,
    inputs: Sequence[int | str] | None = None, seen: datetime | None = None, by: int | None = None,
) -> Segment:  # fmt: skip
    """Change what is given; the kind stays. Where it or a segment that asks about it is watched, a look follows.

    `seen`: the `updated_at` of the segment that the change was made on; without, the last one to save wins.

    Raises:
        ConflictError: somebody changed it since `seen`; the change would make segments go round in a circle, or does
            not fit the kind.
    """
    with ctx.write() as session:
        segment = lock_segment(session, segment_id)
        if seen is not None and segment.updated_at != seen:
            raise ConflictError(
                f"{segment.name!r} was changed by somebody else meanwhile",
                mend="look at theirs in another window; saving again puts yours in its place",
            )
        before = _properties(segment)
        if name is not None:
            segment.name = _checked_name(name)
        segment.description = segment.description if description is None else description
        if rule is not None:
            _require(segment, SegmentKind.DYNAMIC)
            segment.rule = queries.pin_rule(session, rule)
            _record_named(session, segment, by)
        if operation is not None or inputs is not None:
            _require(segment, SegmentKind.COMBINED)
            _change_combined(session, segment, operation, inputs, by)
        if rule is not None or operation is not None or inputs is not None:
            _look_again(ctx, session, segment)
        _audit_change(session, segment, before, by, is_rule=rule is not None)
        segment.updated_at = utc_now()
    return segment


def set_properties(
    ctx: Context,
    segment_id: int,
    *,
    name: str | None = None,
    description: str | None = None,
    visibility: Visibility | None = None,
    owner_id: int | None = None,
    by: int | None = None,
) -> Segment:
    """Change name, description, owner and who sees it; what is None stays (FEATURES S14).

    `Visibility.GROUP` is the group that the owner works in now.

    Raises:
        InputError: no name, nobody works here under `owner_id`, or the owner is in no group; lists everything.
    """
    with ctx.write() as session:
        segment = lock_segment(session, segment_id)
        before = _properties(segment)
        segment.name = segment.name if name is None else _checked_name(name)
        segment.description = segment.description if description is None else description
        if owner_id is not None:
            if find_staff_by_id(session, owner_id) is None:
                raise InputError("nobody of the staff has this number", where="owner")
            segment.owner_id = owner_id
        if visibility is not None or owner_id is not None:
            _set_visibility(session, segment, visibility or visibility_of(segment))
        _audit_change(session, segment, before, by)
        segment.updated_at = utc_now()
    return segment


def _set_visibility(session: Session, segment: Segment, wanted: Visibility) -> None:
    segment.visibility = "all" if wanted is Visibility.ALL else "private"
    segment.group_name = ""
    if wanted is Visibility.ALL:
        return
    owner = find_staff_by_id(session, segment.owner_id or 0)
    if owner is None:
        raise InputError("nobody owns the segment, so nobody would see it", where="owner", mend="choose an owner")
    if wanted is Visibility.GROUP:
        if not owner.group_name:
            raise InputError("the owner is in no group", where="visibility", mend="an admin sets it under Staff")
        segment.group_name = owner.group_name


def list_twins(session: Session, name: str, *, except_id: int = 0) -> Sequence[Segment]:
    """Return other segments of this name: allowed, but worth a warning, since names are how rules refer to them."""
    same = (Segment.name == name.strip(), Segment.archived_at.is_(None), Segment.id != except_id)
    return session.scalars(select(Segment).where(*same).order_by(Segment.id)).all()


def _change_combined(
    session: Session,
    segment: Segment,
    operation: SegmentOperation | None,
    inputs: Sequence[int | str] | None,
    by: int | None,
) -> None:
    there = queries.list_inputs(session, segment.id)
    operands = there if inputs is None else [queries.get_segment(session, text) for text in inputs]
    known = {operand.id for operand in there}
    require_visible(session, [operand for operand in operands if operand.id not in known], by)
    wanted = operation or SegmentOperation(str(segment.operation))
    check_operands(wanted, len(operands))
    segment.operation = wanted.value
    _set_inputs(session, segment, operands)
    queries.member_condition(session, segment, utc_now().date())  # raises with the path where it goes round


def _look_again(ctx: Context, session: Session, segment: Segment) -> None:
    session.flush()
    changed = sorted(list_dependents(session, segment.id))
    _require_askable(session, [number for number in changed if number != segment.id])
    for segment_id in note_rule_change(session, changed):
        ctx.ring(session, LOOK, segment_id)


def _require_askable(session: Session, segment_ids: Sequence[int]) -> None:
    """Refuse a change after which a segment above is too deep or too large to be asked; one that was broken stays so.

    Raises:
        InputError: names it.
    """
    for above in session.scalars(select(Segment).where(Segment.id.in_(segment_ids), Segment.archived_at.is_(None))):
        try:
            queries.member_condition(session, above, utc_now().date())
        except TooLargeError as error:
            raise InputError(f"{above.name!r}, which asks about it: {error.message}", mend=error.mend) from error


def ensure_recipes(ctx: Context) -> int:
    """Create the ready segments in a workspace that has no segment yet; return how many. Safe to repeat."""
    with ctx.write() as session:
        if session.scalar(select(Segment.id).limit(1)) is not None:
            return 0
        for recipe in RECIPES:
            _add(session, recipe.name, SegmentKind.DYNAMIC, None, rule=recipe.rule, description=recipe.description)
    return len(RECIPES)


# ------------------------------------------------------------------ building blocks


def _record_named(session: Session, segment: Segment, by: int | None) -> None:
    """Check a rule, the segments that it names and that it does not go round; record that it uses them."""
    group = queries.read_rule(session, segment.rule)
    named = [queries.get_segment(session, name) for name in named_segments(group)]
    known = list_used(session, "segment", segment.id)
    require_visible(session, [one for one in named if one.id not in known], by)
    record_uses(session, [one.id for one in named], "segment", segment.id)
    queries.member_condition(session, segment, utc_now().date())


def _add(session: Session, name: str, kind: SegmentKind, by: int | None, **values: Any) -> Segment:
    now = utc_now()
    segment = Segment(name=_checked_name(name), kind=kind.value, owner_id=by, created_at=now, updated_at=now, **values)
    session.add(segment)
    session.flush()
    detail = {"name": segment.name, "kind": kind.value}
    record_audit(session, "segments.create", by=by, subject=("segment", segment.id), detail=detail)
    return segment


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _NAME_LIMIT:
        raise InputError(f"a segment needs a name of at most {_NAME_LIMIT} characters", where="name")
    return name


def _properties(segment: Segment) -> dict[str, Any]:
    return {
        "name": segment.name,
        "description": segment.description,
        "owner_id": segment.owner_id,
        "visibility": visibility_of(segment).value,
        "operation": segment.operation,
    }


def _audit_change(
    session: Session, segment: Segment, before: Mapping[str, Any], by: int | None, *, is_rule: bool = False
) -> None:
    after = _properties(segment)
    changed = {key: {"from": before[key], "to": after[key]} for key in after if before[key] != after[key]}
    detail = changed | ({"rule": "changed"} if is_rule else {})
    if detail:
        record_audit(session, "segments.update", by=by, subject=("segment", segment.id), detail=detail)


def _set_inputs(session: Session, segment: Segment, operands: Sequence[Segment]) -> None:
    session.execute(delete(SegmentInput).where(SegmentInput.segment_id == segment.id))
    rows = [
        {"segment_id": segment.id, "ordinal": ordinal, "input_id": operand.id}
        for ordinal, operand in enumerate(operands)
    ]
    session.execute(insert(SegmentInput), rows)


def _require(segment: Segment, kind: SegmentKind) -> None:
    if segment.kind != kind:
        raise ConflictError(f"{segment.name!r} is {segment.kind}, not {kind}")
