"""A contact whose mail has a link, and people's clicks on it, for tests of what clicks set off."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from mailer.actions import service
from mailer.actions.service import Click
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.actions import ActionRun
from mailer.schema.contacts import Contact
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Message
from tests.support.make import make_reader, make_sending, make_staff, make_topic, make_version

URL = "https://example.com/sign-up"
Actions = Sequence[tuple[str, Mapping[str, Any]]]


class Clicks:
    """A reader of a mail with one link that does `actions`; every wait is over at once unless it is asked for."""

    def __init__(self, ctx: Context, actions: Actions, *, is_repeated: bool = False, ends_at: datetime | None = None):
        self.ctx = ctx
        self.hits = 0
        with ctx.write() as session:
            self.owner = make_staff(session)
            topic = make_topic(session)
            contact = make_reader(session, topic, key=ctx.keys.suppression, owner_id=self.owner.id)
            version = make_version(session, ctx, links=({"match": URL},))
            make_sending(session, ctx, [contact], topic)
            self.contact_id = contact.id
            self.message_id = session.scalars(select(Message.id)).one()
            link = session.scalars(select(TrackedLink).where(TrackedLink.content_version_id == version.id)).one()
            self.link_id = link.id
            for ordinal, (kind, params) in enumerate(actions):
                session.add(
                    LinkAction(
                        tracked_link_id=link.id,
                        ordinal=ordinal,
                        kind=kind,
                        params=dict(params),
                        is_repeated=is_repeated,
                        ends_at=ends_at,
                    )
                )

    def click(self, *, hit_id: int | None = None) -> int:
        """Have the reader click; return how many actions were put into quarantine."""
        self.hits += 1
        click = Click(self.link_id, self.contact_id, self.message_id, hit_id or self.hits, utc_now())
        with self.ctx.write() as session:
            return service.schedule_actions(session, [click])

    def wait(self) -> None:
        """Let every wait be over."""
        with self.ctx.write() as session:
            over = utc_now() - timedelta(seconds=1)
            session.execute(update(ActionRun).where(ActionRun.state == "pending").values(due_at=over))

    def run(self) -> None:
        """Click, wait, and have everything run."""
        self.click()
        self.wait()
        service.run_due(self.ctx)

    def runs(self) -> list[ActionRun]:
        """The log, in order."""
        with self.ctx.read() as session:
            return list(session.scalars(select(ActionRun).order_by(ActionRun.id)))

    def states(self) -> list[str]:
        """The outcomes, in order."""
        return [run.state for run in self.runs()]

    def contact(self) -> Contact:
        """The reader."""
        with self.ctx.read() as session:
            return session.get_one(Contact, self.contact_id)
