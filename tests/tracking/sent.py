"""One mail with tracked links and a spool of hits on it: what most tests of tracking begin with."""

from datetime import datetime, timedelta

from sqlalchemy import select

from mailer import tokens
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.actions import ActionRun
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Engagement, Event, Message
from mailer.statuses import MessageState
from mailer.tracking.ingest import ingest_once
from mailer.tracking.records import GET, RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter
from tests.support.make import make_reader, make_sending, make_topic

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
MJML = """<mjml><mj-body><mj-section><mj-column><mj-text>
<a href="https://example.com/a">a</a> <a href="https://example.com/b">b</a> <a href="https://example.com/c">c</a>
<a href="https://example.com/d">d</a> {{ sender.postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a>
</mj-text></mj-column></mj-section></mj-body></mjml>"""


class Sent:
    """One mail with four links, handed over ten minutes ago; every link adds the reader to a segment."""

    def __init__(self, ctx: Context, *, response: str = "redirect") -> None:
        self.ctx = ctx
        self.sent_at = utc_now() - timedelta(minutes=10)
        with ctx.write() as session:
            topic = make_topic(session)
            contact = make_reader(session, topic, key=ctx.keys.suppression)
            sending = make_sending(session, ctx, [contact], topic, mjml=MJML)
            message = session.scalars(select(Message).where(Message.sending_id == sending.id)).one()
            message.state, message.accepted_at = MessageState.ACCEPTED.value, self.sent_at
            links = session.scalars(
                select(TrackedLink)
                .where(TrackedLink.content_version_id == sending.content_version_id)
                .order_by(TrackedLink.ordinal)
            ).all()
            for link in links:
                link.response = response
                action = LinkAction(tracked_link_id=link.id, ordinal=0, kind="add_to_segment", params={"segment_id": 1})
                session.add(action)
            self.message_id, self.contact_id = message.id, contact.id
            self.links = [link.ordinal for link in links]
        self.writer = SpoolWriter(ctx.settings.spool_dir)

    def hit(self, second: float, link: int | None = None, *, method: int = GET, agent: str = FIREFOX) -> None:
        """Spool a hit `second` seconds after hand-over: an open, or a click on a link."""
        self.writer.append(pack_hit(self.raw_hit(second, link, method=method, agent=agent)))

    def raw_hit(self, second: float, link: int | None = None, *, method: int = GET, agent: str = FIREFOX) -> RawHit:
        """Return such a hit."""
        at = (self.sent_at + timedelta(seconds=second)).timestamp()
        kind = tokens.OPEN if link is None else tokens.CLICK
        return RawHit(at, kind, method, self.message_id, link or 0, 0, "192.0.2.1", agent)

    def take_in(self) -> int:
        return ingest_once(self.ctx)

    def events(self) -> list[tuple[str, str | None, str]]:
        with self.ctx.read() as session:
            rows = session.scalars(select(Event).where(Event.message_id == self.message_id).order_by(Event.id))
            return [(event.kind, event.hit_class, event.reason) for event in rows]

    def runs(self) -> list[str]:
        with self.ctx.read() as session:
            return list(session.scalars(select(ActionRun.state).order_by(ActionRun.id)))

    def engagement(self) -> tuple[datetime | None, datetime | None]:
        with self.ctx.read() as session:
            row = session.get(Engagement, self.contact_id)
            return (row.last_open_at, row.last_click_at) if row else (None, None)
