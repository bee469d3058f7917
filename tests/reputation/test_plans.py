"""Counting reads by index, on both engines: no look at the whole message or event table."""

import pytest
from sqlalchemy import event, text

from mailer.clock import utc_now
from mailer.context import Context
from mailer.reputation.counting import count_sending
from mailer.reputation.looks import count_due
from mailer.reputation.queries import load_rolling
from tests.reputation.scene import make_sent

LARGE = {"message", "event", "consent_event"}


@pytest.fixture
def crowded(ctx: Context) -> int:
    """One sending among others, counted."""
    wanted, *_ = (make_sent(ctx, 400, hard=4, soft=4, complaints=2) for _ in range(4))
    count_due(ctx, is_paced=False)
    return wanted


def explained(ctx: Context, run: object) -> list[str]:
    """Return the lines of the plans of every SELECT that `run(session)` makes."""
    asked: list[tuple[str, object]] = []

    def note(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            asked.append((statement, values))

    event.listen(ctx.database.engine, "before_cursor_execute", note)
    try:
        with ctx.read() as session:
            run(session)  # type: ignore[operator]
    finally:
        event.remove(ctx.database.engine, "before_cursor_execute", note)
    word = "EXPLAIN QUERY PLAN " if ctx.database.is_sqlite else "EXPLAIN "
    lines = []
    with ctx.database.engine.connect() as connection:
        if not ctx.database.is_sqlite:
            connection.execute(text("SET enable_seqscan = off"))  # small tables: is there an index that serves?
        for statement, values in asked:
            rows = connection.exec_driver_sql(word + statement, values).all()  # type: ignore[arg-type]
            lines += [str(row[-1] if ctx.database.is_sqlite else row[0]) for row in rows]
    return lines


def scans(lines: list[str]) -> list[str]:
    """Return the lines that read a large table from end to end."""
    return [
        line
        for line in lines
        if any(
            line.strip(" ->").startswith((f"SCAN {name} ", f"Seq Scan on {name} ")) or line == f"SCAN {name}"
            for name in LARGE
        )
        and "USING COVERING INDEX" not in line
    ]


def test_a_look_at_a_sending_reads_its_own_rows_only(ctx: Context, crowded: int) -> None:
    lines = explained(ctx, lambda session: count_sending(session, crowded, utc_now(), utc_now()))

    assert len(lines) > 10
    assert scans(lines) == []


def test_rolling_sums_read_no_mails(ctx: Context, crowded: int) -> None:
    del crowded
    lines = explained(ctx, lambda session: load_rolling(session, utc_now()))

    assert lines
    assert not [line for line in lines if " message" in line or " event" in line]
    assert scans(lines) == []
