"""What time does to sign-ups: links run out, data that nobody confirmed is deleted, and only counts of it stay.

In pages, so that no transaction is long; everything may be repeated.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import insert_into
from mailer.delivery.forget import forget_recipients
from mailer.forms.limits import collect_refusals
from mailer.log import get_logger
from mailer.schema.forms import Form, FormRefusal, SignUp, SignUpAddress
from mailer.statuses import SignUpRefusal, SignUpStatus

log = get_logger("forms")
KEPT_FOR = timedelta(days=30)
_PAGE = 500
_UNCONFIRMED = (SignUpStatus.PENDING.value, SignUpStatus.EXPIRED.value, SignUpStatus.REFUSED.value)


def tidy(ctx: Context) -> None:
    """Do all of it; who was turned away at the door is written down by `write_refusals`."""
    expired = _in_pages(ctx, _expire)
    deleted = _in_pages(ctx, _delete)
    forgotten = _in_pages(ctx, _forget_addresses)
    if expired or deleted or forgotten:
        log.info("sign_ups_tidied", expired=expired, deleted=deleted, forgotten=forgotten)


def _in_pages(ctx: Context, work: Callable[[Session, Context], int]) -> int:
    total = 0
    while True:
        with ctx.write() as session:
            done = work(session, ctx)
        total += done
        if done < _PAGE:
            return total


def _expire(session: Session, ctx: Context) -> int:
    """Let links run out whose seven days are over."""
    late = select(SignUp.id).where(
        SignUp.status == SignUpStatus.PENDING.value, SignUp.expires_at <= ctx.clock.now()
    ).limit(_PAGE)  # fmt: skip
    done = session.execute(
        update(SignUp)
        .where(SignUp.id.in_(late.scalar_subquery()), SignUp.status == SignUpStatus.PENDING.value)
        .values(status=SignUpStatus.EXPIRED.value)
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def _delete(session: Session, ctx: Context) -> int:
    """Delete what nobody confirmed within 30 days, whatever became of it; counts stay, by day and reason."""
    rows = session.execute(
        select(SignUp.id, SignUp.form_id, SignUp.reason, SignUp.submitted_at, SignUp.message_id)
        .where(SignUp.status.in_(_UNCONFIRMED), SignUp.submitted_at <= ctx.clock.now() - KEPT_FOR)
        .order_by(SignUp.id)
        .limit(_PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    counts = Counter(
        (row.form_id, row.submitted_at.date(), row.reason or SignUpRefusal.UNCONFIRMED.value) for row in rows
    )
    _add_refusals(session, counts)
    forget_recipients(session, [row.message_id for row in rows if row.message_id is not None])
    session.execute(
        delete(SignUp).where(SignUp.id.in_([row.id for row in rows])).execution_options(synchronize_session=False)
    )
    return len(rows)


def _forget_addresses(session: Session, ctx: Context) -> int:
    """Forget how many mails an address got once it has been quiet for 30 days."""
    quiet = select(SignUpAddress.address_hash).where(SignUpAddress.last_mail_at <= ctx.clock.now() - KEPT_FOR)
    done = session.execute(
        delete(SignUpAddress)
        .where(SignUpAddress.address_hash.in_(quiet.limit(_PAGE).scalar_subquery()))
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def write_refusals(ctx: Context) -> None:
    """Write down how many were turned away since the last time, by form, day and reason."""
    counted = collect_refusals(ctx.redis)
    if not counted:
        return
    today = utc_now().date()
    with ctx.write() as session:
        forms = set(session.scalars(select(Form.id).where(Form.id.in_({form_id for form_id, _ in counted}))))
        known = {(form_id, today, reason): n for (form_id, reason), n in counted.items() if form_id in forms}
        _add_refusals(session, known)


def _add_refusals(session: Session, counts: Mapping[tuple[int, date, str], int]) -> None:
    rows = [
        {"form_id": form_id, "day": day, "reason": reason, "count": count}
        for (form_id, day, reason), count in sorted(counts.items())
    ]
    if not rows:
        return
    statement = insert_into(session, FormRefusal)
    total = {"count": FormRefusal.count + statement.excluded.count}
    session.connection().execute(
        statement.on_conflict_do_update(index_elements=["form_id", "day", "reason"], set_=total), rows
    )
