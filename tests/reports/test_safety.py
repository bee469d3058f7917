"""Are we safe: the page says yes, mostly or no, why, and what to do; its figures are those of the breaker."""

from datetime import timedelta
from functools import cache

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mailer.accounts.passwords import hash_password
from mailer.clock import utc_now
from mailer.context import Context
from mailer.reports.mails import Choice, list_mails
from mailer.reports.metrics import collect_metrics, render_metrics
from mailer.reports.safety import Level, get_safety, list_bars
from mailer.reputation import queries
from mailer.reputation.heartbeat import beat
from mailer.reputation.outside import Figures, record_figures
from mailer.reputation.policy import Counts, Figure, Limits, Window
from mailer.reputation.service import check_rates
from mailer.schema.campaigns import Campaign
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker, OutsideFigure
from mailer.statuses import Role
from tests.reputation.scene import make_sent
from tests.support.client import csrf_of, make_client, sign_in
from tests.support.make import make_staff, make_workspace
from tests.support.story import PASSWORD


@cache
def _hashed() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def alive(sending_ctx: Context) -> Context:
    """An installation whose background work is done."""
    with sending_ctx.write() as session:
        make_workspace(session)
        for email, role in (("ada@example.com", Role.ADMIN), ("kim@example.com", Role.MARKETER)):
            make_staff(
                session, email=email, role=role, password_hash=hash_password(PASSWORD), must_change_password=False
            )
    beat(sending_ctx.redis)
    return sending_ctx


def codes(ctx: Context) -> list[str]:
    with ctx.read() as session:
        return [one.code for one in get_safety(session, ctx).findings]


def add_campaign(ctx: Context, sending_id: int) -> None:
    with ctx.write() as session:
        now = utc_now()
        sending = session.get_one(Sending, sending_id)
        session.add(Campaign(name="Spring fair", subject="Hello", sender_id=sending.sender_id, status="sending",
                             sending_id=sending_id, created_at=now, updated_at=now))  # fmt: skip


def open_page(ctx: Context, path: str, email: str = "ada@example.com") -> tuple[FlaskClient, str]:
    client = make_client(ctx)
    sign_in(client, email, PASSWORD)
    response = client.get(path)
    assert response.status_code == 200, response.text
    return client, response.text


def test_the_limit_stands_at_four_fifths_of_a_bar() -> None:
    hard, complaints, *_ = list_bars(Counts(transmitted=1000, hard=50, reporting=4000, complaints=1), Limits())

    assert (hard.figure, hard.level, hard.filled) == (Figure.HARD.value, Level.BAD, 80.0)
    assert (complaints.level, complaints.filled) == (Level.OK, 20.0)


def test_what_lives_and_has_no_bad_rate_is_safe(alive: Context) -> None:
    make_sent(alive, 300, hard=2)
    check_rates(alive, is_paced=False)

    assert codes(alive) == ["no_worker"]  # nobody sends here


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_background_work_that_stands_still_is_said(alive: Context) -> None:
    alive.redis.flushdb()

    assert "no_background" in codes(alive)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_held_campaign_says_why_what_to_do_and_is_released_with_a_note(alive: Context) -> None:
    bad = make_sent(alive, 200, hard=12)
    add_campaign(alive, bad)
    check_rates(alive, is_paced=False)

    client, page = open_page(alive, "/deliverability")
    assert "No: something is stopped or broken" in page
    assert "Campaign “Spring fair”" in page
    assert "12 of 200 in the last hour; the limit is 5 %" in page.replace("\xa0", " ")
    assert "Find out where these addresses came from" in page
    with alive.read() as session:
        public_id = session.scalars(select(Campaign.public_id)).one()
    report = client.get(f"/campaigns/{public_id}").text
    assert "Held, so that it does not cost the domain its name" in report
    assert ">Resume<" not in report

    form = {"csrf_token": csrf_of(page), "scope": "sending", "key": str(bad), "note": ""}
    assert client.post("/deliverability/release", data=form).status_code == 400
    assert client.post("/deliverability/release", data={**form, "note": "cleaned"}).status_code == 303

    with alive.read() as session:
        assert session.get_one(Sending, bad).hold_reason is None
        row = session.scalars(select(Breaker)).one()
    assert (row.state, row.note, row.by_staff_id is not None) == ("ok", "cleaned", True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_disabled_is_no_marketers_to_release(alive: Context) -> None:
    bad = make_sent(alive, 200, hard=20)
    check_rates(alive, is_paced=False)

    client, page = open_page(alive, "/deliverability", "kim@example.com")
    form = {"csrf_token": csrf_of(page), "scope": "sending", "key": str(bad), "note": "trust me"}

    assert "has to let it go on" in page
    assert client.post("/deliverability/release", data=form).status_code == 403


def test_the_mails_behind_a_figure_are_those_that_went_out_in_the_window(alive: Context) -> None:
    make_sent(alive, 30, hard=3, provider="yahoo")
    make_sent(alive, 30, hard=2, soft=4, provider="google", domain="other.example.com")
    make_sent(alive, 30, hard=7, ago=timedelta(hours=30))
    with alive.read() as session:
        day = list_mails(session, Choice(window=Window.DAY))
        page = list_mails(session, Choice(window=Window.DAY), limit=2)
        rest = list_mails(session, Choice(window=Window.DAY), before_id=page[-1].event_id)
        of_provider = list_mails(session, Choice(window=Window.DAY, provider="google"))
        of_domain = list_mails(session, Choice(window=Window.MONTH, domain="example.com"))

    assert len(day) == 5
    assert [*page, *rest] == day
    assert len(of_provider) == 2
    assert len(of_domain) == 10


def test_the_mails_behind_a_figure_are_as_many_as_it_says(alive: Context) -> None:
    make_sent(alive, 30, hard=3, ago=timedelta(days=30) - timedelta(minutes=2))
    tests = make_sent(alive, 30, hard=4)
    with alive.write() as session:
        session.get_one(Sending, tests).sending_class = "test"
    check_rates(alive, is_paced=False)

    with alive.read() as session:
        lines = list_mails(session, Choice(window=Window.MONTH))
        month = queries.load_rolling(session, utc_now()).of()[Window.MONTH]

    assert len(lines) == month.hard == 3


def test_the_newest_figure_of_google_counts_and_for_thirty_days_only(alive: Context) -> None:
    today = utc_now().date()
    days = (("old.example.com", 40, 0.01), ("mended.example.com", 3, 0.01), ("mended.example.com", 2, 0.0),
            ("bad.example.com", 5, 0.004), ("bad.example.com", 4, None))  # fmt: skip
    figures = [Figures(domain, today - timedelta(days=ago), rate) for domain, ago, rate in days]
    record_figures(alive, figures)

    with alive.read() as session:
        found = [one.detail["domain"] for one in get_safety(session, alive).findings if one.code == "outside"]
        metric = render_metrics(collect_metrics(session, alive))

    assert found == ["bad.example.com"]
    assert 'mailer_outside_spam_ratio{domain="bad.example.com"} 0.004' in metric
    assert "old.example.com" not in metric


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_may_not_see_reports_is_shown_no_way_to_them(alive: Context) -> None:
    with alive.write() as session:
        make_staff(session, email="sal@example.com", role=Role.SALES, password_hash=_hashed(),
                   must_change_password=False)  # fmt: skip
    _, seen_by_admin = open_page(alive, "/deliverability")
    client, seen_by_sales = open_page(alive, "/deliverability", "sal@example.com")

    assert 'href="/bounces"' in seen_by_admin
    assert 'href="/bounces' not in seen_by_sales
    assert client.get("/bounces").status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_recipient_who_was_erased_is_called_so(alive: Context) -> None:
    sending_id = make_sent(alive, 2)
    add_campaign(alive, sending_id)
    with alive.read() as session:
        public_id = session.scalars(select(Campaign.public_id)).one()

    _, page = open_page(alive, f"/campaigns/{public_id}/messages")

    assert page.count("<td>erased</td>") == 2
    assert "None" not in page


def test_the_days_add_up_to_the_month(alive: Context) -> None:
    make_sent(alive, 20, hard=1)
    make_sent(alive, 30, ago=timedelta(days=3))
    check_rates(alive, is_paced=False)

    with alive.read() as session:
        days = queries.list_days(session, utc_now())
        month = queries.load_rolling(session, utc_now()).of()[Window.MONTH]

    assert len(days) == 30
    assert sum(counts.transmitted for _, counts in days) == month.transmitted == 50
    assert days[-4][1].transmitted == 30


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_figures_of_google_are_typed_in_per_cent_and_kept_beside_ours(alive: Context) -> None:
    client, page = open_page(alive, "/deliverability")
    form = {"csrf_token": csrf_of(page), "domain": "Example.com", "day": "2026-11-20", "spam_rate": "0.31"}

    assert client.post("/deliverability/outside", data=form).status_code == 303
    assert client.post("/deliverability/outside", data={**form, "spam_rate": "0.35"}).status_code == 303
    wrong = client.post("/deliverability/outside", data={**form, "day": "yesterday", "domain": "x"})

    assert wrong.status_code == 400
    assert "is no day" in wrong.text
    assert "is no domain" in wrong.text
    with alive.read() as session:
        row = session.scalars(select(OutsideFigure)).one()
    assert (row.domain, row.spam_rate) == ("example.com", 0.0035)
    assert "outside" in codes(alive)


def test_pages_open_on_an_empty_installation(alive: Context) -> None:
    client, _ = open_page(alive, "/deliverability")
    for path in ("/deliverability/live", "/deliverability/mails"):
        for query in ("", "?window=nonsense&domain=%00&campaign=x&kind=open"):
            assert client.get(path + query).status_code == 200
