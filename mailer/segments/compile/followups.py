"""Follow-up tasks in rules (FEATURES F1): what came of them, by campaign and period."""

from sqlalchemy import not_, select

from mailer.schema.contacts import Contact
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Sending
from mailer.schema.followups import FollowUp
from mailer.segments.compile.behavior import has_count
from mailer.segments.compile.conditions import Condition, RuleContext, sendings_of
from mailer.segments.compile.dates import match_instant
from mailer.segments.tree import FollowUpTest, Line
from mailer.statuses import FollowUpStatus


def compile_follow_up(line: Line, context: RuleContext) -> Condition:
    """Return whether there are such tasks about a contact, or the opposite."""
    condition = _has_task(line.value, context)
    return condition if line.op == "has" else not_(condition)


def _has_task(test: FollowUpTest, context: RuleContext) -> Condition:
    where: list[Condition] = [FollowUp.contact_id == Contact.id]
    for column, words in (
        (FollowUp.outcome, test.outcomes),
        (FollowUp.status, test.statuses),
        (FollowUp.kind, test.kinds),
    ):
        if words:
            where.append(column.in_(words))
    if test.campaigns:
        links = select(TrackedLink.id).join(Sending, Sending.content_version_id == TrackedLink.content_version_id)
        where.append(FollowUp.tracked_link_id.in_(links.where(Sending.id.in_(sendings_of(test.campaigns)))))
    if test.period:
        is_done = test.outcomes or test.statuses == (FollowUpStatus.DONE.value,)
        where.append(match_instant(FollowUp.done_at if is_done else FollowUp.created_at, test.period, context))
    return has_count(FollowUp.id, where, test.count)
