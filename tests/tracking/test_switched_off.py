"""Where a campaign or its topic keeps no opens and clicks, links that do something still do it."""

import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.build import build_envelope, load_content, load_outgoing
from mailer.delivery.claim import claim_batch
from mailer.schema.consent import Topic
from mailer.schema.content import LinkAction, TrackedLink
from tests.consent.test_tracking import MJML
from tests.support.make import make_reader, make_sending, make_topic


@pytest.mark.parametrize("by", ["campaign", "topic", "nobody"])
def test_no_pixel_and_no_link_of_their_own_but_where_it_does_something(ctx: Context, by: str) -> None:
    with ctx.write() as session:
        topic = make_topic(session)
        session.get_one(Topic, topic.id).is_tracked = by != "topic"
        reader = make_reader(session, topic, country="Norway")
        more = {"track_opens": False, "track_clicks": False} if by == "campaign" else {}
        sending = make_sending(session, ctx, [reader], topic, mjml=MJML, **more)
        link = session.scalars(select(TrackedLink).where(TrackedLink.url == "https://example.com/action")).one()
        session.add(LinkAction(tracked_link_id=link.id, ordinal=0, kind="follow_up", params={}, ends_at=utc_now()))
    with ctx.write() as session:
        claim = claim_batch(session, sending.id, utc_now())
        assert claim is not None
        (outgoing,) = load_outgoing(session, claim)
        body = build_envelope(ctx, load_content(session, ctx, sending.id), outgoing).body.replace(b"=\r\n", b"")

    assert (b"/o/" in body) is (by == "nobody")
    assert (b"https://example.com/plain" in body) is (by != "nobody")
    assert b"https://example.com/action" not in body
