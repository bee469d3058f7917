"""A form is sent: what is kept, what is turned away, and what is said; over HTTP, without a cookie or a script."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mailer.context import Context
from mailer.forms import service
from mailer.forms.tidy import write_refusals
from mailer.schema.forms import Form, FormRefusal, FormWording
from mailer.schema.workspace import Workspace
from mailer.workspace.service import open_workspace
from tests.support.client import make_client
from tests.support.forms import list_rows, make_answers, make_form, sign_up


def refusals(ctx: Context) -> dict[str, int]:
    write_refusals(ctx)
    with ctx.read() as session:
        return {row.reason: row.count for row in session.scalars(select(FormRefusal))}


def set_limit(ctx: Context, name: str, value: int) -> None:
    with ctx.write() as session:
        row: Workspace = open_workspace(session)
        row.limits = {**row.limits, name: value}


def test_what_is_kept_says_who_what_when_where_and_to_which_words(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)

    response = client.post(
        f"/f/{form.public_id}",
        data=make_answers(ctx, form, " Anna@Example.com ", a_first_name="Anna"),
        headers={"X-Forwarded-For": "198.51.100.7", "User-Agent": "Test browser"},
    )

    assert response.status_code == 303
    assert response.location == f"/f/{form.public_id}/done"
    assert "Set-Cookie" not in response.headers
    (row,) = list_rows(ctx)
    assert (row.email, row.data, row.status, row.ip) == (
        "anna@example.com", {"first_name": "Anna"}, "pending", "198.51.100.7",
    )  # fmt: skip
    assert (row.user_agent, row.topic_ids, row.message_id) == ("Test browser", form.topic_ids, None)
    with ctx.read() as session:
        assert session.get_one(FormWording, row.wording_id).version == 1


def test_wrong_input_is_said_at_its_field_and_the_rest_stays_typed(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, fields=[{"field": "first_name", "required": True}, {"field": "city"}])

    response = sign_up(client, ctx, form, "anna@", a_city='Bodø "nord"', agree=None)

    assert response.status_code == 400
    assert 'id="email-fault"' in response.text
    assert 'id="a_first_name-fault"' in response.text
    assert 'id="agree-fault"' in response.text
    assert 'value="Bodø &#34;nord&#34;"' in response.text
    assert 'value="anna@"' in response.text
    assert list_rows(ctx) == []


def test_who_corrects_a_fault_need_not_wait_again(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)
    page = sign_up(client, ctx, form, "anna@").text
    nonce = page.split('name="nonce" value="')[1].split('"')[0]

    response = sign_up(client, ctx, form, "anna@example.com", nonce=nonce)

    assert response.status_code == 303


def test_a_form_sent_too_quickly_is_asked_for_once_more(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)

    response = sign_up(client, ctx, form, "anna@example.com", seconds=1)

    assert response.status_code == 400
    assert "have a last look" in response.text
    assert 'value="anna@example.com"' in response.text
    assert (list_rows(ctx), refusals(ctx)) == ([], {"too_quick": 1})


def test_a_page_that_was_open_too_long_is_asked_for_once_more(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)

    response = sign_up(client, ctx, form, "anna@example.com", seconds=13 * 3600)

    assert response.status_code == 400
    assert "open for a long time" in response.text
    assert (list_rows(ctx), refusals(ctx)) == ([], {"too_old": 1})


@pytest.mark.parametrize("nonce", [None, "", "forged"])
def test_without_a_nonce_nothing_is_kept_and_the_page_asks_for_a_last_look(
    ctx: Context, client: FlaskClient, nonce: str | None
) -> None:
    """So a plain form on another site, which cannot carry one, still works: with a second press on our page."""
    form = make_form(ctx)

    response = sign_up(client, ctx, form, "anna@example.com", a_first_name="Anna", nonce=nonce)

    assert response.status_code == 200
    assert 'value="anna@example.com"' in response.text
    assert 'value="Anna"' in response.text
    assert list_rows(ctx) == []


def test_a_nonce_counts_once(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)
    answers = make_answers(ctx, form, "anna@example.com")

    first, second = (client.post(f"/f/{form.public_id}", data=answers) for _ in range(2))

    assert (first.status_code, second.status_code, first.location) == (303, 303, second.location)
    assert len(list_rows(ctx)) == 1
    assert refusals(ctx) == {"replayed": 1}


def test_a_corrected_address_on_a_used_page_is_asked_for_and_never_lost_in_silence(
    ctx: Context, client: FlaskClient
) -> None:
    form = make_form(ctx)
    answers = make_answers(ctx, form, "ana@example.com")
    client.post(f"/f/{form.public_id}", data=answers)

    again = client.post(f"/f/{form.public_id}", data=answers | {"email": "anna@example.com"})

    assert again.status_code == 200
    assert 'value="anna@example.com"' in again.text
    assert [row.email for row in list_rows(ctx)] == ["ana@example.com"]


def test_a_nonce_of_one_form_is_none_of_another(ctx: Context, client: FlaskClient) -> None:
    first, second = make_form(ctx), make_form(ctx)

    response = client.post(f"/f/{second.public_id}", data=make_answers(ctx, first, "anna@example.com"))

    assert response.status_code == 200
    assert list_rows(ctx) == []


def test_a_robot_that_fills_in_the_hidden_field_is_thanked_and_forgotten(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)

    response = sign_up(client, ctx, form, "anna@example.com", url="https://example.com")

    assert response.status_code == 303
    assert (list_rows(ctx), refusals(ctx)) == ([], {"honeypot": 1})


def test_a_closed_form_takes_nothing_and_says_so(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)
    service.close_form(ctx, form.public_id)

    page, sent = client.get(f"/f/{form.public_id}"), sign_up(client, ctx, form, "anna@example.com")

    assert (page.status_code, sent.status_code) == (200, 409)
    assert "This form is closed" in page.text
    assert "This form is closed" in sent.text
    assert list_rows(ctx) == []


def test_a_form_closes_at_its_last_moment(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, closes_at="2099-01-01T12:00")
    assert sign_up(client, ctx, form, "anna@example.com").status_code == 303

    assert form.closes_at is not None
    ctx.clock.offset = form.closes_at - ctx.clock.now() + timedelta(seconds=1)

    assert sign_up(client, ctx, form, "bo@example.com").status_code == 409


def test_a_draft_is_no_page_for_strangers(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, is_open=False)

    assert client.get(f"/f/{form.public_id}").status_code == 404
    assert sign_up(client, ctx, form, "anna@example.com").status_code == 404


def test_a_body_too_large_is_refused(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)

    assert sign_up(client, ctx, form, "anna@example.com", a_first_name="x" * 100_000).status_code == 413
    assert sign_up(client, ctx, form, "anna@example.com", a_first_name="x" * 1_000).status_code == 400


# ------------------------------------------------------------------ limits


def test_the_fourth_from_one_address_gets_the_same_answer_and_is_not_kept(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)

    answers = [sign_up(client, ctx, form, "anna@example.com", ip=f"198.51.{n}.7") for n in range(5)]

    assert {(answer.status_code, answer.location) for answer in answers} == {(303, f"/f/{form.public_id}/done")}
    assert len(list_rows(ctx)) == 3
    assert refusals(ctx) == {"address_limit": 2}


@pytest.mark.parametrize(
    ("limit", "reason", "email", "ip"),
    [
        ("signup_ip", "ip_limit", "p{n}@d{n}.example.com", "198.51.100.7"),
        ("signup_network", "network_limit", "p{n}@d{n}.example.com", "198.51.100.{n}"),
        ("signup_network", "network_limit", "p{n}@d{n}.example.com", "2001:db8:7:{n}::1"),
        ("signup_domain", "domain_limit", "p{n}@example.com", "198.51.{n}.7"),
    ],
)
def test_too_many_from_one_place_are_asked_to_come_back_and_nothing_typed_is_lost(
    ctx: Context, client: FlaskClient, limit: str, reason: str, email: str, ip: str
) -> None:
    form = make_form(ctx)
    set_limit(ctx, limit, 3)

    answers = [sign_up(client, ctx, form, email.format(n=n), ip=ip.format(n=n)) for n in range(1, 6)]

    assert [answer.status_code for answer in answers] == [303, 303, 303, 429, 429]
    assert answers[3].headers["Retry-After"]
    assert f'value="{email.format(n=4)}"' in answers[3].text
    assert len(list_rows(ctx)) == 3
    assert refusals(ctx) == {reason: 2}


def test_a_mailbox_provider_has_ten_times_the_people_of_a_company(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)
    set_limit(ctx, "signup_domain", 1)

    answers = [sign_up(client, ctx, form, f"p{n}@gmail.com", ip=f"198.51.{n}.7").status_code for n in range(11)]

    assert answers == [303] * 10 + [429]


def test_the_breaker_lets_a_flooded_form_rest_and_staff_see_it(ctx: Context, client: FlaskClient) -> None:
    form, other = make_form(ctx), make_form(ctx)
    set_limit(ctx, "signup_form", 4)

    flood = [sign_up(client, ctx, form, f"p{n}@d{n}.example.com", ip=f"198.51.{n}.7").status_code for n in range(6)]

    assert flood == [303] * 4 + [429] * 2
    assert refusals(ctx) == {"breaker": 2}
    with ctx.read() as session:
        assert session.get_one(Form, form.id).tripped_at is not None
    assert sign_up(client, ctx, other, "anna@example.com", ip="203.0.113.9").status_code == 303


def test_a_released_breaker_lets_people_in_again(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)
    set_limit(ctx, "signup_form", 1)
    for n in range(3):
        sign_up(client, ctx, form, f"p{n}@example.com")

    set_limit(ctx, "signup_form", 100)
    assert sign_up(client, ctx, form, "anna@example.com").status_code == 429
    service.release_form(ctx, form.public_id)

    assert sign_up(client, ctx, form, "anna@example.com").status_code == 303


def test_without_redis_nobody_is_taken_and_nothing_typed_is_lost(make_ctx: Callable[..., Context]) -> None:
    ctx = make_ctx(redis_url="redis://127.0.0.1:1/0")
    form = make_form(ctx)

    response = sign_up(make_client(ctx), ctx, form, "anna@example.com", a_first_name="Anna")

    assert response.status_code == 503
    assert "try again in a few minutes" in response.text
    assert 'value="Anna"' in response.text
    assert list_rows(ctx) == []


def test_redis_holds_neither_address_nor_ip(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)
    sign_up(client, ctx, form, "anna.secret@example.com", ip="198.51.100.7")

    held = b"".join(key + (ctx.redis.dump(key) or b"") for key in ctx.redis.keys("*"))

    assert held
    for word in (b"anna", b"example.com", b"198.51"):
        assert word not in held
