"""Staff: one-time passwords, the lock after wrong tries, sessions that end."""

import pytest
from sqlalchemy import select

from mailer.accounts import queries, service
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotAllowedError
from mailer.schema.accounts import AuditEvent
from mailer.statuses import Role


def test_new_staff_signs_in_with_the_one_time_password(ctx: Context) -> None:
    staff, password = service.create_staff(ctx, " Ada@Example.com ", Role.ADMIN)

    assert service.authenticate(ctx, "ada@example.com", password).id == staff.id
    assert staff.must_change_password


def test_an_address_is_staff_once(ctx: Context) -> None:
    service.create_staff(ctx, "ada@example.com", Role.ADMIN)

    with pytest.raises(ConflictError, match="staff already"):
        service.create_staff(ctx, "ADA@example.com", Role.SALES)


def test_five_wrong_passwords_lock_the_account_for_the_right_one_too(ctx: Context) -> None:
    _, password = service.create_staff(ctx, "ada@example.com", Role.ADMIN)

    for _ in range(service.MAX_FAILURES):
        with pytest.raises(NotAllowedError):
            service.authenticate(ctx, "ada@example.com", "wrong")

    with pytest.raises(NotAllowedError):
        service.authenticate(ctx, "ada@example.com", password)


def test_an_unknown_address_gets_the_answer_of_a_wrong_password(ctx: Context) -> None:
    service.create_staff(ctx, "ada@example.com", Role.ADMIN)

    with pytest.raises(NotAllowedError) as wrong:
        service.authenticate(ctx, "ada@example.com", "wrong")
    with pytest.raises(NotAllowedError) as unknown:
        service.authenticate(ctx, "bob@example.com", "wrong")

    assert wrong.value.message == unknown.value.message


def test_a_changed_password_ends_sessions_and_the_duty_to_change(ctx: Context) -> None:
    staff, password = service.create_staff(ctx, "ada@example.com", Role.ADMIN)

    changed = service.change_password(ctx, staff.id, password, "three plain words")

    assert changed.session_version == staff.session_version + 1
    assert not changed.must_change_password
    with pytest.raises(NotAllowedError):
        service.authenticate(ctx, "ada@example.com", password)


@pytest.mark.parametrize("bad", ["short", "ada@example.com"])
def test_a_weak_password_is_refused_with_the_reason(ctx: Context, bad: str) -> None:
    staff, password = service.create_staff(ctx, "ada@example.com", Role.ADMIN)

    with pytest.raises(InputError):
        service.change_password(ctx, staff.id, password, bad)


def test_the_last_admin_stays(ctx: Context) -> None:
    admin, _ = service.create_staff(ctx, "ada@example.com", Role.ADMIN)
    other, _ = service.create_staff(ctx, "bob@example.com", Role.SALES)

    with pytest.raises(ConflictError, match="last admin"):
        service.update_staff(ctx, admin.public_id, role=Role.SALES, name="", by=other.id)
    with pytest.raises(ConflictError, match="last admin"):
        service.archive_staff(ctx, admin.public_id, by=other.id)


def test_archived_staff_cannot_sign_in(ctx: Context) -> None:
    admin, _ = service.create_staff(ctx, "ada@example.com", Role.ADMIN)
    other, password = service.create_staff(ctx, "bob@example.com", Role.SALES)

    service.archive_staff(ctx, other.public_id, by=admin.id)

    with pytest.raises(NotAllowedError):
        service.authenticate(ctx, "bob@example.com", password)
    with ctx.read() as session:
        assert queries.find_staff_by_id(session, other.id) is None


def test_what_staff_do_is_in_the_audit(ctx: Context) -> None:
    staff, password = service.create_staff(ctx, "ada@example.com", Role.ADMIN)
    service.authenticate(ctx, "ada@example.com", password)

    with ctx.read() as session:
        actions = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()

    assert actions == ["accounts.create_staff", "accounts.sign_in"]
    assert staff.id
