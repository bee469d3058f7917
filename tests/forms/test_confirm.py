"""The link in the confirmation mail: a press of the button confirms, once, within seven days; nothing else does."""

import threading
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer import tokens
from mailer.actions import verbs
from mailer.actions.verbs import Verb
from mailer.addresses import hash_address
from mailer.consent import service as consent
from mailer.consent.queries import get_permission, list_active_suppressions, list_ledger
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.delivery.loop import send_due
from mailer.errors import ConflictError, InputError
from mailer.forms import service
from mailer.forms.confirm import Standing, confirm
from mailer.forms.spec import build_form_file
from mailer.forms.submit import Visitor
from mailer.schema.consent import ConsentEvidence, Subscription
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message
from mailer.schema.followups import FollowUp
from mailer.schema.forms import Form, SignUp, SignUpAddress
from mailer.schema.segments import SegmentMember
from mailer.segments.service import create_static
from mailer.statuses import ActionKind, Permission, SuppressionReason
from mailer.workspace.service import open_workspace
from tests.support.forms import (
    WORDING,
    find_people,
    link_of,
    list_rows,
    mail_to,
    make_form,
    new_person,
    read_row,
)
from tests.support.make import make_company, make_contact, make_reader, make_topic
from tests.support.sink import Sink

VISITOR = Visitor("203.0.113.9", "Mail reader")


def press(ctx: Context, row: SignUp) -> Standing:
    return confirm(ctx, link_of(ctx, row)[3:], VISITOR).standing


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_a_scanner_that_fetches_the_link_changes_nothing(ctx: Context, client: FlaskClient, method: str) -> None:
    """RFC 9110, section 9.2.1."""
    row = mail_to(ctx, make_form(ctx), email := new_person())

    response = getattr(client, method)(link_of(ctx, row))

    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    assert read_row(ctx, row).status == "pending"
    assert find_people(ctx, email) == []


def test_the_page_shows_the_address_masked_and_nothing_that_was_typed(ctx: Context, client: FlaskClient) -> None:
    row = mail_to(ctx, make_form(ctx), email := new_person(), data={"first_name": "Evil <script>"})

    page = client.get(link_of(ctx, row)).text

    assert "p…@example.com" in page
    assert email not in page
    assert "Evil" not in page
    assert "<script" not in page


def test_a_press_of_the_button_makes_a_contact_with_permission_topics_and_evidence(
    ctx: Context, client: FlaskClient
) -> None:
    form = make_form(ctx)
    row = mail_to(ctx, form, email := new_person())

    page = client.post(link_of(ctx, row), headers={"X-Forwarded-For": "203.0.113.9", "User-Agent": "Mail reader"})

    assert (page.status_code, "You are signed up" in page.text) == (200, True)
    (contact,) = find_people(ctx, email)
    with ctx.read() as session:
        assert get_permission(session, contact.id) is Permission.CONSENT
        subscribed = session.execute(
            select(Subscription.topic_id, Subscription.status).where(Subscription.contact_id == contact.id)
        ).all()
        lines = list_ledger(session, contact.ledger_id)
        evidence = session.get_one(ConsentEvidence, lines[-1].id).data
        topic_id = session.get_one(Form, form.id).topic_ids[0]
    assert contact.first_name == "Anna"
    assert [tuple(line) for line in subscribed] == [(topic_id, "subscribed")]
    assert {(line.verdict, line.channel, line.wording_version) for line in lines} == {
        ("given", "form", f"form-{form.id}-v1"),
        ("subscribed", "form", f"form-{form.id}-v1"),
    }
    assert evidence["wording"] == WORDING
    assert (evidence["submitted_ip"], evidence["confirmed_ip"]) == ("198.51.100.7", "203.0.113.9")
    assert (evidence["submitted_user_agent"], evidence["confirmed_user_agent"]) == ("Test browser", "Mail reader")
    assert evidence["submitted_at"] < evidence["confirmed_at"]


def test_once_confirmed_the_room_forgets_who_it_was(ctx: Context) -> None:
    row = mail_to(ctx, make_form(ctx), email := new_person())
    with ctx.write() as session:
        session.get_one(Message, row.message_id).state = "accepted"

    press(ctx, row)

    after = read_row(ctx, row)
    (contact,) = find_people(ctx, email)
    assert (after.status, after.contact_id) == ("confirmed", contact.id)
    assert (after.email, after.data, after.ip, after.user_agent) == (None, {}, "", "")
    with ctx.read() as session:
        assert session.get_one(Message, row.message_id).to_address is None
        assert session.get_one(SignUpAddress, row.address_hash).mails == 0


def test_confirming_twice_says_so_and_changes_nothing_more(ctx: Context, client: FlaskClient) -> None:
    row = mail_to(ctx, make_form(ctx), email := new_person())
    assert press(ctx, row) is Standing.DONE
    (contact,) = find_people(ctx, email)
    with ctx.read() as session:
        before = len(list_ledger(session, contact.ledger_id))

    again = client.post(link_of(ctx, row))

    assert (again.status_code, "signed up already" in again.text) == (200, True)
    assert "signed up already" in client.get(link_of(ctx, row)).text
    with ctx.read() as session:
        assert len(list_ledger(session, contact.ledger_id)) == before


def test_of_two_presses_at_the_same_moment_one_confirms(ctx: Context) -> None:
    row = mail_to(ctx, make_form(ctx), email := new_person())
    told = _together([lambda: press(ctx, row)] * 4)

    assert sorted(told) == sorted([Standing.DONE, *[Standing.ALREADY] * 3])
    assert len(find_people(ctx, email)) == 1


def test_two_forms_confirmed_at_the_same_moment_make_one_contact(ctx: Context) -> None:
    email = new_person()
    first = mail_to(ctx, make_form(ctx), email)
    ctx.clock.offset = timedelta(hours=25)
    second = mail_to(ctx, make_form(ctx), email)

    told = _together([lambda: press(ctx, first), lambda: press(ctx, second)])

    assert told == [Standing.DONE, Standing.DONE]
    assert len(find_people(ctx, email)) == 1


def test_a_link_runs_out_after_seven_days(ctx: Context, client: FlaskClient) -> None:
    row = mail_to(ctx, make_form(ctx), email := new_person())
    ctx.clock.offset = timedelta(days=7, seconds=1)

    assert "has run out" in client.get(link_of(ctx, row)).text
    assert press(ctx, row) is Standing.LATE
    assert find_people(ctx, email) == []

    ctx.clock.offset = timedelta(days=6, hours=23)
    assert press(ctx, row) is Standing.DONE


def test_the_other_sign_up_of_the_same_person_is_settled_with_it(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    first = mail_to(ctx, form, email)
    ctx.clock.offset = timedelta(hours=25)
    second = mail_to(ctx, form, email)

    assert press(ctx, second) is Standing.DONE
    assert press(ctx, first) is Standing.ALREADY

    settled = read_row(ctx, first)
    assert (settled.status, settled.reason, settled.email) == ("refused", "repeated", None)


@pytest.mark.parametrize("change", ["flip", "cut", "kind", "click"])
def test_a_forged_link_is_no_page(ctx: Context, client: FlaskClient, change: str) -> None:
    row = mail_to(ctx, make_form(ctx), new_person())
    token = link_of(ctx, row)[3:]
    assert row.message_id is not None
    texts = {
        "flip": token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1],
        "cut": token[:-1],
        "kind": tokens.track_token(ctx.keys, tokens.VIEW, row.message_id),
        "click": tokens.track_token(ctx.keys, tokens.CLICK, row.message_id, 4),
    }

    got, pressed = client.get(f"/s/{texts[change]}"), client.post(f"/s/{texts[change]}")

    assert (got.status_code, pressed.status_code) == (404, 404)
    assert read_row(ctx, row).status == "pending"


# ------------------------------------------------------------------ coming back


@pytest.mark.parametrize(
    "reason",
    [
        SuppressionReason.HARD_BOUNCE,
        SuppressionReason.COMPLAINT,
        SuppressionReason.UNSUBSCRIBE,
        SuppressionReason.ERASURE,
    ],
)
def test_a_confirmed_sign_up_ends_what_the_person_may_end(ctx: Context, reason: SuppressionReason) -> None:
    """FEATURES C10."""
    form, email = make_form(ctx), new_person()
    digest = hash_address(email, ctx.keys.suppression)
    with ctx.write() as session:
        contact = make_contact(session, email, key=ctx.keys.suppression)
        consent.withdraw_all(session, [contact], Cause(source="test", channel="test"))
        consent.suppress(session, digest, reason, "test")

    row = mail_to(ctx, form, email)
    with ctx.read() as session:
        assert list_active_suppressions(session, digest)
    assert press(ctx, row) is Standing.DONE

    with ctx.read() as session:
        assert list_active_suppressions(session, digest) == []
        assert get_permission(session, contact.id) is Permission.CONSENT


def test_an_erased_address_is_written_again_by_the_person_s_own_act(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    with ctx.write() as session:
        contact = make_contact(session, email, key=ctx.keys.suppression)
        address = session.get_one(Address, contact.address_id)
        address.email, address.domain = None, ""
        contact.address_id, contact.archived_at = None, contact.created_at
        consent.suppress(session, address.email_hash, SuppressionReason.ERASURE, "erasure")

    assert press(ctx, mail_to(ctx, form, email)) is Standing.DONE

    (fresh,) = find_people(ctx, email)
    assert fresh.id != contact.id
    assert fresh.ledger_id != contact.ledger_id


def test_a_known_person_is_brought_up_to_date_and_keeps_what_was_not_asked(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    with ctx.write() as session:
        company = make_company(session)
        contact = make_contact(
            session, email, key=ctx.keys.suppression, first_name="Old", city="Oslo", company_id=company.id,
            data={"size": "M"}, archived_at=None,
        )  # fmt: skip
    row = mail_to(ctx, form, email, data={"first_name": "Anna", "company": "Other Ltd", "member": True})

    press(ctx, row)

    (after,) = find_people(ctx, email)
    assert after.id == contact.id
    assert (after.first_name, after.city, after.company_id) == ("Anna", "Oslo", company.id)
    assert after.data == {"size": "M", "member": True}


def test_a_consent_given_anew_leaves_a_line_with_its_own_evidence(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    with ctx.write() as session:
        contact = make_reader(session, make_topic(session), email, key=ctx.keys.suppression)

    press(ctx, mail_to(ctx, form, email))

    with ctx.read() as session:
        assert f"form-{form.id}-v1" in {line.wording_version for line in list_ledger(session, contact.ledger_id)}


# ------------------------------------------------------------------ places, wordings, actions


def test_exactly_as_many_confirm_as_there_are_places(ctx: Context) -> None:
    form = make_form(ctx, closes_after=3)
    rows = [mail_to(ctx, form, new_person()) for _ in range(8)]

    told = _together([lambda row=row: press(ctx, row) for row in rows])  # type: ignore[misc]

    assert sorted(told) == sorted([Standing.DONE] * 3 + [Standing.FULL] * 5)
    with ctx.read() as session:
        assert session.get_one(Form, form.id).confirmed_count == 3
    assert sorted(row.status for row in list_rows(ctx)) == ["confirmed"] * 3 + ["refused"] * 5
    assert {row.email for row in list_rows(ctx) if row.status == "refused"} == {None}


def test_who_signed_up_before_a_change_of_wording_agreed_to_the_old_one(ctx: Context) -> None:
    form = make_form(ctx)
    row = mail_to(ctx, form, email := new_person())
    with ctx.read() as session:
        values = service.describe_form(session, session.get_one(Form, form.id))
    service.update_form(ctx, form.public_id, build_form_file(values | {"wording": "Something else entirely."}))

    press(ctx, row)

    (contact,) = find_people(ctx, email)
    with ctx.read() as session:
        lines = list_ledger(session, contact.ledger_id)
        assert {line.wording_version for line in lines} == {f"form-{form.id}-v1"}
        assert session.get_one(ConsentEvidence, lines[0].id).data["wording"] == WORDING


def test_actions_are_done_once_a_person_is_confirmed(ctx: Context) -> None:
    segment = create_static(ctx, new_person("Participants"), contact_ids=[], cause="test")
    task = {"follow_up": {"title": "Call about the seminar", "due_working_days": 2, "kind": "call"}}
    form = make_form(ctx, actions=[{"add_to_segment": segment.id}, task])
    row = mail_to(ctx, form, email := new_person())
    assert _count(ctx, SegmentMember, SegmentMember.segment_id == segment.id) == 0

    press(ctx, row)
    press(ctx, row)

    (contact,) = find_people(ctx, email)
    assert _count(ctx, SegmentMember, SegmentMember.contact_id == contact.id) == 1
    with ctx.read() as session:
        tasks = session.scalars(select(FollowUp).where(FollowUp.contact_id == contact.id)).all()
    assert [(each.title, each.kind, each.source) for each in tasks] == [
        ("Call about the seminar", "call", f"form:{form.id}")
    ]


def test_an_action_that_cannot_be_done_costs_nobody_their_sign_up(ctx: Context) -> None:
    form = make_form(ctx)
    with ctx.write() as session:
        session.get_one(Form, form.id).actions = [{"kind": "add_to_segment", "params": {"segment_id": 10**9}}]
    row = mail_to(ctx, form, email := new_person())

    assert press(ctx, row) is Standing.DONE

    assert len(find_people(ctx, email)) == 1
    assert "no such segment" in read_row(ctx, row).note


def test_an_action_that_fails_half_way_leaves_nothing_behind(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_half_way(session: Session, _ctx: Context, _verb: Verb, contact_id: int) -> None:
        session.get_one(Contact, contact_id).title = "half done"
        session.flush()
        raise ConflictError("the other half cannot be done")

    monkeypatch.setitem(verbs._VERBS, ActionKind.FOLLOW_UP, fail_half_way)
    form = make_form(ctx, actions=[{"follow_up": {"title": "Call"}}])
    row = mail_to(ctx, form, email := new_person())

    assert press(ctx, row) is Standing.DONE

    (contact,) = find_people(ctx, email)
    assert contact.title == ""
    assert "the other half" in read_row(ctx, row).note


def test_a_confirmed_person_is_sent_on_to_the_marketer_s_page(ctx: Context, client: FlaskClient) -> None:
    row = mail_to(ctx, make_form(ctx, redirect="https://www.example.com/welcome?x=1"), new_person())

    asked, pressed = client.get(link_of(ctx, row)), client.post(link_of(ctx, row))

    assert "form-action 'self' https://www.example.com;" in asked.headers["Content-Security-Policy"]
    assert (pressed.status_code, pressed.location) == (303, "https://www.example.com/welcome?x=1")


def _count(ctx: Context, table: type[SegmentMember], *conditions: object) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0  # type: ignore[arg-type]


def _together(calls: list) -> list[Standing]:  # type: ignore[type-arg]
    barrier, told = threading.Barrier(len(calls)), []

    def run(call) -> None:  # type: ignore[no-untyped-def]
        barrier.wait()
        told.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_the_response_mail_goes_to_who_is_in_and_is_frozen_once(sending_ctx: Context, sink: Sink) -> None:
    ctx = sending_ctx
    mail = {"subject": "Good that you come, {{ contact.first_name | default('friend') }}", "text": "Doors at <nine>."}
    form = make_form(ctx, actions=[{"response_mail": mail}])
    with ctx.write() as session:
        open_workspace(session).limits = {"rate_per_second": 0}
    rows = [mail_to(ctx, form, f"{name}@example.com") for name in ("anna", "bo")]
    versions = []
    for row in rows:
        press(ctx, row)
        with ctx.read() as session:
            versions.append(session.get_one(Form, form.id).actions[0]["params"]["version_id"])

    send_due(ctx, seconds=20)

    answers = [one for one in sink.mails if "Good" in one.header("Subject")]
    assert sorted(one.rcpt_to for one in answers) == ["anna@example.com", "bo@example.com"]
    assert answers[0].header("Subject") == "Good that you come, Anna"
    assert answers[0].header("List-Unsubscribe") == ""
    assert b"Doors at &lt;nine&gt;." in answers[0].raw.replace(b"=\r\n", b"")
    assert versions[0] == versions[1]
    with ctx.read() as session:
        assert service.describe_form(session, session.get_one(Form, form.id))["actions"] == [{"response_mail": mail}]


def test_a_response_mail_that_is_no_template_is_refused_when_it_is_written(ctx: Context) -> None:
    with pytest.raises(InputError) as raised:
        make_form(ctx, actions=[{"response_mail": {"subject": "{{ contact.__class__() }}", "text": "x"}}])

    assert {problem.where for problem in raised.value.problems} == {"actions"}
