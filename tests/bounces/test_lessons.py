"""What a person teaches about a report holds for all with its words, and lifts what only these have suppressed."""

import pytest
from sqlalchemy import func, select, update

from mailer.bounces import service, teaching
from mailer.clock import utc_now
from mailer.consent.suppressions import lift_suppressions
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.service import apply_event
from mailer.errors import ConflictError, InputError
from mailer.schema.bounces import BounceLesson, BounceReport
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address
from mailer.schema.delivery import Message
from mailer.statuses import EventKind
from tests.bounces.test_classify import plain
from tests.bounces.test_service import events, make_message, verp
from tests.support.engines import on_one_engine
from tests.support.ways_in import STRANGE


def count_state(ctx: Context, verdict: str) -> int:
    with ctx.read() as session:
        query = select(func.count()).select_from(BounceReport).where(BounceReport.verdict == verdict)
        return session.scalar(query) or 0


def test_a_lesson_is_applied_to_reports_that_are_here_and_to_later_ones(ctx: Context) -> None:
    message_id = make_message(ctx)
    first = service.record_report(ctx, STRANGE % 1, "test", rcpt_to=verp(ctx, message_id))
    second = service.record_report(ctx, STRANGE % 2, "test")
    service.process_reports(ctx)
    with ctx.read() as session:
        assert teaching.count_unrecognized(session) == 2
    assert [event[0] for event in events(ctx)] == ["soft_bounce"]

    assert teaching.teach(ctx, second, "hard").again == 2
    service.process_reports(ctx)
    service.record_report(ctx, STRANGE % 3, "test")
    service.process_reports(ctx)

    assert count_state(ctx, "hard") == 3
    assert [event[:2] for event in events(ctx)] == [("soft_bounce", "unknown"), ("hard_bounce", "taught")]
    with ctx.read() as session:
        assert teaching.count_unrecognized(session) == 0
        assert session.get_one(BounceReport, first).message_id == message_id
        assert "ada1" not in session.scalars(select(BounceLesson.words)).one()


@on_one_engine
def test_a_lesson_says_nothing_about_other_words(ctx: Context) -> None:
    taught = service.record_report(ctx, STRANGE % 1, "test")
    service.process_reports(ctx)
    teaching.teach(ctx, taught, "hard")
    other = (STRANGE % 2).replace(b"found nobody", b"found somebody")

    service.record_report(ctx, other, "test")
    service.process_reports(ctx)

    assert count_state(ctx, "hard") == 1


@on_one_engine
def test_a_lesson_that_is_forgotten_holds_for_nothing_later(ctx: Context) -> None:
    taught = service.record_report(ctx, STRANGE % 1, "test")
    service.process_reports(ctx)
    teaching.teach(ctx, taught, "not_bounce")
    service.process_reports(ctx)
    with ctx.read() as session:
        (lesson,) = teaching.list_lessons(session)

    teaching.forget(ctx, lesson.id)
    service.record_report(ctx, STRANGE % 2, "test")
    service.process_reports(ctx)

    assert (count_state(ctx, "not_bounce"), count_state(ctx, "soft")) == (1, 1)


@on_one_engine
def test_what_cannot_be_taught_is_refused(ctx: Context) -> None:
    report = service.record_report(ctx, STRANGE % 1, "test")
    short = service.record_report(ctx, plain("x", "y"), "test")
    gone = service.record_report(ctx, STRANGE % 2, "test")
    service.process_reports(ctx)
    with ctx.write() as session:
        session.get_one(BounceReport, gone).raw = None

    with pytest.raises(InputError):
        teaching.teach(ctx, report, "complaint")
    for number in (short, gone):
        with pytest.raises(ConflictError):
            teaching.teach(ctx, number, "hard")


@on_one_engine
def test_a_report_that_cannot_be_read_waits_and_is_then_left_to_a_person(ctx: Context) -> None:
    bad = service.record_report(ctx, b"no json", "webhook:mailgun")
    good = service.record_report(ctx, STRANGE % 1, "test")
    for _ in range(service.MAX_ATTEMPTS):
        service.process_reports(ctx)
        with ctx.write() as session:
            session.execute(update(BounceReport).values(retry_at=None))

    with ctx.read() as session:
        report = session.get_one(BounceReport, bad)
        assert (report.state, report.verdict, report.attempts) == ("unmatched", "undetermined", service.MAX_ATTEMPTS)
        assert session.get_one(BounceReport, good).verdict == "soft"


# ------------------------------------------------------------------ taking back


def teach_hard(ctx: Context) -> tuple[int, int]:
    """A mail whose report was taught to mean a dead mailbox; return message and report."""
    message_id = make_message(ctx)
    report = service.record_report(ctx, STRANGE % 1, "test", rcpt_to=verp(ctx, message_id))
    service.process_reports(ctx)
    teaching.teach(ctx, report, "hard")
    service.process_reports(ctx)
    assert active(ctx) == ["hard_bounce"]
    return message_id, report


def add_message(ctx: Context, message_id: int) -> int:
    """Another mail to the same address; return its id."""
    with ctx.write() as session:
        first = session.get_one(Message, message_id)
        names = [column.name for column in Message.__table__.columns if column.name != "id"]
        second = Message(**{name: getattr(first, name) for name in names} | {"occurrence": 1})
        session.add(second)
        session.flush()
        return second.id


def active(ctx: Context) -> list[str]:
    with ctx.read() as session:
        return list(session.scalars(select(Suppression.reason).where(Suppression.lifted_at.is_(None))))


def test_a_lesson_that_was_wrong_takes_its_suppression_back(ctx: Context) -> None:
    message_id, report = teach_hard(ctx)

    taught = teaching.teach(ctx, report, "soft")
    service.process_reports(ctx)

    assert (taught.again, taught.lifted, active(ctx)) == (1, 1, [])
    assert [event[0] for event in events(ctx)] == ["soft_bounce", "hard_bounce"], "what was said stays said"
    with ctx.read() as session:
        address_id = session.get_one(Message, message_id).address_id
        assert session.get_one(Address, address_id).bounce_state == "ok"


@on_one_engine
def test_the_same_lesson_once_more_lifts_nothing(ctx: Context) -> None:
    _, report = teach_hard(ctx)

    assert teaching.teach(ctx, report, "hard").lifted == 0
    assert active(ctx) == ["hard_bounce"]


@on_one_engine
def test_what_was_lifted_before_is_no_reason_to_stay_suppressed(ctx: Context) -> None:
    """An older mail to the address was refused, and staff have cleared that since."""
    older = make_message(ctx)
    with ctx.write() as session:
        apply_event(session, DeliveryEvent(older, EventKind.HARD_BOUNCE, utc_now(), "smtp"))
    lift_suppressions(ctx, "ada@example.org", by=None)
    newer = add_message(ctx, older)
    report = service.record_report(ctx, STRANGE % 1, "test", rcpt_to=verp(ctx, newer))
    service.process_reports(ctx)
    teaching.teach(ctx, report, "hard")
    service.process_reports(ctx)
    assert active(ctx) == ["hard_bounce"]

    assert teaching.teach(ctx, report, "soft").lifted == 1


@pytest.mark.parametrize("kind", ["other words", "another mail", "at SMTP time"])
def test_what_rests_on_something_else_stays_suppressed(ctx: Context, kind: str) -> None:
    message_id, report = teach_hard(ctx)
    if kind == "other words":
        raw = plain("failure notice", "<ada@example.org>: 550 5.1.1 user unknown")
        service.record_report(ctx, raw, "test", rcpt_to=verp(ctx, message_id))
        service.process_reports(ctx)
    else:
        about = add_message(ctx, message_id) if kind == "another mail" else message_id
        key = f"report:hard_bounce:{about}" if kind == "another mail" else f"smtp:{about}"
        with ctx.write() as session:
            apply_event(session, DeliveryEvent(about, EventKind.HARD_BOUNCE, utc_now(), key))

    assert teaching.teach(ctx, report, "soft").lifted == 0
    assert active(ctx) == ["hard_bounce"]


@on_one_engine
def test_a_complaint_is_never_lifted_by_a_lesson(ctx: Context) -> None:
    message_id, report = teach_hard(ctx)
    with ctx.write() as session:
        apply_event(session, DeliveryEvent(message_id, EventKind.COMPLAINT, utc_now(), "c"))

    teaching.teach(ctx, report, "not_bounce")

    assert active(ctx) == ["complaint"]
