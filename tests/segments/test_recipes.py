"""The ready recipes select whom their words say; every member is counted by hand (FEATURES S18)."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from mailer.context import Context
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Event, Message
from mailer.segments.queries import iter_members, read_rule
from mailer.segments.recipes import RECIPES
from tests.support.make import fill_engagement, make_activity, make_contact, make_sending, make_topic, make_workspace

TODAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def session(ctx: Context) -> Iterator[Session]:
    with ctx.write() as session:
        make_workspace(session, timezone="Europe/Oslo")
        yield session


def members(session: Session, recipe: str) -> str:
    """The first names of the members, sorted."""
    rule = next(one.rule for one in RECIPES if one.name == recipe)
    return "".join(sorted(member.first_name for member in iter_members(session, read_rule(session, rule), TODAY)))


def buy(session: Session, name: str, *purchases: tuple[datetime, int]) -> Contact:
    """A contact with purchases, in øre."""
    contact = make_contact(session, first_name=name)
    for at, amount in purchases:
        make_activity(session, contact, kind="purchase", at=at, amount=amount, currency="NOK")
    return contact


def test_customers_fall_into_classes_by_revenue_of_twelve_whole_months(session: Session) -> None:
    may = datetime(2026, 5, 5, tzinfo=UTC)
    first = datetime(2025, 10, 31, 23, tzinfo=UTC)  # midnight in Oslo: 1 November 2025
    too_early, this_month = first - timedelta(seconds=1), datetime(2026, 10, 31, 23, tzinfo=UTC)
    buy(session, "a", (may, 500_000_01))
    buy(session, "b", (may, 500_000_00))
    buy(session, "c", (may, 200_001_00))
    buy(session, "d", (may, 200_000_99))
    buy(session, "e", (may, 1_00))
    buy(session, "f", (may, 99))
    buy(session, "g", (first, 300_000_00), (may, 300_000_00))
    buy(session, "h", (too_early, 900_000_00), (may, 250_000_00))
    buy(session, "i", (this_month, 900_000_00))
    buy(session, "j")
    make_activity(session, make_contact(session, first_name="k"), kind="seminar", at=may, amount=900_000_00)

    assert members(session, "A-customers") == "ag"
    assert members(session, "B-customers") == "bch"
    assert members(session, "C-customers") == "de"


def test_quiet_is_who_bought_nothing_since_six_months_before_this_one(session: Session) -> None:
    start = datetime(2026, 4, 30, 22, tzinfo=UTC)  # midnight in Oslo: 1 May 2026
    buy(session, "a", (start, 100))
    buy(session, "b", (start - timedelta(seconds=1), 100))
    buy(session, "c")
    buy(session, "d", (NOON, 0))

    assert members(session, "Quiet for six months") == "bc"


def test_new_is_who_was_added_since_the_first_of_the_month(session: Session) -> None:
    start = datetime(2026, 10, 31, 23, tzinfo=UTC)
    make_contact(session, first_name="a", created_at=start)
    make_contact(session, first_name="b", created_at=start - timedelta(seconds=1))
    make_contact(session, first_name="c", created_at=datetime(2026, 11, 30, 22, 59, tzinfo=UTC))
    make_contact(session, first_name="d", created_at=datetime(2026, 11, 30, 23, tzinfo=UTC))

    assert members(session, "New this month") == "ac"


def test_promoters_answered_nine_or_ten(session: Session) -> None:
    for name, answers in {"a": [9], "b": [10], "c": [8], "d": [8, 9], "e": ["9"], "f": []}.items():
        contact = make_contact(session, first_name=name)
        for score in answers:
            make_activity(session, contact, kind="nps", at=NOON, data={"score": score})
    make_activity(session, make_contact(session, first_name="g"), kind="survey", at=NOON, data={"score": 10})

    assert members(session, "Promoters") == "abd"


@pytest.fixture
def mail(ctx: Context, session: Session) -> Callable[..., None]:
    """Mail a new contact so many times, then let hits of a kind and class come in."""
    topic = make_topic(session)

    def mail(
        name: str, *hits: tuple[str, str, int], times: int = 5, days: int = 100, accepted: int | None = None
    ) -> None:
        contact = make_contact(session, first_name=name)
        ids = []
        for number in range(times):
            sending = make_sending(session, ctx, [contact], topic)
            message = session.query(Message).filter(Message.sending_id == sending.id).one()
            if accepted is None or number < accepted:
                message.accepted_at = NOON - timedelta(days=days)
            ids.append((message.id, sending.id))
        for number, (kind, hit_class, ago) in enumerate(hits):
            values: dict[str, Any] = {"message_id": ids[0][0], "sending_id": ids[0][1], "contact_id": contact.id}
            session.add(
                Event(**values, kind=kind, hit_class=hit_class, at=NOON - timedelta(days=ago), detail={},
                      dedupe_key=f"{name}{number}")
            )  # fmt: skip
        fill_engagement(session)

    return mail


def test_engaged_is_a_human_click_in_ninety_days_or_a_human_open_in_thirty(
    session: Session, mail: Callable[..., None]
) -> None:
    mail("a", ("click", "human", 90), times=1)
    mail("b", ("click", "human", 91), times=1)
    mail("c", ("open", "human", 30), times=1)
    mail("d", ("open", "human", 31), times=1)
    mail("e", ("click", "machine", 1), ("open", "machine", 1), times=1)
    mail("f", ("open", "proxy", 1), times=1)
    mail("g", times=1)

    assert members(session, "Engaged") == "ac"


def test_asleep_has_five_mails_in_180_days_and_no_sign_of_life(session: Session, mail: Callable[..., None]) -> None:
    mail("a")
    mail("b", times=4)
    mail("c", accepted=4)
    mail("d", days=181)
    mail("e", days=180)
    mail("f", ("click", "human", 100))
    mail("g", ("click", "machine", 100), ("open", "machine", 100))
    mail("h", ("open", "human", 100))
    mail("i", ("open", "proxy", 100))
    mail("j", ("open", "human", 181), ("click", "human", 181))

    assert members(session, "Asleep") == "aegj"
