"""Many rows at once, on both engines."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, select

from mailer.context import Context
from mailer.rowsets import read_rows
from mailer.schema.contacts import Contact
from tests.support.make import make_reader, make_topic

DATA: dict[str, Any] = {"size": 2.5, "quote": 'a "b"\n\\', "none": None, "list": [1, "å"], "zero": 0}


def test_rows_read_at_once_are_those_read_one_by_one(make_ctx: Callable[..., Context]) -> None:
    ctx = make_ctx()
    statement = (
        select(Contact.id, Contact.data, Contact.first_name, Contact.owner_id)
        .where(Contact.id > bindparam("least"))
        .order_by(Contact.id.desc())
    )
    with ctx.write() as session:
        topic = make_topic(session)
        for number, name in enumerate(("Åse", 'O"Neill', "", "日本")):
            reader = make_reader(session, topic, f"p{number}@example.com", key=ctx.keys.suppression)
            reader.first_name, reader.data = name, DATA if number else {}

    with ctx.read() as session:
        found = read_rows(session.connection(), statement, {"least": 1})
        plain = session.connection().execute(statement, {"least": 1}).all()

    assert [tuple(row) for row in found] == [tuple(row) for row in plain]
    assert [row[2] for row in found] == ["日本", "", 'O"Neill']
    with ctx.read() as session:
        assert list(read_rows(session.connection(), statement, {"least": 99})) == []
