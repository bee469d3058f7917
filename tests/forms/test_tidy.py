"""Time: links run out, what nobody confirmed is deleted after 30 days, counts stay."""

from datetime import timedelta

from sqlalchemy import func, select

from mailer.context import Context
from mailer.forms import queries
from mailer.forms.confirm import confirm
from mailer.forms.submit import Visitor
from mailer.forms.tidy import tidy
from mailer.schema.contacts import Address
from mailer.schema.delivery import Message
from mailer.schema.forms import SignUp, SignUpAddress
from tests.support.forms import find_people, link_of, list_rows, mail_to, make_form, new_person, read_row


def test_a_sign_up_that_nobody_confirmed_expires_after_seven_days(ctx: Context) -> None:
    row = mail_to(ctx, make_form(ctx), new_person())

    ctx.clock.offset = timedelta(days=6, hours=23)
    tidy(ctx)
    assert read_row(ctx, row).status == "pending"
    ctx.clock.offset = timedelta(days=7, minutes=1)
    tidy(ctx)

    assert read_row(ctx, row).status == "expired"


def test_after_30_days_nothing_is_left_of_who_did_not_confirm_but_a_count(ctx: Context) -> None:
    form, email = make_form(ctx), new_person()
    row = mail_to(ctx, form, email)
    mail_to(ctx, form, email)
    with ctx.write() as session:
        session.get_one(Message, row.message_id).state = "accepted"

    ctx.clock.offset = timedelta(days=29, hours=23)
    tidy(ctx)
    assert len(list_rows(ctx)) == 2
    ctx.clock.offset = timedelta(days=30, minutes=1)
    tidy(ctx)

    assert list_rows(ctx) == []
    with ctx.read() as session:
        assert session.get_one(Message, row.message_id).to_address is None
        assert session.scalar(select(func.count()).where(Message.to_address == email)) == 0
        assert session.scalar(select(func.count()).where(Address.email == email)) == 0
        assert session.get(SignUpAddress, row.address_hash) is None
        numbers = queries.count_numbers(session, [form.id])[form.id]
        reasons = queries.count_refusals(session, form.id)
    assert vars(numbers) == {"submitted": 2, "waiting": 0, "confirmed": 0, "expired": 1, "refused": 1}
    assert reasons == {"mail_limit": 1}


def test_who_confirmed_stays(ctx: Context) -> None:
    row = mail_to(ctx, make_form(ctx), email := new_person())
    confirm(ctx, link_of(ctx, row)[3:], Visitor("", ""))

    ctx.clock.offset = timedelta(days=40)
    tidy(ctx)

    assert read_row(ctx, row).status == "confirmed"
    assert len(find_people(ctx, email)) == 1


def test_tidying_goes_on_in_pages_until_nothing_is_left(ctx: Context) -> None:
    form = make_form(ctx)
    row = mail_to(ctx, form, new_person())
    values = {
        column.key: getattr(row, column.key)
        for column in SignUp.__table__.columns
        if column.key not in ("id", "message_id")
    }
    with ctx.write() as session:
        session.execute(SignUp.__table__.insert(), [values] * 1_100)

    ctx.clock.offset = timedelta(days=31)
    tidy(ctx)

    assert list_rows(ctx) == []
    with ctx.read() as session:
        assert queries.count_numbers(session, [form.id])[form.id].expired == 1_101
