"""Who may frame a form, whose scripts may read its answers, and that an answer tells nothing of who is known here."""

import re
import time

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.forms import service
from mailer.forms.handle import handle_sign_ups
from mailer.forms.spec import ink_on
from tests.support.forms import list_rows, make_answers, make_form, new_person, sign_up
from tests.support.make import make_contact, make_reader, make_topic

SITE = "https://www.example.com"


def policy(headers: object) -> dict[str, str]:
    text = headers["Content-Security-Policy"]  # type: ignore[index]
    return dict(part.strip().split(" ", 1) for part in text.split(";"))


def test_the_hosted_page_may_be_framed_by_nobody(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, sites=[SITE])

    found = policy(client.get(f"/f/{form.public_id}").headers)

    assert (found["frame-ancestors"], found["default-src"], found["form-action"]) == ("'none'", "'none'", "'self'")
    assert "script-src" not in found
    assert "unsafe" not in str(found)


def test_the_frame_stands_in_its_own_sites_only(ctx: Context, client: FlaskClient) -> None:
    """CSP level 3, frame-ancestors."""
    form, bare = make_form(ctx, sites=[SITE, "http://localhost:8080/"]), make_form(ctx)

    found = policy(client.get(f"/f/{form.public_id}/embed").headers)

    assert found["frame-ancestors"] == f"'self' {SITE} http://localhost:8080"
    assert policy(client.get(f"/f/{bare.public_id}/embed").headers)["frame-ancestors"] == "'self'"
    assert f'action="/f/{form.public_id}/embed"' in client.get(f"/f/{form.public_id}/embed").text


def test_thanks_in_the_frame_stay_in_the_frame(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, sites=[SITE], double_opt_in=False, redirect=f"{SITE}/welcome")

    sent = client.post(f"/f/{form.public_id}/embed", data=make_answers(ctx, form, new_person()))
    page = client.get(sent.location)

    assert sent.location == f"/f/{form.public_id}/embed/done"
    assert policy(page.headers)["frame-ancestors"] == f"'self' {SITE}"
    assert f'href="{SITE}/welcome" rel="noopener" target="_top"' in page.text


def test_single_opt_in_goes_on_to_the_marketer_s_page(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, double_opt_in=False, redirect=f"{SITE}/welcome")

    page, sent = client.get(f"/f/{form.public_id}"), sign_up(client, ctx, form, new_person())

    assert policy(page.headers)["form-action"] == f"'self' {SITE}"
    assert (sent.status_code, sent.location) == (303, f"{SITE}/welcome")


# ------------------------------------------------------------------ other sites


@pytest.mark.parametrize("path", ["", "/nonce"])
@pytest.mark.parametrize("origin", ["https://evil.example.org", "null", "https://www.example.com.evil.example.org"])
def test_a_script_of_another_site_may_read_nothing(ctx: Context, client: FlaskClient, path: str, origin: str) -> None:
    form = make_form(ctx, sites=[SITE])

    answer = client.get(f"/f/{form.public_id}{path}", headers={"Origin": origin})
    asked = client.options(f"/f/{form.public_id}", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    for response in (answer, asked):
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Origin" in response.headers["Vary"]


def test_a_script_of_an_allowed_site_signs_people_up(ctx: Context, client: FlaskClient) -> None:
    """Fetch standard, CORS; the form's nonce stands in for a page of ours."""
    form = make_form(ctx, sites=[SITE], thanks="See you!")
    headers = {"Origin": SITE, "Accept": "application/json"}
    asked = client.options(f"/f/{form.public_id}", headers={"Origin": SITE})
    nonce = client.get(f"/f/{form.public_id}/nonce", headers=headers)

    wrong = client.post(f"/f/{form.public_id}", data=make_answers(ctx, form, "anna@", agree=None), headers=headers)
    right = client.post(f"/f/{form.public_id}", data=make_answers(ctx, form, new_person()), headers=headers)

    assert [r.headers["Access-Control-Allow-Origin"] for r in (asked, nonce, wrong, right)] == [SITE] * 4
    assert "Access-Control-Allow-Credentials" not in right.headers
    assert nonce.json is not None
    assert nonce.json["open"] is True
    assert wrong.json is not None
    assert (wrong.status_code, wrong.json["status"], sorted(wrong.json["faults"])) == (
        400, "faults", ["agree", "email"],
    )  # fmt: skip
    assert (right.status_code, right.json) == (200, {"status": "thanks", "faults": {}, "message": "See you!"})
    (row,) = list_rows(ctx)
    assert row.page == SITE


def test_a_plain_form_of_an_allowed_site_is_asked_for_a_last_look(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, sites=[SITE])
    answers = make_answers(ctx, form, new_person(), nonce=None)

    page = client.post(f"/f/{form.public_id}", data=answers, headers={"Origin": SITE})
    nonce = re.search(r'name="nonce" value="([^"]+)"', page.text)
    assert nonce is not None
    time.sleep(1.1)
    sent = client.post(f"/f/{form.public_id}", data=answers | {"nonce": nonce[1]})

    assert (page.status_code, sent.status_code) == (200, 303)
    assert len(list_rows(ctx)) == 1


def test_a_post_from_a_site_that_is_not_allowed_keeps_nothing(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, sites=[SITE])

    answers = make_answers(ctx, form, new_person())
    response = client.post(f"/f/{form.public_id}", data=answers, headers={"Origin": "https://evil.example.org"})

    assert response.status_code == 403
    assert "You can sign up here" in response.text
    assert list_rows(ctx) == []


def test_our_own_page_is_no_foreign_site(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)

    for origin in ("http://127.0.0.1:8000", "http://localhost"):
        answers = make_answers(ctx, form, new_person())
        assert client.post(f"/f/{form.public_id}", data=answers, headers={"Origin": origin}).status_code == 303


# ------------------------------------------------------------------ nobody learns who is known


def people_of_every_kind(ctx: Context) -> dict[str, str]:
    """An address of nobody, and of people of whom we know one thing each."""
    cause = Cause(source="test", channel="test")
    emails = {kind: new_person() for kind in ("unknown", "contact", "subscribed", "withdrawn", "complained", "marked")}
    with ctx.write() as session:
        topic, key = make_topic(session), ctx.keys.suppression
        make_contact(session, emails["contact"], key=key)
        make_reader(session, topic, emails["subscribed"], key=key)
        consent.withdraw_all(session, [make_reader(session, topic, emails["withdrawn"], key=key)], cause)
        consent.complain(session, make_reader(session, topic, emails["complained"], key=key), cause)
        make_contact(session, emails["marked"], key=key, do_not_mail=True)
    return emails


@pytest.mark.parametrize("is_double", [True, False])
def test_the_answer_is_the_same_whoever_it_is(ctx: Context, client: FlaskClient, is_double: bool) -> None:
    """PROOF: enumeration. The time is compared in tests/chaos/test_list_bombing.py."""
    form = make_form(ctx, double_opt_in=is_double)
    emails = people_of_every_kind(ctx)

    answers = set()
    for _ in range(2):  # the second time there is a sign-up that waits, was refused or confirmed
        for n, email in enumerate(emails.values()):
            sent = sign_up(client, ctx, form, email, ip=f"198.51.{n}.7")
            headers = tuple(sorted((k, v) for k, v in sent.headers if k != "Date"))
            answers.add((sent.status_code, sent.location, sent.text, headers, client.get(sent.location).text))
        handle_sign_ups(ctx)

    assert len(answers) == 1


def test_the_request_does_the_same_work_whoever_it_is(ctx: Context, client: FlaskClient) -> None:
    """The cause of equal time: the very same statements. Chaos measures the time itself."""
    form = make_form(ctx)
    emails = people_of_every_kind(ctx)
    asked: list[list[str]] = []

    def note(*args: object) -> None:
        asked[-1].append(str(args[2]))

    event.listen(ctx.database.engine, "before_cursor_execute", note)
    try:
        for email in emails.values():
            asked.append([])
            sign_up(client, ctx, form, email)
    finally:
        event.remove(ctx.database.engine, "before_cursor_execute", note)

    assert len(asked[0]) > 3
    assert all(each == asked[0] for each in asked)


# ------------------------------------------------------------------ the look


@pytest.mark.parametrize("accent", ["#3a4fd0", "#ffffff", "#000000", "#ffd400", "#777777", "#0e6b52"])
def test_the_button_s_text_is_readable_on_any_color(accent: str) -> None:
    """WCAG 2.1, success criterion 1.4.3."""

    def light(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    one, two = sorted((light(accent), light(ink_on(accent))))
    assert (two + 0.05) / (one + 0.05) >= 4.5


def test_the_look_is_a_stylesheet_of_the_form(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, accent="#ffd400")

    response = client.get(f"/f/{form.public_id}/look.css")

    assert response.text == ":root{--accent:#ffd400;--on-accent:#000000}\n"
    assert response.mimetype == "text/css"


def test_staff_text_is_shown_as_text(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx, title="<script>alert(1)</script>", wording="<b>Yes</b>", intro="{{ 7*7 }}", language="de")

    page = client.get(f"/f/{form.public_id}").text

    assert "<script" not in page
    assert "&lt;b&gt;Yes&lt;/b&gt;" in page
    assert "{{ 7*7 }}" in page
    assert '<html lang="de">' in page


def test_a_form_that_is_archived_shows_as_closed(ctx: Context, client: FlaskClient) -> None:
    form = make_form(ctx)
    service.archive_form(ctx, form.public_id, is_archived=True)

    assert "This form is closed" in client.get(f"/f/{form.public_id}").text
