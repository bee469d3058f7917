"""What a rule names that does not exist is told by its place."""

from typing import Any

from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Tag
from mailer.segments.doubts import list_doubts
from mailer.segments.queries import read_rule
from tests.support.make import make_activity, make_contact, make_staff, make_topic, make_workspace


def line(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def test_what_exists_raises_no_doubt_and_the_rest_is_named(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        make_activity(session, make_contact(session), kind="purchase")
        make_topic(session, name="Nyheter Å")
        make_staff(session, email="ola@example.com")
        session.add_all([Tag(name="Øl"), Campaign(id=7, name="Autumn", created_at=utc_now(), updated_at=utc_now())])
        session.flush()
        rule = {"all": [
            line("sent", "did", {"campaign": ["Autumn", 7, "autumn", 8]}),
            {"none": [line("clicked", "did", {"link": "https://example.com/"}), line("clicked", "did", {"link": 3})]},
            line("activity", "has", "purchase"), line("activity", "has_not", "Purchase"),
            line("topic", "subscribed", ["NYHETER å", "News"]), line("tags", "is_one_of", ["øl", "Golf"]),
            line("owner", "equals", "OLA@example.com"), line("company.owner", "is_none_of", ["kari@example.com"]),
            line("owner", "is_empty", None), line("tags", "is_empty", None), line("city", "equals", "Nowhere"),
            line("follow_up", "has", {"campaign": "Winter"}),
        ]}  # fmt: skip

        found = [(doubt.where, doubt.what) for doubt in list_doubts(session, read_rule(session, rule))]

    assert set(found) == {
        ("all[0].value.campaign", "there is no campaign 'autumn'"),
        ("all[0].value.campaign", "there is no campaign 8"),
        ("all[1].none[0].value.link", "there is no link 'https://example.com/'"),
        ("all[1].none[1].value.link", "there is no link 3"),
        ("all[11].value.campaign", "there is no campaign 'Winter'"),
        ("all[3].value.kind", "there is no activity of the kind 'Purchase'"),
        ("all[4].value", "there is no topic 'News'"),
        ("all[5].value", "there is no tag 'Golf'"),
        ("all[7].value", "there is no user 'kari@example.com'"),
    }
