"""Permission that runs out on its day: written down once, however often and by however many the job runs."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.consent import expiry, queries, service
from mailer.consent.replay import list_differences, rebuild_state
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.imports.service import ImportOptions, import_contacts
from mailer.schema.consent import Consent, ConsentEvent, Subscription
from mailer.schema.contacts import Contact
from mailer.statuses import Basis, Permission
from tests.support.make import make_contact, make_topic, make_workspace

CAUSE = Cause(source="fair in Oslo", channel="import")


def _give(ctx: Context, days: float | None, count: int = 1) -> list[int]:
    end = None if days is None else utc_now() + timedelta(days=days)
    with ctx.write() as session:
        people = [make_contact(session) for _ in range(count)]
        for contact in people:
            service.give_permission(
                session, contact, Permission.CUSTOMER, CAUSE, basis=Basis.CUSTOMER, expires_at=end
            )  # fmt: skip
    return [contact.id for contact in people]


def _lines(ctx: Context, contact_id: int) -> list[tuple[str, str | None]]:
    with ctx.read() as session:
        ledger_id = session.get_one(Contact, contact_id).ledger_id
        rows = session.scalars(
            select(ConsentEvent).where(ConsentEvent.ledger_id == ledger_id).order_by(ConsentEvent.id)
        )
        return [(row.verdict, row.permission) for row in rows]


def test_what_ran_out_is_written_into_ledger_and_table_once(ctx: Context) -> None:
    (over,), (stays,), (later,) = _give(ctx, -1), _give(ctx, None), _give(ctx, 1)

    assert expiry.expire_due(ctx) == 1
    assert expiry.expire_due(ctx) == 0

    assert _lines(ctx, over) == [("given", "customer"), ("expired", "none")]
    assert _lines(ctx, stays) == _lines(ctx, later) == [("given", "customer")]
    with ctx.read() as session:
        assert queries.get_permission(session, over) is Permission.NONE
        assert session.get_one(Consent, (over, "e_marketing")).expires_at is not None
        assert list_differences(session) == []


def test_many_run_out_in_chunks(ctx: Context) -> None:
    _give(ctx, -1, count=7)

    assert expiry.expire_due(ctx, chunk=3) == 7


def test_two_processes_write_a_line_each_person_once(make_ctx: Callable[..., Context]) -> None:
    ctx, other = make_ctx(), make_ctx()
    (contact_id,) = _give(ctx, -1)

    assert expiry.expire_due(ctx) + expiry.expire_due(other) == 1
    assert len(_lines(ctx, contact_id)) == 2


def test_permission_that_came_again_in_time_does_not_run_out(ctx: Context) -> None:
    (contact_id,) = _give(ctx, -1)
    with ctx.write() as session:
        service.give_permission(session, session.get_one(Contact, contact_id), Permission.CONSENT, CAUSE)

    assert expiry.expire_due(ctx) == 0


def test_withdrawn_permission_stays_withdrawn(ctx: Context) -> None:
    (contact_id,) = _give(ctx, -1)
    service.object_to_mail(ctx, contact_id, CAUSE)

    assert expiry.expire_due(ctx) == 0


@pytest.mark.parametrize(
    ("basis", "days", "is_given"),
    [(Basis.CUSTOMER, 730, True), (Basis.BUSINESS, 730, True), (Basis.CONSENT, 730, False), (Basis.CUSTOMER, 0, False)],
)
def test_implied_consent_runs_out_by_the_setting(ctx: Context, basis: Basis, days: int, is_given: bool) -> None:
    now = utc_now()
    with ctx.write() as session:
        make_workspace(session, limits={"implied_consent_days": days})
        assert expiry.find_end(session, basis, now) == (now + timedelta(days=days) if is_given else None)


def test_an_import_says_when_its_permission_runs_out(ctx: Context, tmp_path: Path) -> None:
    """In file order: by a day of its own, else by the workspace's setting; the ledger says so, too."""
    now = utc_now()
    with ctx.write() as session:
        make_workspace(session, limits={"implied_consent_days": 10})
    for name, expires_at in (("a", None), ("b", now + timedelta(days=3))):
        file = tmp_path / f"{name}.csv"
        file.write_text(f"email\n{name}@example.com\n", encoding="utf-8")
        import_contacts(ctx, file, ImportOptions(basis="customer", source="CRM", expires_at=expires_at))

    with ctx.read() as session:
        ends = session.scalars(select(Consent.expires_at).order_by(Consent.contact_id)).all()
        written = session.scalars(select(ConsentEvent.ends_at).order_by(ConsentEvent.id)).all()
        assert [round((end - now).total_seconds() / 86400) for end in ends if end] == [10, 3]
        assert written == ends
        assert list_differences(session) == []


def test_tables_are_made_anew_from_the_ledger(ctx: Context) -> None:
    first, second, third = _give(ctx, 30, count=3)
    with ctx.write() as session:
        topic = make_topic(session)
        service.subscribe(session, session.get_one(Contact, third), topic.id, CAUSE)
        session.execute(update(Consent).where(Consent.contact_id == first).values(permission="consent"))
        session.execute(update(Consent).where(Consent.contact_id == second).values(expires_at=None))
        session.delete(session.get_one(Subscription, (third, topic.id)))
        stranger = make_contact(session)
        session.add(
            Consent(
                contact_id=stranger.id, purpose="e_marketing", permission="consent", source="", updated_at=utc_now()
            )
        )

    with ctx.read() as session:
        assert len(list_differences(session)) == 4
    assert rebuild_state(ctx) == 4
    with ctx.read() as session:
        assert list_differences(session) == []
        assert queries.get_permission(session, first) is Permission.CUSTOMER
        assert queries.get_permission(session, stranger.id) is Permission.NONE
        assert session.get_one(Consent, (second, "e_marketing")).expires_at is not None
    assert rebuild_state(ctx) == 0
