"""A report is stored first, matched by what only we can have made, and applied once (FEATURES B1 to B4)."""

import asyncio
import socket
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from mailer import tokens
from mailer.bounces import queries, service
from mailer.bounces.listener import serve_listener
from mailer.bounces.service import Received
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.loop import send_due
from mailer.delivery.relays import Relay
from mailer.delivery.smtp import Connection, Envelope
from mailer.errors import InputError
from mailer.schema.bounces import BounceReport
from mailer.schema.consent import Consent, ConsentEvent, Subscription, Suppression
from mailer.schema.contacts import Address
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.followups import FollowUp
from mailer.statuses import MessageState
from tests.bounces.test_classify import OURS, dsn, plain
from tests.support.make import make_reader, make_sending, make_staff, make_topic
from tests.support.sink import Sink

HARD = "550 5.1.1 <ada@example.org>: User unknown"


def make_message(ctx: Context, **changes: object) -> int:
    """An accepted mail to ada@example.org; return its id."""
    with ctx.write() as session:
        make_staff(session)
        topic = make_topic(session)
        contact = make_reader(session, topic, "ada@example.org", key=ctx.keys.suppression)
        sending = make_sending(session, ctx, [contact], topic)
        message = session.scalars(select(Message).where(Message.sending_id == sending.id)).one()
        message.state, message.accepted_at = MessageState.ACCEPTED.value, utc_now()
        for name, value in changes.items():
            setattr(message, name, value)
        return message.id


def verp(ctx: Context, message_id: int) -> str:
    return f"{tokens.verp_local(ctx.keys, message_id, ctx.keys.current)}@bounce.localhost"


def take_in(ctx: Context, raw: bytes, rcpt_to: str = "") -> BounceReport:
    report_id = service.record_report(ctx, raw, "test", rcpt_to=rcpt_to)
    service.process_reports(ctx)
    with ctx.read() as session:
        return queries.get_report(session, report_id)


def events(ctx: Context) -> list[tuple[str, str, str]]:
    with ctx.read() as session:
        rows = session.scalars(select(Event).where(Event.kind != "delivered").order_by(Event.id))
        return [(event.kind, event.reason, event.code) for event in rows]


def count(ctx: Context, table: type) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_hard_bounce_to_the_verp_address_suppresses(ctx: Context) -> None:
    message_id = make_message(ctx)

    report = take_in(ctx, dsn(HARD, "5.1.1"), verp(ctx, message_id))

    assert (report.state, report.verdict, report.matched_by, report.message_id) == (
        "matched",
        "hard",
        "verp",
        message_id,
    )
    assert events(ctx) == [("hard_bounce", "user_unknown", "5.1.1")]
    with ctx.read() as session:
        assert session.scalars(select(Suppression.reason)).all() == ["hard_bounce"]
        assert session.scalars(select(Address.bounce_state)).one() == "hard"


@pytest.mark.parametrize(
    ("diagnostic", "status", "action", "kind"),
    [("452 4.2.2 Mailbox full", "4.2.2", "failed", "soft_bounce"), ("451 greylisted", "4.7.1", "delayed", "delayed")],
)
def test_soft_bounces_and_delays_suppress_nobody(
    ctx: Context, diagnostic: str, status: str, action: str, kind: str
) -> None:
    message_id = make_message(ctx)

    take_in(ctx, dsn(diagnostic, status, action), verp(ctx, message_id))

    assert [event[0] for event in events(ctx)] == [kind]
    assert count(ctx, Suppression) == 0


def test_the_address_in_free_text_alone_suppresses_nobody(ctx: Context) -> None:
    make_message(ctx)

    report = take_in(ctx, dsn(HARD, "5.1.1"))

    assert (report.state, report.verdict, report.message_id) == ("unmatched", "hard", None)
    assert report.recipients == ["ada@example.org"]
    assert count(ctx, Suppression) == 0


def test_a_forged_token_matches_nothing(ctx: Context) -> None:
    message_id = make_message(ctx)
    address = verp(ctx, message_id)
    forged = address[:10] + ("a" if address[10] != "a" else "b") + address[11:]

    assert take_in(ctx, dsn(HARD, "5.1.1"), forged).state == "unmatched"


def test_a_token_of_a_message_that_is_gone_matches_nothing(ctx: Context) -> None:
    make_message(ctx)

    assert take_in(ctx, dsn(HARD, "5.1.1"), verp(ctx, 999_999)).state == "unmatched"


@pytest.mark.parametrize("folded", [str.upper, str.title])
def test_relays_may_fold_the_local_part(ctx: Context, folded) -> None:
    message_id = make_message(ctx)

    assert take_in(ctx, dsn(HARD, "5.1.1"), folded(verp(ctx, message_id))).message_id == message_id


def test_a_report_is_matched_by_the_relays_own_id(ctx: Context) -> None:
    message_id = make_message(ctx, relay_message_id="010001-abc-000000")
    raw = dsn(HARD, "5.1.1").replace(b"<x@b.example>", b"<010001-abc-000000@email.relay.example>")

    report = take_in(ctx, raw)

    assert (report.message_id, report.matched_by) == (message_id, "relay_id")


def test_a_report_is_matched_by_the_token_in_returned_headers(ctx: Context) -> None:
    message_id = make_message(ctx)
    local = verp(ctx, message_id).partition("@")[0].encode()
    raw = dsn(HARD, "5.1.1").replace(b"Subject: Spring offer", b"X-Message-Ref: " + local)

    report = take_in(ctx, raw)

    assert (report.message_id, report.matched_by) == (message_id, "token_header")


def test_a_report_is_matched_by_the_returned_message_id(ctx: Context) -> None:
    message_id = make_message(ctx)
    local = tokens.message_id_local(ctx.keys, message_id, ctx.keys.current)
    raw = dsn(HARD, "5.1.1").replace(b"<x@b.example>", f"<{local}@bounce.localhost>".encode())

    report = take_in(ctx, raw)

    assert (report.message_id, report.matched_by) == (message_id, "message_id")


def test_the_same_report_twice_is_one_and_two_reports_of_a_kind_are_one_event(ctx: Context) -> None:
    message_id = make_message(ctx)
    first, second = dsn(HARD, "5.1.1"), dsn(HARD, "5.1.1", text="once more")
    address = verp(ctx, message_id)

    ids = [service.record_report(ctx, raw, "test", rcpt_to=address) for raw in (first, first, second)]
    assert service.process_reports(ctx) == 2
    assert service.process_reports(ctx) == 0

    assert ids[0] == ids[1] != ids[2]
    assert len(events(ctx)) == 1


def test_a_success_report_settles_an_unknown_message(ctx: Context) -> None:
    message_id = make_message(ctx, state=MessageState.UNKNOWN.value, accepted_at=None)

    take_in(ctx, dsn("250 2.1.5 Ok", "2.0.0", "delivered"), verp(ctx, message_id))

    with ctx.read() as session:
        assert session.get_one(Message, message_id).state == MessageState.ACCEPTED


def test_a_complaint_withdraws_and_suppresses(ctx: Context) -> None:
    message_id = make_message(ctx)
    raw = (
        b"From: fbl@isp.example\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=zz\r\n\r\n"
        b"--zz\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n\r\n--zz--\r\n"
    )

    take_in(ctx, raw, verp(ctx, message_id))

    with ctx.read() as session:
        assert session.scalars(select(Consent.permission)).all() == ["withdrawn"]
        assert session.scalars(select(Suppression.reason)).all() == ["complaint"]


def test_unsubscribe_mail_to_its_address_ends_the_topic(ctx: Context) -> None:
    message_id = make_message(ctx)

    take_in(ctx, plain("unsubscribe", "", "ada@example.org"), verp(ctx, message_id))

    with ctx.read() as session:
        assert session.scalars(select(Subscription.status)).all() == ["unsubscribed"]


def test_a_reply_that_says_stop_changes_nothing_by_itself(ctx: Context) -> None:
    """It quotes our token, but was not sent to the address of a List-Unsubscribe header (FEATURES C11)."""
    message_id = make_message(ctx)
    local = verp(ctx, message_id).partition("@")[0]

    report = take_in(ctx, plain("Re: Offer", f"STOP\n\n> X-Message-Ref: {local}", "ada@example.org"))

    assert report.verdict == "unsubscribe"
    with ctx.read() as session:
        assert session.scalars(select(Subscription.status)).all() == ["subscribed"]


def leave_address(ctx: Context, message_id: int) -> str:
    """The address of the List-Unsubscribe header of a message."""
    with ctx.read() as session:
        message = session.get_one(Message, message_id)
        topic_id = session.get_one(Sending, message.sending_id).topic_id or 0
    token = tokens.manage_token(ctx.keys, message.contact_id or 0, topic_id, message_id)
    return f"{tokens.mail_manage_local(token)}@bounce.localhost"


@pytest.mark.parametrize(("subject", "text"), [("unsubscribe", ""), ("", ""), ("Hello", "please, no more of these")])
def test_a_mail_to_the_unsubscribe_address_ends_the_topic_also_when_the_message_is_gone(
    ctx: Context, subject: str, text: str
) -> None:
    message_id = make_message(ctx)
    address = leave_address(ctx, message_id)
    with ctx.write() as session:
        session.execute(delete(Event))
        session.execute(delete(Message))

    report = take_in(ctx, plain(subject, text, "ada@example.org"), address.upper())

    assert (report.state, report.verdict, report.matched_by) == ("matched", "unsubscribe", "unsubscribe_address")
    with ctx.read() as session:
        assert session.scalars(select(Subscription.status)).all() == ["unsubscribed"]
        assert session.scalars(select(ConsentEvent.channel)).all() == ["unsubscribe mail"]


@pytest.mark.parametrize("raw", [plain("Out of office", "back on Monday", "ada@example.org"), dsn(HARD, "5.1.1")])
def test_a_program_that_answers_to_the_unsubscribe_address_changes_nothing(ctx: Context, raw: bytes) -> None:
    message_id = make_message(ctx)

    take_in(ctx, raw, leave_address(ctx, message_id))

    with ctx.read() as session:
        assert session.scalars(select(Subscription.status)).all() == ["subscribed"]


def test_a_forged_unsubscribe_address_changes_nothing(ctx: Context) -> None:
    address = leave_address(ctx, make_message(ctx))
    forged = address[:12] + ("a" if address[12] != "a" else "b") + address[13:]

    assert take_in(ctx, plain("unsubscribe", "", "x@example.net"), forged).state == "unmatched"
    with ctx.read() as session:
        assert session.scalars(select(Subscription.status)).all() == ["subscribed"]


@pytest.mark.parametrize("is_known_by", ["answer", "sender"])
def test_a_reply_that_says_stop_becomes_one_task_for_a_person(ctx: Context, is_known_by: str) -> None:
    message_id = make_message(ctx)
    local = tokens.message_id_local(ctx.keys, message_id, ctx.keys.current)
    sender, more = "ada@example.org", {}
    if is_known_by == "answer":
        sender, more = "other@example.net", {"In_Reply_To": f"<{local}@bounce.localhost>"}

    take_in(ctx, plain("Re: Spring offer", "STOP", sender, **more))
    service.process_reports(ctx)

    with ctx.read() as session:
        (task,) = session.scalars(select(FollowUp)).all()
        assert task.contact_id == session.get_one(Message, message_id).contact_id
        assert session.scalars(select(Subscription.status)).all() == ["subscribed"]


def test_an_auto_reply_changes_nothing(ctx: Context) -> None:
    message_id = make_message(ctx)

    report = take_in(ctx, plain("Out of office", "550 user unknown", "ada@example.org"), verp(ctx, message_id))

    assert (report.state, report.verdict) == ("ignored", "not_bounce")
    assert events(ctx) == []


@pytest.mark.parametrize("raw", [b"", b"\0" * 100, b"\xff\xfe" * 50, OURS.replace(b"ada", b"\xed\xa0\x80\0")])
def test_hostile_reports_are_stored_and_read(ctx: Context, raw: bytes) -> None:
    assert take_in(ctx, raw).state in ("ignored", "unmatched")


def test_the_listener_answers_after_the_commit(ctx: Context) -> None:
    message_id = make_message(ctx)
    address = verp(ctx, message_id)

    async def story() -> tuple[int, int]:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve_listener(ctx, "127.0.0.1", 0, ready=port.set_result, stop=stop))
        connection = await Connection.open(Relay("127.0.0.1", await port))
        assert await connection.offer(Envelope("", address, dsn(HARD, "5.1.1"))) is None
        code = (await connection.finish()).code
        stored = await asyncio.to_thread(count, ctx, BounceReport)
        refused = await connection.offer(Envelope("", "somebody@elsewhere.example", b"x\r\n"))
        assert refused is not None
        assert refused.code == 550
        connection.quit()
        stop.set()
        await task
        await asyncio.sleep(0.02)
        return code, stored

    assert asyncio.run(story()) == (250, 1)
    assert service.process_reports(ctx) == 1
    assert events(ctx) == [("hard_bounce", "user_unknown", "5.1.1")]


def test_reports_that_come_together_are_stored_together(ctx: Context) -> None:
    reports = [Received(f"Subject: {number}\r\n\r\n".encode(), "test") for number in range(50)]

    assert len(set(service.record_reports(ctx, reports))) == 50
    assert service.process_reports(ctx) == 50


def test_files_are_classified_in_the_order_given(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "b.eml").write_bytes(dsn(HARD, "5.1.1"))
    (tmp_path / "many" / "a.eml").write_bytes(plain("Re: hello", "thanks", "ada@example.org"))
    (tmp_path / "z.eml").write_bytes(dsn("452 4.2.2 full", "4.2.2"))

    lines = list(service.classify_paths([tmp_path / "z.eml", tmp_path / "many"]))

    assert [(line["file"], line["verdict"]) for line in lines] == [
        ("z.eml", "soft"), ("a.eml", "not_bounce"), ("b.eml", "hard"),
    ]  # fmt: skip
    assert lines[1]["status"] is None
    assert lines[1]["recipients"] == []
    with pytest.raises(InputError) as caught:
        list(service.classify_paths([tmp_path / "nope", tmp_path / "neither"]))
    assert len(caught.value.problems) == 2


def test_files_can_be_ingested(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(dsn(HARD, "5.1.1"))

    assert service.ingest_paths(ctx, [tmp_path / "a.eml"]) == {"files": 1, "processed": 1}


def speak_lmtp(port: int, *lines: bytes) -> list[bytes]:
    """Say lines to a server and return every line that it answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        reader = connection.makefile("rb")
        answers = [reader.readline()]
        for line in lines:
            connection.sendall(line)
        return [*answers, *reader.readlines()]


def test_lmtp_answers_each_recipient_and_keeps_each_report(ctx: Context) -> None:
    """RFC 2033, section 4.2: one reply a recipient that was accepted, and none for one that was refused."""
    message_id = make_message(ctx)
    mail = dsn(HARD, "5.1.1") + b".\r\n"
    lines = (
        b"LHLO mta.example.com\r\n", b"MAIL FROM:<>\r\n", f"RCPT TO:<{verp(ctx, message_id)}>\r\n".encode(),
        b"RCPT TO:<x@elsewhere.example>\r\n", b"RCPT TO:<b+forged@bounce.localhost>\r\n", b"DATA\r\n", mail,
        b"QUIT\r\n",
    )  # fmt: skip

    async def story() -> list[bytes]:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve_listener(ctx, "127.0.0.1", 0, is_lmtp=True, ready=port.set_result, stop=stop))
        answers = await asyncio.to_thread(speak_lmtp, await port, *lines)
        stop.set()
        await task
        await asyncio.sleep(0.02)
        return answers

    codes = [line[:3] for line in asyncio.run(story()) if line[3:4] == b" "]

    assert codes == [b"220", b"250", b"250", b"250", b"550", b"250", b"354", b"250", b"250", b"221"]
    assert count(ctx, BounceReport) == 2
    service.process_reports(ctx)
    assert events(ctx) == [("hard_bounce", "user_unknown", "5.1.1")]


def test_a_relay_that_rewrites_ids_and_envelope_is_matched_by_its_own(sending_ctx: Context, sink: Sink) -> None:
    """B3: the mail goes out over SMTP; the relay keeps nothing of ours but tells its id in the 250 reply."""
    ctx = sending_ctx
    relay_id = "0100018fabcdef12-aabbccdd-1122-3344-5566-77889900aabb-000000"
    sink.at_dot["ada@example.org"] = f"250 Ok {relay_id}"
    with ctx.write() as session:
        make_staff(session)
        topic = make_topic(session)
        contact = make_reader(session, topic, "ada@example.org", key=ctx.keys.suppression)
        sending = make_sending(session, ctx, [contact], topic)
        number = sending.id
    send_due(ctx, seconds=10)
    (mail,) = sink.mails
    with ctx.read() as session:
        message = session.scalars(select(Message).where(Message.sending_id == number)).one()
    assert message.relay_message_id == relay_id
    assert mail.mail_from != "bounces@relay.example"
    rewritten = dsn(HARD, "5.1.1").replace(b"<x@b.example>", f"<{relay_id}@relay.example>".encode())

    report = take_in(ctx, rewritten, "bounces@relay.example")

    assert (report.message_id, report.matched_by) == (message.id, "relay_id")
    assert events(ctx) == [("hard_bounce", "user_unknown", "5.1.1")]


@pytest.mark.parametrize("layout", ["folder", "maildir"])
def test_a_folder_or_maildir_is_ingested_once(ctx: Context, tmp_path: Path, layout: str) -> None:
    boxes = [tmp_path / "box" / name for name in ("cur", "new", "tmp")] if layout == "maildir" else [tmp_path / "box"]
    for number, box in enumerate(boxes):
        box.mkdir(parents=True)
        (box / f"{number}.mail").write_bytes(dsn(f"550 5.1.1 User {number} unknown", "5.1.1"))
    expected = 2 if layout == "maildir" else 1

    assert service.ingest_paths(ctx, [tmp_path / "box"]) == {"files": expected, "processed": expected}
    assert service.ingest_paths(ctx, [tmp_path / "box"]) == {"files": expected, "processed": 0}
