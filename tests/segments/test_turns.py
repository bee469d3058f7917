"""A newer question of an editor stops the older one; others are left alone."""

import threading

from sqlalchemy import text

from mailer.context import Context
from mailer.errors import TooCostlyError
from mailer.segments.patience import at_most
from mailer.segments.turns import newest_only

ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 900000000) SELECT count(*) FROM t"


def ask(ctx: Context, key: str, found: list[str], started: threading.Event) -> None:
    """Ask something that takes a minute, and note how it ended."""
    with ctx.read() as session, newest_only(session, key):
        started.set()
        try:
            with at_most(session, 60):
                session.execute(text(ENDLESS))
            found.append("answered")
        except TooCostlyError:
            found.append("stopped")


def test_a_newer_question_stops_the_older_one(ctx: Context) -> None:
    found: list[str] = []
    started = threading.Event()
    older = threading.Thread(target=ask, args=(ctx, "one", found, started), daemon=True)
    older.start()
    assert started.wait(10)

    while older.is_alive():  # it may not have reached the database yet when the first newer one comes
        with ctx.read() as session, newest_only(session, "one"):
            assert session.scalar(text("SELECT 1")) == 1
        older.join(0.05)

    assert found == ["stopped"]


def test_a_question_of_another_editor_is_left_alone(ctx: Context) -> None:
    with ctx.read() as session, newest_only(session, "one"):
        with ctx.read() as other, newest_only(other, "two"):
            assert other.scalar(text("SELECT 1")) == 1
        assert session.scalar(text("SELECT 2")) == 2
