"""People who asked about their data: a request that is overdue, one that is open, one answered, one erasure done."""

from datetime import timedelta

from mailer.clock import utc_now
from mailer.context import Context
from mailer.privacy.erasure import erase_person
from mailer.privacy.queries import find_person
from mailer.privacy.service import RequestValues, close_request, record_request
from mailer.schema.privacy import Erasure, SubjectRequest
from tests.support.story import Story


def make_asked(ctx: Context, story: Story) -> tuple[SubjectRequest, Erasure]:
    """Write them down; return the request of the story's contact and the erasure of another."""
    today = utc_now().date()
    record_request(ctx, RequestValues(kind="access", email="person5@gmail.com", received_on=today - timedelta(days=45)))
    asked = record_request(
        ctx, RequestValues(kind="rectification", contact_id=story.contact.id, channel="phone", note="New surname")
    )
    record_request(ctx, RequestValues(kind="erasure", email="person9@gmail.com", received_on=today - timedelta(days=3)))
    answered = record_request(ctx, RequestValues(kind="portability", email="person6@outlook.com"))
    close_request(ctx, answered.id, "by mail")
    with ctx.read() as session:
        person = find_person(session, ctx, "person9@gmail.com")
    return asked, erase_person(ctx, person)
