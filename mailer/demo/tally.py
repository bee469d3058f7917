"""What came of it: the figures of INTERFACES, counted from rows, and held against the script of the readers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.contacts.queries import count_contacts
from mailer.context import Context
from mailer.demo.people import Plan
from mailer.demo.quiet import B_CUSTOMERS, QUIET, QUIET_B
from mailer.demo.readers import Script
from mailer.demo.seminar import COMPETITORS, DECISION_MAKERS, PARTICIPANTS
from mailer.reputation.queries import worst_state
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import ConsentEvent
from mailer.schema.delivery import Event, Message
from mailer.schema.followups import FollowUp
from mailer.segments.queries import count_members, get_segment
from mailer.statuses import ConsentVerdict, EventKind, HitClass, MessageState
from mailer.workspace.queries import get_workspace

SEGMENTS = (DECISION_MAKERS, PARTICIPANTS, COMPETITORS, B_CUSTOMERS, QUIET, QUIET_B)


@dataclass
class Tally:
    """The demo's last line, but for `ok`, `error` and `seconds`."""

    contacts: int = 0
    segments: dict[str, int] = field(default_factory=dict)
    audience: int = 0
    sent: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    opens: int = 0
    clicks: int = 0
    machine_opens: int = 0
    machine_clicks: int = 0
    hard_bounces: int = 0
    soft_bounces: int = 0
    unsubscribed: int = 0
    complaints: int = 0
    follow_ups: int = 0
    breaker: str = "ok"


def count_all(ctx: Context) -> Tally:
    """Return the figures over all campaigns."""
    with ctx.read() as session:
        mine = select(Campaign.sending_id).where(Campaign.sending_id.is_not(None))
        today = ctx.clock.today(get_workspace(session).timezone)
        rows = session.execute(
            select(Message.state, Message.reason, func.count())
            .where(Message.sending_id.in_(mine))
            .group_by(Message.state, Message.reason)
        ).all()
        states = {state.value: sum(n for found, _, n in rows if found == state) for state in MessageState}
        return Tally(
            contacts=count_contacts(session),
            segments={
                name: count_members(session, get_segment(session, name), today, seconds=None) for name in SEGMENTS
            },
            audience=sum(states.values()),
            sent=states[MessageState.ACCEPTED],
            failed=states[MessageState.FAILED],
            unknown=states[MessageState.UNKNOWN],
            skipped={reason: n for state, reason, n in rows if state == MessageState.SKIPPED},
            opens=_messages(session, EventKind.OPEN, HitClass.HUMAN),
            clicks=_messages(session, EventKind.CLICK, HitClass.HUMAN),
            machine_opens=_messages(session, EventKind.OPEN, HitClass.MACHINE),
            machine_clicks=_messages(session, EventKind.CLICK, HitClass.MACHINE),
            hard_bounces=_addresses(session, EventKind.HARD_BOUNCE),
            soft_bounces=_addresses(session, EventKind.SOFT_BOUNCE),
            unsubscribed=_unsubscribed(session),
            complaints=_messages(session, EventKind.COMPLAINT),
            follow_ups=session.scalar(select(func.count()).select_from(FollowUp)) or 0,
            breaker=worst_state(session).value,
        )


def _messages(session: Session, kind: EventKind, hit_class: HitClass | None = None) -> int:
    """Messages with at least one such event."""
    query = select(func.count(Event.message_id.distinct())).where(Event.kind == kind.value)
    if hit_class is not None:
        query = query.where(Event.hit_class == hit_class.value)
    return session.scalar(query) or 0


def _addresses(session: Session, kind: EventKind) -> int:
    query = (
        select(func.count(Message.address_id.distinct()))
        .join(Event, Event.message_id == Message.id)
        .where(Event.kind == kind.value)
    )
    return session.scalar(query) or 0


def _unsubscribed(session: Session) -> int:
    """People who left by a link of a mail; a complaint is counted apart."""
    query = select(func.count(ConsentEvent.ledger_id.distinct())).where(
        ConsentEvent.verdict.in_([ConsentVerdict.UNSUBSCRIBED.value, ConsentVerdict.WITHDRAWN.value]),
        ConsentEvent.message_id.is_not(None),
        ConsentEvent.channel != EventKind.COMPLAINT.value,
    )
    return session.scalar(query) or 0


def compare(tally: Tally, plan: Plan, script: Script, *, opened_reminders: int, quiet_tasks: int) -> list[str]:
    """Return every figure that is not what the readers did."""
    expected = dict(_expected(plan, script, opened_reminders, quiet_tasks))
    found = {**vars(tally), **{f"segment {name}": count for name, count in tally.segments.items()}}
    wrong = [f"{name}: {found[name]} instead of {value}" for name, value in expected.items() if found[name] != value]
    whole = tally.sent + tally.failed + tally.unknown + sum(tally.skipped.values())
    if whole != tally.audience:
        wrong.append(f"audience: {tally.audience} rows, {whole} accounted for")
    return wrong


def _tracked(plan: Plan, emails: Sequence[str]) -> int:
    """Return how many of the readers can be seen to open a mail or to follow a link that only leads somewhere."""
    return len(set(emails) - plan.untracked)


def _expected(plan: Plan, script: Script, opened_reminders: int, quiet_tasks: int) -> Iterator[tuple[str, object]]:
    joined, refused = len(script.joiners), len(script.refused)
    clickers, scanned = _tracked(plan, script.clickers), _tracked(plan, script.scanned)
    human = _tracked(plan, script.openers) + clickers + _tracked(plan, script.joiners)
    yield "contacts", len(plan.people) + 5
    yield f"segment {DECISION_MAKERS}", len(plan.invited) + 5
    yield f"segment {PARTICIPANTS}", joined
    yield f"segment {B_CUSTOMERS}", len(plan.b_customers)
    yield f"segment {QUIET_B}", len(plan.quiet_b_customers)
    yield "failed", refused
    yield "unknown", 0
    yield "opens", human + opened_reminders
    yield "clicks", clickers + joined  # the link that signs up does something, so it stays everybody's own
    yield "machine_opens", scanned
    yield "machine_clicks", len(script.scanned) + len(script.scanned_late)
    yield "hard_bounces", refused + len(script.bounced)
    yield "soft_bounces", len(script.soft)
    yield "unsubscribed", len(script.one_click) + len(script.by_page)
    yield "complaints", len(script.complaining)
    yield "follow_ups", joined + quiet_tasks
    yield "breaker", "ok"
