"""What a rule costs is known before it runs, and a field gets its index by one command, on both engines."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import InputError
from mailer.schema.contacts import ContactField
from mailer.segments import queries, service
from mailer.segments.cost import MANY_CONTACTS, estimate_cost
from mailer.segments.indexes import create_index, drop_index, list_indexed
from tests.support.make import make_contact, make_workspace

TODAY = date(2026, 11, 21)


def _world(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        for key, kind in (("score", "number"), ("plan", "text"), ("since", "date"), ("level", "choice")):
            session.add(ContactField(key=key, label=key.title(), type=kind, created_at=utc_now()))
        for number in range(40):
            own = {"score": number, "plan": f"Plan {number % 4}", "since": f"2026-01-{number % 28 + 1:02}"}
            make_contact(session, city=f"City {number % 20}", data=own | {"level": "Gold" if number % 2 else "tin"})
        make_contact(session, id=MANY_CONTACTS)


def _cost(session: Session, *lines: dict[str, Any]) -> Any:
    return estimate_cost(session, queries.read_rule(session, {"all": list(lines)}))


CITY = {"field": "city", "op": "equals", "value": "CITY 3"}
SCORE = {"field": "score", "op": ">=", "value": 38}
LINES = [
    CITY,
    SCORE,
    {"field": "plan", "op": "is_one_of", "value": ["plan 1", "Plan 2"]},
    {"field": "since", "op": "after", "value": "2026-01-20"},
    {"field": "level", "op": "equals", "value": "GOLD"},
]


def test_cost_names_the_fields_that_want_an_index(ctx: Context) -> None:
    _world(ctx)
    with ctx.read() as session:
        before = _cost(session, CITY, SCORE, {"field": "score", "op": "<>", "value": 3})
    assert before.wanting == ("city", "score")

    create_index(ctx, "city")

    with ctx.read() as session:
        after = _cost(session, CITY, SCORE, {"field": "score", "op": "<>", "value": 3})
    assert after.wanting == ("score",)
    assert after.milliseconds < before.milliseconds


def test_cost_holds_what_named_segments_cost(ctx: Context) -> None:
    _world(ctx)
    inner = service.create_dynamic(ctx, "Inner", {"all": [SCORE, CITY]})
    with ctx.read() as session:
        whole = _cost(session, {"field": "segment", "op": "in", "value": [inner.id]})

        assert whole == _cost(session, SCORE, CITY)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["field"])
def test_an_index_is_used_and_changes_no_answer(ctx: Context, line: dict[str, Any]) -> None:
    _world(ctx)
    with ctx.read() as session:
        rule = queries.read_rule(session, {"all": [line]})
        expected = [member.id for member in queries.iter_members(session, rule, TODAY)]
        query = queries.members_select(session, rule, TODAY)
        statement = query.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
    assert expected

    create_index(ctx, line["field"])
    create_index(ctx, line["field"])

    with ctx.read() as session:
        assert list_indexed(session) == {line["field"]}
        assert [member.id for member in queries.iter_members(session, rule, TODAY)] == expected
        if session.get_bind().dialect.name == "sqlite":
            plan = "EXPLAIN QUERY PLAN "
        else:
            plan = "EXPLAIN "
            session.execute(text("SET LOCAL enable_seqscan = off"))
        shown = session.connection().exec_driver_sql(plan + str(statement).replace("%", "%%")).all()
    assert "ix_contact_rule_" in str(shown)

    drop_index(ctx, line["field"])
    drop_index(ctx, line["field"])

    with ctx.read() as session:
        assert list_indexed(session) == set()


@pytest.mark.parametrize("field", ["nothing", "company", "opened", "score'; DROP TABLE contact; --"])
def test_field_that_no_index_helps_is_refused_with_those_it_helps(ctx: Context, field: str) -> None:
    _world(ctx)

    with pytest.raises(InputError) as refused:
        create_index(ctx, field)

    assert "city" in str(refused.value.problems[0].mend)
