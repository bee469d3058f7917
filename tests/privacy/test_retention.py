"""What has been kept long enough goes by itself, the preview says so before, and reports stay true without rows."""

import os
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, update

from mailer.accounts.control import change_settings
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.queries import count_states
from mailer.privacy.due import add_months, due_on
from mailer.privacy.retention import RULES, apply_retention, preview_retention, run_night
from mailer.reports.campaign_figures import get_campaign_figures
from mailer.schema.accounts import AuditEvent
from mailer.schema.bounces import BounceReport
from mailer.schema.consent import Consent, ConsentEvent, ConsentEvidence
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.privacy import RetentionRun
from mailer.schema.tracking import Hit
from mailer.tracking.evidence import cut_ip
from tests.privacy.traces import IP, World, leave_traces
from tests.support.make import make_reader, make_sending, make_topic, make_workspace


@pytest.fixture
def world(sending_ctx: Context) -> World:
    world = leave_traces(sending_ctx)
    with sending_ctx.write() as session:  # something newer in each table, which is the last row
        topic = make_topic(session)
        sending = make_sending(session, sending_ctx, [make_reader(session, topic)], topic)
        message_id = session.scalars(select(Message.id).where(Message.sending_id == sending.id)).one()
        now = utc_now()
        session.add(Hit(message_id=message_id, kind="open", method="GET", at=now, ip="198.51.100.7", hit_class="human"))
        session.add(AuditEvent(at=now, actor="test", action="test.new"))
    return world


def due(ctx: Context) -> dict[str, int]:
    return {one.limit: one.count for one in preview_retention(ctx)}


def age(ctx: Context, *statements: object) -> None:
    with ctx.write() as session:
        for statement in statements:
            session.execute(statement)  # type: ignore[call-overload]


def ago(days: float) -> object:
    return utc_now() - timedelta(days=days)


def test_each_rule_lets_go_what_the_preview_counts_and_nothing_before_its_time(
    sending_ctx: Context, world: World
) -> None:
    assert due(sending_ctx) == dict.fromkeys((rule.limit for rule in RULES), 0)
    assert set(apply_retention(sending_ctx).values()) == {0}
    for path in (sending_ctx.settings.data_dir / "uploads").rglob("*"):
        os.utime(path, (0, 0))
    age(
        sending_ctx,
        update(Hit).where(Hit.message_id == world.message_id).values(at=ago(31)),
        update(BounceReport).where(BounceReport.id == 1).values(received_at=ago(91)),
        update(Consent).where(Consent.contact_id == world.contact_id).values(updated_at=ago(3 * 366)),
        update(AuditEvent).where(AuditEvent.id == 1).values(at=ago(5 * 366)),
    )
    with sending_ctx.write() as session:
        session.execute(update(Consent).values(updated_at=utc_now()))
    before = due(sending_ctx)

    done = apply_retention(sending_ctx)

    assert before == {
        "keep_ip_days": 2, "keep_hits_days": 0, "keep_reports_days": 1, "keep_mails_months": 0, "keep_files_days": 3,
        "keep_evidence_years": 0, "keep_audit_years": 1,
    }  # fmt: skip
    assert {name: done[name] for name in before} == before
    assert set(due(sending_ctx).values()) == {0}
    with sending_ctx.read() as session:
        assert set(session.scalars(select(Hit.ip))) == {"203.0.113.0/24", "198.51.100.7"}
        assert session.get_one(BounceReport, 1).raw is None
        assert session.get_one(BounceReport, 1).verdict == "soft"


def test_evidence_goes_so_long_after_a_withdrawal_and_no_sooner(sending_ctx: Context, world: World) -> None:
    """She objected with evidence; of Bob, who objected to nothing, all proof stays."""
    with sending_ctx.read() as session:
        there = session.scalar(select(func.count()).select_from(ConsentEvidence))

    apply_retention(sending_ctx)
    with sending_ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(ConsentEvidence)) == there
    change_settings(sending_ctx, by=None, limits={"keep_evidence_years": 0})
    apply_retention(sending_ctx)

    with sending_ctx.read() as session:
        left = select(Contact.id).join(ConsentEvent, ConsentEvent.ledger_id == Contact.ledger_id)
        left = left.join(ConsentEvidence, ConsentEvidence.consent_event_id == ConsentEvent.id).distinct()
        whose = session.scalars(left).all()
    assert there
    assert world.contact_id not in whose


def test_reports_stay_true_when_the_mails_are_gone(sending_ctx: Context, world: World) -> None:
    age(sending_ctx, update(Sending).where(Sending.id == world.sending_id).values(finished_at=ago(2 * 366)))
    with sending_ctx.read() as session:
        figures = get_campaign_figures(session, world.sending_id)
        states = count_states(session, world.sending_id)
    assert figures.event("open", "human") == 1

    done = apply_retention(sending_ctx)

    assert done["keep_mails_months"] == 5
    with sending_ctx.read() as session:
        for table in (Message, Event):
            assert session.scalar(select(func.count()).where(table.sending_id == world.sending_id)) == 0
        assert session.scalar(select(func.count()).where(Hit.ip == IP)) == 0
        assert get_campaign_figures(session, world.sending_id) == figures
        assert count_states(session, world.sending_id) == states
    assert apply_retention(sending_ctx)["keep_mails_months"] == 0


def test_the_last_number_of_a_table_is_never_given_again(sending_ctx: Context) -> None:
    """The number of the last mail stands in links and bounce addresses of that mail."""
    with sending_ctx.write() as session:
        make_workspace(session)
        topic = make_topic(session)
        sending = make_sending(session, sending_ctx, [make_reader(session, topic) for _ in range(3)], topic)
        sending.state, sending.finished_at = "finished", ago(2 * 366)

    assert apply_retention(sending_ctx)["keep_mails_months"] == 2
    with sending_ctx.read() as session:
        assert count_states(session, sending.id)[0]["queued"] == 3


def test_a_night_is_worked_once(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session, timezone="UTC")
    night = utc_now().replace(hour=3)
    ctx.clock.offset = night - utc_now()

    assert run_night(ctx) is not None
    assert run_night(ctx) is None
    ctx.clock.offset += timedelta(days=1)
    assert run_night(ctx) is not None
    ctx.clock.offset += timedelta(hours=22)  # one in the night: not yet
    assert run_night(ctx) is None
    with ctx.read() as session:
        assert len(session.scalars(select(RetentionRun)).all()) == 2


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("unknown", ""),
    ],
)
def test_of_an_ip_the_network_is_left(ip: str, network: str) -> None:
    assert cut_ip(ip) == network


@pytest.mark.parametrize(
    ("received", "due", "extended"),
    [
        (date(2026, 3, 2), date(2026, 4, 2), date(2026, 6, 2)),
        (date(2026, 1, 31), date(2026, 3, 2), date(2026, 4, 30)),  # 28 February is a Saturday
        (date(2025, 11, 30), date(2025, 12, 30), date(2026, 3, 2)),  # 28 February is a Saturday
    ],
)
def test_a_request_is_due_after_a_month_and_after_three_where_it_is_hard(
    received: date, due: date, extended: date
) -> None:
    assert due_on(received) == due
    assert due_on(received, is_extended=True) == extended
    assert add_months(date(2024, 3, 31), -1) == date(2024, 2, 29)
