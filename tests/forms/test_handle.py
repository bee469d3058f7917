"""What the background work makes of a sign-up: a mail, nothing, or a contact at once, and why."""

import threading
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from mailer.addresses import hash_address
from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.consent.queries import get_permission, list_active_suppressions
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.delivery.loop import send_due
from mailer.forms import service
from mailer.forms.facts import claim_mail
from mailer.forms.handle import handle_sign_ups
from mailer.forms.spec import build_form_file
from mailer.forms.take import Proof, take_in
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.forms import Form, SignUp
from mailer.statuses import Permission, SuppressionReason
from tests.support.forms import (
    find_people,
    keep_sign_up,
    list_rows,
    mail_to,
    make_form,
    new_person,
    read_row,
    sign_up,
)
from tests.support.make import make_contact, make_reader
from tests.support.sink import Sink

HOSTILE = "Buy at https://evil.example now"


def suppress(ctx: Context, email: str, reason: SuppressionReason) -> None:
    with ctx.write() as session:
        consent.suppress(session, hash_address(email, ctx.keys.suppression), reason, "test")


def test_a_sign_up_is_asked_by_mail_once_and_makes_no_contact_yet(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()

    row = mail_to(ctx, form, email)
    assert handle_sign_ups(ctx) == 0

    with ctx.read() as session:
        message = session.get_one(Message, row.message_id)
        sending = session.get_one(Sending, message.sending_id)
    assert (message.to_address, message.contact_id, message.state) == (email, None, "queued")
    assert (sending.sending_class, sending.topic_id, sending.track_opens, sending.track_clicks) == (
        "confirmation", None, False, False,
    )  # fmt: skip
    assert (row.status, row.email) == ("pending", email)
    assert find_people(ctx, email) == []


def test_the_mail_holds_our_words_the_sender_and_a_link_and_nothing_that_was_typed(
    sending_ctx: Context, sink: Sink
) -> None:
    """PROOF: a stranger's text in a confirmation mail makes a spam cannon of it (listmonk#1133)."""
    ctx = sending_ctx
    form = make_form(ctx, fields=[{"field": "first_name"}, {"field": "company"}], title=HOSTILE, intro=HOSTILE)
    typed = {"first_name": HOSTILE, "company": "=?utf-8?q?x=0D=0ABcc:_eve@example.org?="}
    keep_sign_up(ctx, form, "anna@example.com", data=typed, user_agent=HOSTILE)

    handle_sign_ups(ctx)
    send_due(ctx, seconds=20)

    (mail,) = sink.mails
    text = mail.raw.replace(b"=\r\n", b"").decode()
    assert mail.rcpt_to == "anna@example.com"
    assert "evil" not in text
    assert "eve@" not in text
    assert mail.header("Subject") == "Please confirm your sign-up: Fjord Seminars"
    assert mail.header("Auto-Submitted") == "auto-generated"
    assert mail.header("List-Unsubscribe") == ""
    assert text.count("http://127.0.0.1:8000/s/") == 2
    assert "/o/" not in text


def test_the_mail_speaks_the_language_of_the_form(sending_ctx: Context, sink: Sink) -> None:
    form = make_form(sending_ctx, language="nb")
    keep_sign_up(sending_ctx, form, "anna@example.com")

    handle_sign_ups(sending_ctx)
    send_due(sending_ctx, seconds=20)

    assert sink.mails[0].header("Subject") != "Please confirm your sign-up: Fjord Seminars"
    assert b"Er dette deg?" in sink.mails[0].raw


# ------------------------------------------------------------------ one mail a day, three in all


def test_one_mail_in_24_hours_and_three_in_all(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    told = []
    for hours in (0, 23, 24, 47, 48, 72, 96):
        ctx.clock.offset = timedelta(hours=hours, seconds=hours)
        told.append((mail_to(ctx, form, email)).reason)

    assert told == ["", "mail_limit", "", "mail_limit", "", "mail_limit", "mail_limit"]
    assert sum(row.message_id is not None for row in list_rows(ctx)) == 3


def test_the_limit_is_the_address_s_not_the_form_s(ctx: Context) -> None:
    first, second, email = make_form(ctx), make_form(ctx), new_person()

    assert mail_to(ctx, first, email).reason == ""
    assert mail_to(ctx, second, email).reason == "mail_limit"


def test_what_gets_no_mail_is_forgotten_at_once(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    mail_to(ctx, form, email)

    row = mail_to(ctx, form, email)

    assert (row.status, row.email, row.data, row.ip, row.user_agent) == ("refused", None, {}, "", "")


def test_two_workers_never_both_send_the_last_mail(ctx: Context) -> None:
    digest = hash_address(new_person(), ctx.keys.suppression)
    barrier, claims = threading.Barrier(4), []

    def claim() -> None:
        barrier.wait()
        with ctx.write() as session:
            claims.append(claim_mail(session, digest, ctx.clock.now()))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claims) == [False, False, False, True]


def test_two_workers_handle_each_sign_up_once(ctx: Context) -> None:
    form = make_form(ctx)
    for _ in range(30):
        keep_sign_up(ctx, form, new_person())

    threads = [threading.Thread(target=handle_sign_ups, args=(ctx,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    rows = list_rows(ctx)
    assert len({row.message_id for row in rows}) == 30
    with ctx.read() as session:
        emails = [row.email for row in rows]
        assert session.scalar(select(func.count()).where(Message.to_address.in_(emails))) == 30


def test_a_flood_for_one_victim_from_many_places_is_one_mail(ctx: Context, client: FlaskClient) -> None:
    """PROOF: list bombing. The long form of ten thousand posts is tests/chaos/test_list_bombing.py."""
    form, victim = make_form(ctx), new_person("victim")

    answers = set()
    for n in range(90):
        answer = sign_up(client, ctx, form, victim, ip=f"198.{n // 250}.{n % 250}.7")
        answers.add((answer.status_code, answer.location))
        if n % 30 == 0:
            handle_sign_ups(ctx)
    handle_sign_ups(ctx)

    assert len(answers) == 1
    with ctx.read() as session:
        assert session.scalar(select(func.count()).where(Message.to_address == victim)) == 1
    assert len(list_rows(ctx)) == 3


# ------------------------------------------------------------------ who had left


def test_what_only_staff_may_lift_gets_no_mail(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    suppress(ctx, email, SuppressionReason.MANUAL)

    row = mail_to(ctx, form, email)

    assert (row.status, row.reason, row.message_id) == ("refused", "suppressed", None)


def test_a_contact_marked_do_not_mail_gets_no_mail(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    with ctx.write() as session:
        make_contact(session, email, key=ctx.keys.suppression, do_not_mail=True)

    assert mail_to(ctx, form, email).reason == "suppressed"


def test_who_may_come_back_by_themselves_is_asked_past_the_gate(sending_ctx: Context, sink: Sink) -> None:
    """The gate knows a confirmation only as service mail, which a dead address does not get (FEATURES C10)."""
    form = make_form(sending_ctx)
    reasons = ("hard_bounce", "complaint", "erasure", "unsubscribe", "soft_bounces", "provider")
    emails = [f"{reason}@example.com" for reason in reasons]
    for reason, email in zip(reasons, emails, strict=True):
        with sending_ctx.write() as session:
            make_contact(session, email, key=sending_ctx.keys.suppression)
        suppress(sending_ctx, email, SuppressionReason(reason))
        keep_sign_up(sending_ctx, form, email)

    handle_sign_ups(sending_ctx)
    send_due(sending_ctx, seconds=20)

    assert sorted(sink.recipients) == sorted(emails)


def test_who_complains_between_sign_up_and_dot_gets_no_mail(sending_ctx: Context, sink: Sink) -> None:
    form = make_form(sending_ctx)
    with sending_ctx.write() as session:
        make_contact(session, "anna@example.com", key=sending_ctx.keys.suppression)
    mail_to(sending_ctx, form, "anna@example.com")
    suppress(sending_ctx, "anna@example.com", SuppressionReason.COMPLAINT)

    send_due(sending_ctx, seconds=20)

    assert sink.recipients == []


def test_who_reported_our_confirmation_as_spam_gets_no_other(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    row = mail_to(ctx, form, email)
    with ctx.write() as session:
        message = session.get_one(Message, row.message_id)
        session.add(
            Event(message_id=message.id, sending_id=message.sending_id, kind="complaint", at=utc_now(),
                  dedupe_key=f"complaint:{message.id}")
        )  # fmt: skip
    ctx.clock.offset = timedelta(days=2)

    assert mail_to(ctx, form, email).reason == "complained"


# ------------------------------------------------------------------ single opt-in


def test_single_opt_in_takes_in_at_once_with_its_evidence(ctx: Context) -> None:
    form, email = make_form(ctx, double_opt_in=False), new_person()

    row = mail_to(ctx, form, email)

    (contact,) = find_people(ctx, email)
    assert (row.status, row.contact_id, row.message_id, row.email) == ("confirmed", contact.id, None, None)
    assert contact.first_name == "Anna"
    with ctx.read() as session:
        assert get_permission(session, contact.id) is Permission.CONSENT


@pytest.mark.parametrize("how", ["withdrawn", "unsubscribed", "complaint"])
def test_single_opt_in_never_brings_back_who_had_left_without_a_proof(ctx: Context, how: str) -> None:
    """Anybody may type an address; only the mailbox proves who it was."""
    form, email = make_form(ctx, double_opt_in=False), new_person()
    cause = Cause(source="test", channel="test")
    with ctx.write() as session:
        topic = consent.queries.get_topic(session, service.describe_form(session, form)["topics"][0])
        contact = make_reader(session, topic, email, key=ctx.keys.suppression)
        if how == "withdrawn":
            consent.withdraw_all(session, [contact], cause)
        elif how == "unsubscribed":
            consent.unsubscribe(session, contact, topic.id, cause)
        else:
            consent.complain(session, contact, cause)

    row = mail_to(ctx, form, email)

    assert (row.status, row.message_id is not None) == ("pending", True)
    with ctx.read() as session:
        before = session.get_one(Contact, contact.id)
        expected = Permission.CONSENT if how == "unsubscribed" else Permission.WITHDRAWN
        assert get_permission(session, before.id) is expected


def test_a_change_of_language_makes_another_mail_and_the_same_one_is_frozen_once(ctx: Context) -> None:
    form = make_form(ctx)

    def version() -> int | None:
        mail_to(ctx, form, new_person())
        with ctx.read() as session:
            return session.get_one(Form, form.id).version_id

    first, second = version(), version()
    with ctx.read() as session:
        values = service.describe_form(session, session.get_one(Form, form.id))
    service.update_form(ctx, form.public_id, build_form_file(values | {"language": "de"}))

    assert first == second
    assert version() != first


def test_a_sign_up_that_was_handled_is_left_alone(ctx: Context) -> None:
    form = make_form(ctx)
    row = keep_sign_up(ctx, form, new_person(), handled_at=utc_now())

    assert handle_sign_ups(ctx) == 0
    assert read_row(ctx, row).message_id is None


def test_the_waiting_are_found_by_their_own_index(ctx: Context) -> None:
    """However many sign-ups lie there, the tick reads those that wait."""
    query = select(SignUp.id).where(SignUp.handled_at.is_(None), SignUp.id > 0).order_by(SignUp.id).limit(50)
    explain = "EXPLAIN QUERY PLAN" if ctx.database.is_sqlite else "EXPLAIN"
    with ctx.read() as session:
        if not ctx.database.is_sqlite:
            session.execute(text("SET LOCAL enable_seqscan = off"))  # which a small table would be read by
        compiled = query.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        plan = str(session.connection().exec_driver_sql(f"{explain} {compiled}").all())

    assert "ix_sign_up_unhandled" in plan


def test_without_a_proof_nothing_that_suppresses_is_ever_lifted(ctx: Context) -> None:
    """Whoever complains while a single opt-in is being taken in stays suppressed."""
    form, email = make_form(ctx, double_opt_in=False), new_person()
    row = keep_sign_up(ctx, form, email)
    suppress(ctx, email, SuppressionReason.COMPLAINT)

    with ctx.write() as session:
        take_in(session, ctx, session.get_one(SignUp, row.id), Proof(is_double=False))

    with ctx.read() as session:
        assert [each.reason for each in list_active_suppressions(session, row.address_hash)] == ["complaint"]
