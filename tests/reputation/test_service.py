"""The breaker from rows: counted, judged, held, remembered, released with a note (C32)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.sendings import start_sending
from mailer.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from mailer.reputation import queries, service
from mailer.reputation.counting import COLUMNS
from mailer.reputation.looks import count_due, list_news
from mailer.reputation.policy import EASES_AFTER, Window
from mailer.reputation.service import check_rates, resume, what_is_ignored
from mailer.schema.accounts import AuditEvent
from mailer.schema.delivery import Message, Sending
from mailer.schema.reputation import Breaker, BreakerChange, RateSlot
from mailer.schema.transports import ProviderHold
from mailer.schema.workspace import Sender
from mailer.statuses import BreakerState, EventKind
from tests.reputation.scene import add_sent, make_sent, react
from tests.support.make import make_reader, make_sending, make_topic

NOTE = "the list was cleaned"


def check(ctx: Context) -> dict[tuple[str, str], BreakerState]:
    return check_rates(ctx, is_paced=False)


def held(ctx: Context, sending_id: int) -> str | None:
    with ctx.read() as session:
        return session.get_one(Sending, sending_id).hold_reason


def state_of(ctx: Context, scope: str, key: object) -> str:
    with ctx.read() as session:
        row = queries.find_breaker(session, scope, str(key))
        return row.state if row else "ok"


def test_ten_of_two_hundred_hold_the_sending_and_nine_do_not(ctx: Context) -> None:
    fine = make_sent(ctx, 200, hard=9, domain="fine.example.com")
    bad = make_sent(ctx, 200, hard=10, domain="bad.example.com", provider="yahoo")

    assert check(ctx) == {("sending", str(bad)): BreakerState.PAUSED}

    assert (held(ctx, bad), held(ctx, fine)) == ("breaker", None)
    with ctx.read() as session:
        note = session.get_one(Sending, bad).hold_note
        actions = session.scalars(select(AuditEvent.action).where(AuditEvent.subject_kind == "sending")).all()
    assert note == "10 hard bounces of 200 transmitted in 1h are 5.00%; the limit is 5.00%"
    assert "breaker.trip" in actions


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("accepted", "hard", "complaints"), [(3, 1, 0), (900, 0, 1), (199, 19, 0)])
def test_small_numbers_stop_nothing(ctx: Context, accepted: int, hard: int, complaints: int) -> None:
    make_sent(ctx, accepted, hard=hard, complaints=complaints)

    assert check(ctx) == {}


def test_the_state_survives_a_restart_and_stays(make_ctx: Callable[..., Context]) -> None:
    first = make_ctx()
    bad = make_sent(first, 200, hard=10)
    check(first)
    first.database.dispose()

    second = make_ctx()
    assert check(second) == {}
    assert (state_of(second, "sending", bad), held(second, bad)) == ("paused", "breaker")


def test_only_a_note_releases_and_what_was_accepted_does_not_stop_it_again(ctx: Context) -> None:
    bad = make_sent(ctx, 200, hard=10)
    check(ctx)

    with pytest.raises(InputError):
        resume(ctx, "sending", str(bad), "  ")
    row = resume(ctx, "sending", str(bad), NOTE)

    assert held(ctx, bad) is None
    assert what_is_ignored(row).endswith("unless it becomes worse than paused")
    assert check(ctx) == {}
    with ctx.read() as session:
        changes = [
            (one.state_before, one.state, one.note) for one in queries.list_changes(session, "sending", str(bad))
        ]
    assert changes[0] == ("paused", "ok", NOTE)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_worse_figures_stop_it_again_after_a_release(ctx: Context) -> None:
    bad = make_sent(ctx, 200, hard=10)
    check(ctx)
    resume(ctx, "sending", str(bad), NOTE)
    with ctx.write() as session:
        react(session, bad, {EventKind.HARD_BOUNCE: 10}, skip=10)

    assert check(ctx)["sending", str(bad)] is BreakerState.DISABLED
    assert held(ctx, bad) == "breaker"


def test_mails_after_a_release_are_judged_as_ever(ctx: Context) -> None:
    bad = make_sent(ctx, 200, hard=10, ago=timedelta(minutes=30))
    check(ctx)
    resume(ctx, "sending", str(bad), NOTE)
    with ctx.write() as session:
        session.execute(update(Breaker).values(released_at=utc_now() - timedelta(minutes=20)))
        add_sent(session, bad, 250)
        react(session, bad, {EventKind.HARD_BOUNCE: 13}, skip=200)

    assert check(ctx)["sending", str(bad)] is BreakerState.PAUSED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_disabled_is_released_by_an_operator_only(ctx: Context) -> None:
    bad = make_sent(ctx, 200, hard=20)
    assert check(ctx)["sending", str(bad)] is BreakerState.DISABLED

    with pytest.raises(NotAllowedError):
        resume(ctx, "sending", str(bad), NOTE, is_operator=False)
    resume(ctx, "sending", str(bad), NOTE)

    with pytest.raises(ConflictError):
        resume(ctx, "sending", str(bad), NOTE)
    with pytest.raises(NotFoundError):
        resume(ctx, "domain", "nowhere.example", NOTE)


def test_complaints_of_providers_that_report_none_are_left_out(ctx: Context) -> None:
    make_sent(ctx, 5000, provider="google")
    make_sent(ctx, 900, complaints=2, provider="yahoo")
    check(ctx)

    with ctx.read() as session:
        counts = queries.load_rolling(session, utc_now()).of()[Window.DAY]
    assert (counts.delivered, counts.reporting, counts.complaints) == (5900, 900, 2)


def test_a_throttled_sending_goes_at_half_its_rate_and_eases_after_an_hour(ctx: Context) -> None:
    slow = make_sent(ctx, 2000, complaints=3, provider="yahoo")
    with ctx.write() as session:
        session.execute(update(Sending).where(Sending.id == slow).values(rate_per_second=4))

    assert check(ctx)["sending", str(slow)] is BreakerState.THROTTLED
    with ctx.read() as session:
        assert session.get_one(Sending, slow).slowed_to == 2
        assert session.get_one(Sending, slow).hold_reason is None

    with ctx.write() as session:
        add_sent(session, slow, 2000, provider="yahoo")
    assert check(ctx) == {}
    with ctx.write() as session:
        session.execute(update(Breaker).values(changed_at=utc_now() - EASES_AFTER))
    assert check(ctx)["sending", str(slow)] is BreakerState.OK
    with ctx.read() as session:
        assert session.get_one(Sending, slow).slowed_to is None


def test_a_campaign_stays_slow_when_only_its_domain_may_go_on(ctx: Context) -> None:
    slow = make_sent(ctx, 2000, complaints=3, provider="yahoo")
    assert check(ctx).keys() == {("sending", str(slow)), ("domain", "example.com"), ("provider", "yahoo")}

    resume(ctx, "domain", "example.com", NOTE)

    with ctx.read() as session:
        assert session.get_one(Sending, slow).slowed_to is not None
    resume(ctx, "sending", str(slow), NOTE)
    with ctx.read() as session:
        assert session.get_one(Sending, slow).slowed_to is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_release_while_figures_are_judged_is_not_undone(ctx: Context) -> None:
    bad = make_sent(ctx, 200, hard=10)
    check(ctx)
    with ctx.write() as session:
        react(session, bad, {EventKind.HARD_BOUNCE: 10}, skip=10)
    count_due(ctx, is_paced=False)
    with ctx.read() as session:
        verdict, *_ = service._judge_all(session)  # it became worse, but a person has seen that
    resume(ctx, "sending", str(bad), NOTE)

    assert service._change(ctx, verdict) is None

    assert (state_of(ctx, "sending", bad), held(ctx, bad)) == ("ok", None)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_mail_that_no_breaker_stops_releases_none(ctx: Context) -> None:
    """Transactional mail goes on whatever its domain's breaker says: resuming it says nothing about the domain."""
    for _ in range(2):
        make_sent(ctx, 100, hard=5)
    check(ctx)
    with ctx.write() as session:
        notice = make_sending(session, ctx, [], make_topic(session))
        notice.sending_class = "transactional"
        session.get_one(Sender, notice.sender_id).from_email = "news@example.com"

    service.release_breaker(ctx, notice.id, NOTE)

    assert state_of(ctx, "domain", "example.com") == "paused"


def test_a_campaign_that_was_stopped_does_not_stop_its_domain_but_two_do(ctx: Context) -> None:
    make_sent(ctx, 200, hard=12)
    make_sent(ctx, 300, hard=3)
    assert [scope for scope, _ in check(ctx)] == ["sending"]

    make_sent(ctx, 200, hard=12)

    assert [scope for scope, _ in check(ctx)] == ["sending", "domain"]


def test_a_stopped_domain_holds_what_runs_and_what_starts_later(ctx: Context) -> None:
    small = [make_sent(ctx, 100, hard=5, domain="bad.example.com") for _ in range(2)]
    assert check(ctx) == {("domain", "bad.example.com"): BreakerState.PAUSED}
    assert [held(ctx, number) for number in small] == ["breaker", "breaker"]
    with ctx.write() as session:
        topic = make_topic(session)
        later = make_sending(session, ctx, [make_reader(session, topic, key=ctx.keys.suppression)], topic)
        later.state = "preparing"
        session.get_one(Sender, later.sender_id).from_email = "news@bad.example.com"
        session.flush()
        start_sending(session, ctx, later.id)

    assert held(ctx, later.id) == "breaker"
    resume(ctx, "domain", "bad.example.com", NOTE)
    assert [held(ctx, number) for number in [*small, later.id]] == [None, None, None]


def test_a_stopped_provider_holds_its_mails_in_every_sending(ctx: Context) -> None:
    first = make_sent(ctx, 150, hard=8, provider="microsoft")
    second = make_sent(ctx, 150, hard=8, provider="microsoft", domain="other.example.com")

    assert check(ctx) == {("provider", "microsoft"): BreakerState.PAUSED}

    assert (held(ctx, first), held(ctx, second)) == (None, None)
    with ctx.read() as session:
        rows = session.execute(select(ProviderHold.sending_id, ProviderHold.provider, ProviderHold.reason)).all()
    assert rows == [(first, "microsoft", "breaker"), (second, "microsoft", "breaker")]
    resume(ctx, "provider", "microsoft", NOTE)
    with ctx.read() as session:
        assert session.scalars(select(ProviderHold.id).where(ProviderHold.released_at.is_(None))).all() == []


def test_many_judges_write_one_line_of_history(make_ctx: Callable[..., Context]) -> None:
    first, second = make_ctx(), make_ctx()
    make_sent(first, 200, hard=10)

    changed = [check(first), check(second)]

    assert [bool(one) for one in changed] == [True, False]
    with first.read() as session:
        assert len(session.scalars(select(BreakerChange.id)).all()) == 1


def test_windows_roll_with_the_time_of_transmission(ctx: Context) -> None:
    make_sent(ctx, 10, ago=timedelta(minutes=30))
    make_sent(ctx, 20, ago=timedelta(hours=5))
    make_sent(ctx, 40, hard=3, ago=timedelta(days=9))
    make_sent(ctx, 80, ago=timedelta(days=31))
    check(ctx)

    with ctx.read() as session:
        found = queries.load_rolling(session, utc_now()).of()

    assert [found[window].transmitted for window in Window] == [10, 30, 70]
    assert [found[window].hard for window in Window] == [0, 0, 3]


def test_slots_that_no_window_reaches_are_forgotten_and_not_counted_again(ctx: Context) -> None:
    old = make_sent(ctx, 10, ago=timedelta(days=40))
    with ctx.write() as session:
        add_sent(session, old, 5)
    check(ctx)
    with ctx.write() as session:
        session.execute(
            insert(RateSlot).values(
                sending_id=old, provider="yahoo", slot=utc_now() - timedelta(days=32),
                **dict.fromkeys(COLUMNS, 1),
            )
        )  # fmt: skip
    check(ctx)

    with ctx.read() as session:
        rows = session.execute(select(RateSlot.provider, RateSlot.accepted)).all()
    assert rows == [("other", 5)]
    count_due(ctx, is_paced=False)
    assert list_news(ctx) == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_sent_is_nothing_judged(ctx: Context) -> None:
    assert check(ctx) == {}
    with ctx.read() as session:
        assert queries.load_rolling(session, utc_now()).of() == {}


def test_mails_without_an_answer_are_told_for_thirty_days(ctx: Context) -> None:
    sending = make_sent(ctx, 3)
    with ctx.write() as session:
        session.execute(update(Message).where(Message.state == "accepted").values(state="unknown", accepted_at=None))
    check(ctx)

    with ctx.write() as session:
        assert queries.count_open(session, utc_now()) == (0, 3)
        session.get_one(Sending, sending).finished_at = utc_now() - timedelta(days=31)
        session.flush()
        assert queries.count_open(session, utc_now()) == (0, 0)


def test_news_stay_until_they_were_judged_whoever_dies(ctx: Context) -> None:
    """As when a process ends between counting and judging, in the middle of a minute."""
    sending_id = make_sent(ctx, 300, hard=18)
    count_due(ctx, is_paced=False)
    assert sending_id in list_news(ctx)

    count_due(ctx, is_paced=False)  # the next one finds nothing new, and the news are there all the same
    assert sending_id in list_news(ctx)

    check_rates(ctx)
    assert list_news(ctx) == {}
    with ctx.read() as session:
        assert session.scalars(select(Breaker.state).where(Breaker.scope == "sending")).one() == "paused"
