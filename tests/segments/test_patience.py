"""A count that takes too long ends with words that help, and leaves its connection as it was."""

import time
from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mailer.context import Context
from mailer.errors import TooCostlyError
from mailer.schema.contacts import Contact
from mailer.segments import queries
from mailer.segments.patience import at_most
from tests.support.make import make_contact, make_workspace

SLOW = text(
    "WITH RECURSIVE far(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM far WHERE n < 100000000) SELECT count(*) FROM far"
)


@pytest.fixture
def session(ctx: Context) -> Iterator[Session]:
    with ctx.write() as session:
        make_workspace(session)
        make_contact(session, city="Oslo")
    with ctx.read() as session:
        yield session


def test_slow_statement_is_stopped_and_says_what_helps(session: Session) -> None:
    started = time.monotonic()
    with pytest.raises(TooCostlyError, match=r"longer than 0\.2 seconds") as caught, at_most(session, 0.2):
        session.scalar(SLOW)

    assert time.monotonic() - started < 10
    assert "index" in caught.value.mend


def test_session_and_its_transaction_live_on(session: Session) -> None:
    assert session.scalar(select(Contact.city)) == "Oslo"
    for _ in range(2):
        with pytest.raises(TooCostlyError), at_most(session, 0.05):
            session.scalar(SLOW)
    assert session.scalar(select(Contact.city)) == "Oslo"


def test_what_comes_after_is_not_limited(ctx: Context, session: Session) -> None:
    with at_most(session, 0.05):
        assert session.scalar(select(Contact.city)) == "Oslo"

    assert slow_enough(session) > 0
    if not ctx.database.is_sqlite:
        assert session.scalar(text("SELECT current_setting('statement_timeout')")) == "0"


def slow_enough(session: Session) -> int:
    """A statement of well above 50 ms."""
    far = str(SLOW).replace("100000000", "1000000")
    return session.scalar(text(far)) or 0


def test_pooled_connection_keeps_no_limit(ctx: Context) -> None:
    with ctx.read() as session, pytest.raises(TooCostlyError), at_most(session, 0.05):
        session.scalar(SLOW)
    with ctx.read() as session:
        assert slow_enough(session) > 0


def test_no_limit_is_no_limit(session: Session) -> None:
    with at_most(session, None):
        assert slow_enough(session) > 0


def test_other_errors_stay_what_they_are(session: Session) -> None:
    with pytest.raises(Exception, match="nowhere") as caught, at_most(session, 1):
        session.execute(text("SELECT * FROM nowhere"))
    assert not isinstance(caught.value, TooCostlyError)
    assert isinstance(caught.value, OperationalError) or "UndefinedTable" in str(caught.value)


def test_counts_samples_and_reasons_are_limited(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []
    monkeypatch.setattr(queries, "at_most", lambda session, seconds: asked.append(seconds) or at_most(session, seconds))
    rule = queries.read_rule(session, {"all": [{"field": "city", "op": "equals", "value": "oslo"}]})
    today = date(2026, 11, 21)

    assert queries.count_members(session, rule, today) == 1
    assert len(queries.list_sample(session, rule, today)) == 1
    assert queries.list_reasons(session, rule, 1, today)[0].holds
    assert queries.is_member(session, rule, 1, today)
    assert asked == [5.0] * 4
    assert queries.count_members(session, rule, today, seconds=None) == 1
    assert len(list(queries.iter_members(session, rule, today))) == 1
    assert asked == [5.0] * 4 + [None]
