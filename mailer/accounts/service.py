"""Staff come, sign in, change passwords and go; each of it leaves an audit line."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailer.accounts import queries
from mailer.accounts.passwords import check_new_password, hash_password, is_password, new_password
from mailer.addresses import AddressError, check_address
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotAllowedError
from mailer.schema.accounts import AuditEvent, Staff
from mailer.statuses import Role

MAX_FAILURES = 5
LOCK_TIME = timedelta(minutes=5)


def record_audit(
    session: Session,
    action: str,
    *,
    by: int | None = None,
    actor: str = "",
    subject: tuple[str, int | None] = ("", None),
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append an audit line. `action` is `room.verb_noun`; `by` a member of staff, else `actor` says who it was."""
    session.add(
        AuditEvent(
            at=utc_now(),
            staff_id=by,
            actor=actor or ("staff" if by else "command"),
            action=action,
            subject_kind=subject[0],
            subject_id=subject[1],
            detail=dict(detail or {}),
        )
    )


def create_staff(
    ctx: Context, email: str, role: Role, *, name: str = "", by: int | None = None, is_one_time: bool = True
) -> tuple[Staff, str]:
    """Create a member of staff; return the row and a password, which is shown once and stored nowhere.

    `is_one_time`: the first sign-in must choose another.

    Raises:
        InputError: the address is not valid.
        ConflictError: somebody has this address already.
    """
    try:
        address = check_address(email).email
    except AddressError as error:
        raise InputError(str(error), where="email") from error
    password = new_password()
    hashed = hash_password(password)
    with ctx.write() as session:
        if queries.find_staff(session, address):
            raise ConflictError(f"{address} is staff already", mend="give them a new password instead")
        staff = Staff(
            email=address,
            name=name.strip(),
            role=role.value,
            password_hash=hashed,
            must_change_password=is_one_time,
            created_at=utc_now(),
        )
        session.add(staff)
        session.flush()
        record_audit(session, "accounts.create_staff", by=by, subject=("staff", staff.id), detail={"role": role.value})
    return staff, password


def authenticate(ctx: Context, email: str, password: str) -> Staff:
    """Return who signs in.

    Five wrong passwords lock the account for five minutes. The answer and its time are the same for unknown addresses.

    Raises:
        NotAllowedError: wrong address or password, or locked.
    """
    with ctx.read() as session:
        staff = queries.find_staff(session, email)
    now = utc_now()
    known = staff is not None and staff.archived_at is None
    locked = staff is not None and staff.locked_until is not None and staff.locked_until > now
    right = is_password(password, staff.password_hash if staff is not None and known else None)
    if staff is None or not known or locked or not right:
        if staff is not None and known and not locked:
            _count_failure(ctx, staff.id)
        raise NotAllowedError("wrong address or password", mend="after five wrong tries it rests for 5 minutes")
    with ctx.write() as session:
        session.execute(
            update(Staff).where(Staff.id == staff.id).values(failed_logins=0, locked_until=None, last_login_at=now)
        )
        record_audit(session, "accounts.sign_in", by=staff.id, subject=("staff", staff.id))
    return staff


def _count_failure(ctx: Context, staff_id: int) -> None:
    with ctx.write() as session:
        session.execute(update(Staff).where(Staff.id == staff_id).values(failed_logins=Staff.failed_logins + 1))
        failures = session.scalar(select(Staff.failed_logins).where(Staff.id == staff_id)) or 0
        if failures >= MAX_FAILURES:
            session.execute(
                update(Staff).where(Staff.id == staff_id).values(failed_logins=0, locked_until=utc_now() + LOCK_TIME)
            )
            record_audit(session, "accounts.lock", actor="sign-in", subject=("staff", staff_id))


def change_password(ctx: Context, staff_id: int, old: str, new: str) -> Staff:
    """Change one's own password; every session ends, also this one unless the caller signs in again.

    Raises:
        NotAllowedError: the old password is wrong.
        InputError: the new one is not good enough.
    """
    with ctx.read() as session:
        staff = queries.find_staff_by_id(session, staff_id)
    if staff is None or not is_password(old, staff.password_hash):
        raise NotAllowedError("the present password is wrong")
    check_new_password(new, email=staff.email)
    if new == old:
        raise InputError("this is the present password", where="password", mend="choose another")
    hashed = hash_password(new)
    with ctx.write() as session:
        staff = session.get_one(Staff, staff_id)
        staff.password_hash = hashed
        staff.must_change_password = False
        staff.session_version += 1
        record_audit(session, "accounts.change_password", by=staff_id, subject=("staff", staff_id))
    return staff


def reset_password(ctx: Context, public_id: uuid.UUID, *, by: int | None) -> tuple[Staff, str]:
    """Give a member of staff a new one-time password; their sessions end."""
    password = new_password()
    hashed = hash_password(password)
    with ctx.write() as session:
        staff = queries.get_staff(session, public_id)
        staff.password_hash = hashed
        staff.must_change_password = True
        staff.session_version += 1
        staff.locked_until = None
        record_audit(session, "accounts.reset_password", by=by, subject=("staff", staff.id))
    return staff, password


def update_staff(
    ctx: Context, public_id: uuid.UUID, *, role: Role, name: str, by: int, group_name: str | None = None
) -> Staff:
    """Change name, role and group (empty: none; None: as it is); ConflictError where the last admin would be gone."""
    with ctx.write() as session:
        staff = queries.get_staff(session, public_id)
        if role is not Role.ADMIN:
            _keep_an_admin(session, staff)
        before = staff.role
        staff.role = role.value
        staff.name = name.strip()
        staff.group_name = staff.group_name if group_name is None else group_name.strip()[:100]
        record_audit(
            session,
            "accounts.update_staff",
            by=by,
            subject=("staff", staff.id),
            detail={"role": role.value, "before": before, "group": staff.group_name},
        )
    return staff


def archive_staff(ctx: Context, public_id: uuid.UUID, *, by: int) -> Staff:
    """Take away a person's access; their sessions end. What they did keeps their name."""
    with ctx.write() as session:
        staff = queries.get_staff(session, public_id)
        if staff.id == by:
            raise ConflictError("you cannot take away your own access", mend="ask another admin")
        _keep_an_admin(session, staff)
        staff.archived_at = utc_now()
        staff.session_version += 1
        record_audit(session, "accounts.archive_staff", by=by, subject=("staff", staff.id))
    return staff


def _keep_an_admin(session: Session, leaving: Staff) -> None:
    others = select(func.count()).where(
        Staff.role == Role.ADMIN.value, Staff.archived_at.is_(None), Staff.id != leaving.id
    )
    if leaving.role == Role.ADMIN.value and not session.scalar(others):
        raise ConflictError("this is the last admin", mend="make somebody else admin first")
