"""After an erasure nothing of the person is left in any byte that is kept, and everything of others is."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from mailer.addresses import check_address, hash_address
from mailer.bounces.service import process_reports, record_report
from mailer.clock import utc_now
from mailer.consent.blocks import check_blocks, seal
from mailer.consent.comeback import lift_for_person
from mailer.consent.replay import list_differences
from mailer.contacts.people import take_in_person
from mailer.contacts.service import create_contact
from mailer.context import Context
from mailer.database import database_clock
from mailer.delivery.loop import send_due
from mailer.errors import ConflictError
from mailer.imports.service import ImportOptions, import_contacts
from mailer.privacy import queries
from mailer.privacy.compact import vacuum_sqlite
from mailer.privacy.erasure import (
    STEPS,
    Done,
    Step,
    advance,
    advance_all,
    erase_person,
    forget_traces,
    preview_erasure,
    refuse_wrong_confirmation,
    start_erasure,
)
from mailer.privacy.person import Person
from mailer.reports.campaign_figures import get_campaign_figures
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Activity, Address, Contact
from mailer.schema.delivery import Event, Message
from mailer.schema.forms import SignUp
from mailer.schema.privacy import Erasure, SubjectRequest
from mailer.statuses import ErasureStatus, SuppressionReason
from mailer.tokens import OPEN, verp_local
from mailer.tracking.ingest import ingest_once
from mailer.tracking.records import GET, RawHit, pack_hit
from tests.bounces.test_classify import dsn
from tests.delivery.test_gate import Scene, _wait_until_blocked
from tests.privacy.traces import CSV, EMAIL, IP, LAST, OTHER, SECRETS, World, leave_traces, search_everything
from tests.support.make import make_contact, make_reader, make_sending, make_topic, make_workspace
from tests.support.postgres import Postgres
from tests.support.sink import Sink


@pytest.fixture
def world(sending_ctx: Context) -> World:
    return leave_traces(sending_ctx)


@pytest.fixture
def server_folder(sending_ctx: Context, request: pytest.FixtureRequest) -> Path | None:
    """The folder of the PostgreSQL server, None where the engine is SQLite."""
    if sending_ctx.database.is_sqlite:
        return None
    server: Postgres = request.getfixturevalue("postgres")
    return server.folder


def erase(ctx: Context, email: str = EMAIL) -> Erasure:
    with ctx.read() as session:
        person = queries.find_person(session, ctx, email)
    return erase_person(ctx, person)


def test_nothing_of_an_erased_person_is_left_anywhere(
    sending_ctx: Context, sink: Sink, server_folder: Path | None
) -> None:
    world = leave_traces(sending_ctx, sink)
    seal(sending_ctx)
    places = " ".join(search_everything(sending_ctx, server_folder))
    with sending_ctx.read() as session:
        figures = get_campaign_figures(session, world.sending_id)

    erasure = erase(sending_ctx)

    assert erasure.waits_for == ""
    assert erasure.status == ErasureStatus.FINISHED
    assert search_everything(sending_ctx, server_folder) == []
    with sending_ctx.read() as session:
        assert get_campaign_figures(session, world.sending_id) == figures
        assert check_blocks(session).problems == []
        assert list_differences(session) == []
    database = "mailer.sqlite" if sending_ctx.database.is_sqlite else "bounce_report"
    for place in (database, "spool/", "catcher.sqlite", "uploads/", ".refused.csv", "log/send.log", "redis b'queue'"):
        assert place in places  # the search can find
    for secret in SECRETS:
        assert f"mailer.sqlite-wal: {secret}" in places or not sending_ctx.database.is_sqlite


def test_what_is_others_stays_and_requests_keep_no_name(sending_ctx: Context, world: World) -> None:
    with sending_ctx.read() as session:
        preview = preview_erasure(session, queries.find_person(session, sending_ctx, EMAIL))
    assert [(one.name, one.email) for one in preview.contacts] == [("Zyxa Quillfeather", EMAIL)]
    assert {name: preview.rows[name] for name in ("message", "hit", "follow_up")} == {
        "message": 4, "hit": 2, "follow_up": 1,
    }  # fmt: skip
    assert preview.running is None
    with pytest.raises(ConflictError, match="type"):
        refuse_wrong_confirmation(preview, OTHER)

    erase(sending_ctx)

    data = sending_ctx.settings.data_dir
    with sending_ctx.read() as session:
        bob = session.get_one(Contact, world.bob_id)
        person = queries.find_person(session, sending_ctx, OTHER)
        notes = session.scalars(select(Activity.note).where(Activity.contact_id == bob.id)).all()
    assert (bob.first_name, bob.data) == ("Bob", {"referred_by": "[erased]", "color": "blue"})
    assert notes == ["came with [erased]"]
    assert person.contact_ids == (world.bob_id,)
    assert (data / "log" / "send.log").read_text(encoding="utf-8").endswith("203.0.113.7 stays\n")
    assert [path.name for path in (data / "uploads").rglob("*.*")] == ["others.csv"]
    assert sending_ctx.redis.lrange("queue", 0, -1) == [b"to bob"]
    assert sending_ctx.redis.smembers("seen") == {b"203.0.113.70"}
    with sending_ctx.read() as session:
        row = session.scalars(select(SubjectRequest)).one()
    assert (row.status, row.who, row.note, row.contact_id) == ("answered", "", "", None)
    assert row.address_hash == hash_address(EMAIL, sending_ctx.keys.suppression)


def test_no_import_and_no_staff_bring_an_erased_person_back_but_their_own_act(
    sending_ctx: Context, world: World
) -> None:
    first, again = erase(sending_ctx), erase(sending_ctx)
    path = sending_ctx.settings.data_dir / "again.csv"
    path.write_text(CSV, encoding="utf-8")

    done = import_contacts(sending_ctx, path, ImportOptions("consent", "fair in Oslo", ("News",)))
    with pytest.raises(ConflictError, match="erased"):
        create_contact(sending_ctx, EMAIL, {})
    with sending_ctx.write() as session:
        contact = take_in_person(session, sending_ctx, check_address(EMAIL), {"first_name": "Zyxa"})
        lifted = lift_for_person(session, hash_address(EMAIL, sending_ctx.keys.suppression), [])

    assert (first.counts["contact"], again.counts.get("contact", 0)) == (1, 0)  # the second found nothing more
    assert (done.counts.new, done.counts.refused) == (0, 2)
    assert contact.id not in (world.contact_id, world.bob_id)
    assert SuppressionReason.ERASURE in lifted
    with sending_ctx.read() as session:
        assert queries.find_person(session, sending_ctx, EMAIL).contact_ids == (contact.id,)
        active = select(func.count()).where(Suppression.reason == "erasure", Suppression.lifted_at.is_(None))
        assert session.scalar(active) == 1  # the address that she had before


def test_a_mail_that_is_under_way_is_waited_for_and_a_late_one_is_blanked(sending_ctx: Context, world: World) -> None:
    with sending_ctx.write() as session:
        session.execute(update(Message).where(Message.id == world.message_id).values(state="transmitting"))
    erasure = erase(sending_ctx)

    assert (erasure.status, erasure.step) == (ErasureStatus.RUNNING, "messages")
    assert "handed over" in erasure.waits_for
    with sending_ctx.write() as session:
        session.execute(update(Message).where(Message.id == world.message_id).values(state="unknown"))
    assert advance_all(sending_ctx) == 1
    with sending_ctx.write() as session:  # as a campaign that was being prepared may write it
        late = Message(
            sending_id=world.sending_id, contact_id=world.contact_id, recipient_key=world.contact_id, occurrence=9,
            state="queued",
        )  # fmt: skip
        session.add(late)

    assert forget_traces(sending_ctx) == 0  # not yet
    assert forget_traces(sending_ctx, before=timedelta()) == 1
    with sending_ctx.read() as session:
        row = session.get_one(Message, late.id)
        assert (row.contact_id, row.state, row.reason) == (None, "skipped", "suppressed")
        assert session.get_one(Erasure, erasure.id).contact_ids == []


def test_a_person_without_contact_is_erased_and_not_imported(ctx: Context) -> None:
    with ctx.write() as session:
        make_topic(session, name="News")
    erasure = erase(ctx, "nobody@example.com")
    path = ctx.settings.data_dir / "list.csv"
    path.write_text("email\r\nnobody@example.com\r\n", encoding="utf-8")

    done = import_contacts(ctx, path, ImportOptions("consent", "fair in Oslo", ("News",)))

    assert erasure.status == ErasureStatus.FINISHED
    assert (done.counts.new, done.counts.refused) == (0, 1)


def test_several_who_erase_an_address_without_a_row_at_once_start_one_erasure(ctx: Context) -> None:
    for number in range(6):
        with ctx.read() as session:
            person = queries.find_person(session, ctx, f"nobody{number}@example.com")
        together = threading.Barrier(6)

        def start(_: int, person: Person = person, together: threading.Barrier = together) -> int:
            together.wait()
            return start_erasure(ctx, person).id

        with ThreadPoolExecutor(6) as threads:
            assert len(set(threads.map(start, range(6)))) == 1


def test_the_number_of_an_erased_contact_is_never_given_again(ctx: Context) -> None:
    with ctx.write() as session:
        gone = make_contact(session, EMAIL, key=ctx.keys.suppression)
    erase(ctx)

    with ctx.write() as session:
        assert make_contact(session, OTHER, key=ctx.keys.suppression).id > gone.id
        shell = session.get_one(Contact, gone.id)
    assert (shell.first_name, shell.address_id, shell.data) == ("", None, {})
    assert shell.archived_at is not None
    assert shell.ledger_id != gone.ledger_id
    assert shell.public_id != gone.public_id


def test_an_erasure_that_was_killed_goes_on(
    sending_ctx: Context, world: World, server_folder: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step in turn dies after its work and before its note; in the end nothing is left."""
    dying = {step.name for step in STEPS}
    steps = tuple(Step(one.name, lambda *given, one=one: _die_after(one, dying, *given)) for one in STEPS)
    monkeypatch.setattr("mailer.privacy.erasure.STEPS", steps)
    with pytest.raises(KeyboardInterrupt):
        erase(sending_ctx)
    while dying:
        with sending_ctx.write() as session:
            session.execute(update(Erasure).values(leased_until=None))  # as it is when the lease has run out
        with pytest.raises(KeyboardInterrupt):
            advance_all(sending_ctx)
    with sending_ctx.write() as session:
        session.execute(update(Erasure).values(leased_until=None))

    assert advance_all(sending_ctx) == 1
    assert search_everything(sending_ctx, server_folder) == []


def _die_after(step: Step, dying: set[str], ctx: Context, erasure: Erasure, person: Person) -> Done:
    done = step.do(ctx, erasure, person)
    if step.name in dying:
        dying.remove(step.name)
        raise KeyboardInterrupt
    return done


def test_a_complaint_about_a_confirmation_mail_is_kept_without_the_sign_up(sending_ctx: Context, world: World) -> None:
    """Else somebody could have the person mailed again by a form."""
    complaint = Event(message_id=world.message_id, sending_id=world.sending_id, kind="complaint", at=utc_now(),
                      dedupe_key="a complaint")  # fmt: skip
    with sending_ctx.write() as session:
        session.execute(delete(Suppression))
        session.execute(update(SignUp).values(message_id=world.message_id))
        session.add(complaint)

    erase(sending_ctx)

    with sending_ctx.read() as session:
        assert session.scalar(select(SignUp.id)) is None
        digest = hash_address(EMAIL, sending_ctx.keys.suppression)
        reasons = session.scalars(select(Suppression.reason).where(Suppression.address_hash == digest)).all()
    assert set(reasons) == {"erasure", "complaint"}


def test_a_lease_keeps_two_processes_apart(ctx: Context) -> None:
    with ctx.read() as session:
        person = queries.find_person(session, ctx, EMAIL)
    started = start_erasure(ctx, person)
    with ctx.write() as session:
        session.get_one(Erasure, started.id).leased_until = utc_now() + timedelta(minutes=1)

    assert advance(ctx, started.id).status == ErasureStatus.RUNNING


def test_what_reaches_us_after_an_erasure_keeps_the_fact_alone(
    sending_ctx: Context, world: World, server_folder: Path | None
) -> None:
    """An open and a report that come late: they count, and say nothing about anybody."""
    erase(sending_ctx)
    world.writer.append(
        pack_hit(RawHit(utc_now().timestamp(), OPEN, GET, world.message_id, 0, 0, IP, f"Mail of {LAST}"))
    )
    verp = f"{verp_local(sending_ctx.keys, world.message_id, sending_ctx.keys.current)}@bounce.localhost"
    with sending_ctx.read() as session:
        opens = session.scalar(select(func.count()).where(Event.kind == "open"))

    ingest_once(sending_ctx)
    world.writer.close()
    ingest_once(sending_ctx)
    record_report(sending_ctx, dsn(f"550 5.1.1 <{EMAIL}>: gone", "5.1.1", to=EMAIL), "test", rcpt_to=verp)
    record_report(sending_ctx, dsn(f"550 5.1.1 <{EMAIL}>: gone", "5.1.1", to=EMAIL), "test", rcpt_to="x@example.com")
    process_reports(sending_ctx)
    vacuum_sqlite(sending_ctx) if sending_ctx.database.is_sqlite else None

    with sending_ctx.read() as session:
        assert session.scalar(select(func.count()).where(Event.kind == "open")) > opens
        assert session.scalar(select(func.count()).where(Event.kind == "hard_bounce")) == 1
    assert search_everything(sending_ctx, server_folder) == []


# ------------------------------------------------------------------ the gate


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_erasure_waits_for_a_gate_that_is_open_and_no_gate_passes_after_it(
    make_ctx: Callable[..., Context],
) -> None:
    """The gate's share lock and the erasure's lock exclude each other, so one of them is first."""
    ctx = make_ctx()
    scene, other = Scene(ctx), make_ctx()
    with ctx.read() as session:
        person = queries.find_person(session, ctx, "anna@example.com")
    eraser = threading.Thread(target=start_erasure, args=(other, person))
    with ctx.write() as session:
        session.execute(select(Address.id).where(Address.id == scene.address_id).with_for_update(read=True)).all()
        eraser.start()
        _wait_until_blocked(ctx)
        assert session.scalar(select(func.count()).select_from(Erasure)) == 0
    eraser.join(10)

    assert scene.judge().passed == frozenset()
    assert (scene.message().state, scene.message().reason) == ("skipped", "suppressed")


def count_queued(ctx: Context) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).where(Message.state == "queued")) or 0


def test_nobody_is_mailed_after_their_erasure_during_a_running_sending(
    sending_ctx: Context, sink: Sink, make_ctx: Callable[..., Context]
) -> None:
    emails = [f"reader{number}@example.com" for number in range(150)]
    with sending_ctx.write() as session:
        make_workspace(session, limits={"rate_per_second": 0})
        topic = make_topic(session)
        readers = [make_reader(session, topic, email, key=sending_ctx.keys.suppression) for email in emails]
        make_sending(session, sending_ctx, readers, topic)
    numbers: dict[int, int] = {}
    with sending_ctx.read() as session:
        numbers |= {row[0]: row[1] for row in session.execute(select(Message.contact_id, Message.id))}
    worker = threading.Thread(target=send_due, args=(sending_ctx,), kwargs={"seconds": 20})
    eraser, committed = make_ctx(redis_url=sending_ctx.settings.redis_url), {}
    worker.start()
    for contact in readers[::10]:
        with eraser.read() as session:
            person = queries.find_person_of_contact(session, eraser, contact)
        start_erasure(eraser, person)
        with eraser.read() as session:
            committed[numbers[contact.id]] = session.scalar(select(database_clock()))
    worker.join(60)
    deadline = time.monotonic() + 30
    while count_queued(sending_ctx) and time.monotonic() < deadline:  # a gate that waited for its lock was put off
        send_due(sending_ctx, seconds=5)
        time.sleep(0.1)

    with eraser.read() as session:
        rows = session.scalars(select(Message).where(Message.id.in_(committed))).all()
    late = [row.id for row in rows if row.gate_at is not None and row.gate_at > committed[row.id]]
    assert late == []
    assert {row.state for row in rows} <= {"accepted", "skipped"}
    assert count_queued(sending_ctx) == 0
