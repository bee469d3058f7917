"""Fixtures of bulk tasks: nine people, and a segment of everybody."""

import pytest

from mailer.context import Context
from mailer.schema.segments import Segment
from mailer.segments import service
from tests.support.make import make_contact, make_staff, make_workspace


@pytest.fixture
def people(ctx: Context) -> list[int]:
    with ctx.write() as session:
        make_workspace(session)
        make_staff(session, email="boss@example.com", role="admin")
        return [make_contact(session, city="Oslo" if at % 2 else "").id for at in range(9)]


@pytest.fixture
def everybody(ctx: Context, people: list[int]) -> Segment:
    rule = {"version": 1, "all": [{"field": "created_at", "op": "after", "value": "2000-01-01"}]}
    return service.create_dynamic(ctx, "Everybody", rule)
