"""The first story: a seminar. Select, write, schedule, follow, and remind those who signed up (FEATURES)."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from mailer.campaigns import composing, service
from mailer.campaigns import queries as campaigns
from mailer.campaigns.spec import build_draft
from mailer.catcher import service as catcher
from mailer.consent import suppressions
from mailer.contacts import service as contacts
from mailer.contacts.queries import list_by_email
from mailer.demo import readers
from mailer.demo.people import DECISION_MAKER
from mailer.demo.readers import ReceivedMail, Script
from mailer.demo.stage import INVITATIONS, SENDER, Stage, move_clock_to, tomorrow_at_two
from mailer.errors import SetupError
from mailer.schema.actions import ActionRun
from mailer.schema.bounces import BounceReport
from mailer.schema.followups import FollowUp
from mailer.schema.tracking import Hit
from mailer.segments import service as segments
from mailer.statuses import MessageState, SendingState

DECISION_MAKERS = "Decision makers without a seminar in a year"
PARTICIPANTS = "Seminar participants"
COMPETITORS = "Competitors"
SIGN_UP = "https://example.com/seminar/sign-up"
SIGN_UP_TEXT, PROGRAMME_TEXT = "Sign me up", "full programme"
TASK_TITLE = "Call about the seminar"
HUMAN_AFTER_SECONDS = 6.0
_RULE = {
    "version": 1,
    "all": [
        {"field": "role", "op": "equals", "value": DECISION_MAKER},
        {
            "field": "activity",
            "op": "has_not",
            "value": {"kind": "seminar", "period": {"op": "this_and_previous", "n": 12, "unit": "month"}},
        },
    ],
}


def prepare_audience(stage: Stage) -> None:
    """Make the segments, and the odd cases that every list has: shared and missing addresses, marks, objections."""
    ctx, plan = stage.ctx, stage.plan
    permitted = [person for person in plan.invited if person in plan.with_consent]
    segments.create_dynamic(ctx, DECISION_MAKERS, _RULE, description="Nobody who was at a seminar lately")
    segments.create_static(ctx, PARTICIPANTS)
    competitors = _ids(stage, [person.email for person in permitted[:8]])
    segments.create_static(ctx, COMPETITORS, contact_ids=competitors, cause="by hand")
    for email in (person.email for person in permitted[8:14]):
        suppressions.add_suppression(ctx, email, source="asked on the phone")
    for contact_id in _ids(stage, [person.email for person in permitted[14:18]]):
        contacts.mark_do_not_mail(ctx, contact_id, is_marked=True)
    values = {"first_name": "Two", "last_name": "Desks", "role": DECISION_MAKER}
    for person in permitted[18:21]:
        contacts.create_contact(ctx, person.email, values)
    for _ in range(2):
        contacts.create_contact(ctx, None, values)


def _ids(stage: Stage, emails: Sequence[str]) -> list[int]:
    with stage.ctx.read() as session:
        return [list_by_email(session, email)[0].id for email in emails]


def schedule_invitation(stage: Stage) -> int:
    """Write the invitation, look at the review and the audience, and schedule it for 14:00 the next day."""
    ctx = stage.ctx
    at = tomorrow_at_two(ctx)
    draft = build_draft(
        {
            "name": "Seminar invitation",
            "subject": "{{ contact.first_name | default('Hello') }}, join us in {{ event.city }}",
            "preheader": "Seats are few",
            "sender": SENDER,
            "topic": INVITATIONS,
            "design": "invitation",
            "data": {
                "event": {
                    "kind": "Seminar", "title": "Customers who come back", "city": "Oslo", "place": "The Harbour Hall",
                    "date": "Thursday 10 December 2026", "time": "08:30 to 11:00", "sign_up_url": SIGN_UP,
                    "page_url": "https://example.com/seminar",
                }
            },
            "include": [DECISION_MAKERS],
            "exclude": [COMPETITORS],
            "send_at": at.isoformat(),
            "rate_per_second": 400,
            "links": [
                {
                    "match": SIGN_UP,
                    "response": "confirm",
                    "actions": [
                        {"add_to_segment": PARTICIPANTS},
                        {"follow_up": {"title": TASK_TITLE, "due_working_days": 2, "owner": "contact_owner"}},
                    ],
                }
            ],
        },
        Path(),
    )  # fmt: skip
    campaign = composing.create_campaign(ctx, draft)
    findings, audience = service.review_campaign(ctx, campaign.id)
    skipped = ", ".join(f"{count} {reason}" for reason, count in audience.items() if count and reason != "matched")
    stage.say(f"audience of “{campaign.name}”: {audience['matched']} matched: {skipped}; {len(findings)} remarks")
    service.launch_campaign(ctx, campaign.id)
    return campaign.id


def cast(stage: Stage, campaign_id: int) -> Script:
    """Draw who does what, and tell the catcher how some mailboxes misbehave."""
    recipients = service.list_sendable_emails(stage.ctx, campaign_id)
    script = readers.draw_script(recipients)
    private = len(stage.plan.untracked.intersection(recipients))
    stage.say(f"{private} of {len(recipients)} live where an open needs consent of its own: their mails carry no pixel")
    behaviors = {
        "refuse": script.refused,
        "bounce": script.bounced,
        "soft_bounce": script.soft,
        "complain": script.complaining,
    }
    for behavior, emails in behaviors.items():
        for email in emails:
            catcher.add_rule(stage.ctx.settings, email, behavior)
    return script


def send_invitation(stage: Stage, campaign_id: int, script: Script) -> dict[str, ReceivedMail]:
    """Move the clock to the appointed time and follow the sending; a scanner looks into its mails as they arrive."""
    ctx = stage.ctx
    with ctx.read() as session:
        send_at = campaigns.get_campaign(session, campaign_id).send_at
    if send_at is None:
        raise SetupError("the campaign was not scheduled")
    stage.say(f"the clock moves to {send_at:%Y-%m-%d %H:%M} UTC, which is 14:00 tomorrow in Oslo")
    move_clock_to(ctx, send_at)
    scanned: set[str] = set()
    watch = partial(_scan_arrivals, stage, set(script.scanned), scanned)
    follow(stage, campaign_id, "invitations", watch)
    watch()
    if scanned != set(script.scanned):
        raise SetupError(f"mails to {len(set(script.scanned) - scanned)} scanned mailboxes never came")
    return received(stage)


def _scan_arrivals(stage: Stage, wanted: set[str], seen: set[str]) -> None:
    for mail in catcher.iter_mails(stage.ctx.settings):
        if mail.rcpt_to in wanted and mail.rcpt_to not in seen:
            seen.add(mail.rcpt_to)
            readers.scan(readers.read_mail(catcher.get_mail(stage.ctx.settings, mail.id).raw, mail.rcpt_to))


def follow(stage: Stage, campaign_id: int, title: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Show a campaign's progress until nothing of it is queued or on its way."""
    with stage.bar(title, service.count_audience(stage.ctx, campaign_id)["sendable"]) as told:
        stage.wait(f"the campaign “{title}” to finish", lambda: _look(stage, campaign_id, told, meanwhile))


def _look(stage: Stage, campaign_id: int, told: Callable[[int], None], meanwhile: Callable[[], None]) -> bool:
    meanwhile()
    with stage.ctx.read() as session:
        progress = campaigns.get_progress(session, stage.ctx, campaigns.get_campaign(session, campaign_id))
    if progress.reason:
        raise SetupError(f"the campaign is held: {progress.reason}")
    told(progress.states[MessageState.ACCEPTED] + progress.states[MessageState.FAILED])
    return progress.status is SendingState.FINISHED


def received(stage: Stage) -> dict[str, ReceivedMail]:
    """Return the newest captured mail of each recipient."""
    settings = stage.ctx.settings
    return {
        mail.rcpt_to: readers.read_mail(catcher.get_mail(settings, mail.id).raw, mail.rcpt_to)
        for mail in catcher.iter_mails(settings)
    }


def read_and_react(stage: Stage, script: Script, mails: dict[str, ReceivedMail]) -> None:
    """Let the readers read, click, sign up and leave; what comes within 5 s of a mail would be a machine's."""
    time.sleep(HUMAN_AFTER_SECONDS)
    parts: list[Callable[[], object]] = [
        *(partial(readers.open_mail, mails[email], number) for number, email in enumerate(script.openers)),
        *(partial(readers.prefetch, mails[email]) for email in script.private),
        *(partial(readers.click_programme, mails[email], PROGRAMME_TEXT) for email in script.clickers),
        *(partial(readers.sign_up, mails[email], SIGN_UP_TEXT) for email in script.joiners),
        *(partial(readers.scan_late, mails[email], SIGN_UP_TEXT) for email in script.scanned_late),
        *(partial(readers.unsubscribe_at_once, mails[email]) for email in script.one_click),
        *(partial(readers.unsubscribe_by_page, mails[email]) for email in script.by_page),
    ]
    with stage.bar("readers and scanners", len(parts)) as told:
        readers.play(parts, told)
    _wait_for_consequences(stage, script)


def _wait_for_consequences(stage: Stage, script: Script) -> None:
    """Hits are taken in, reports matched, actions run once their quarantine is over."""
    reports = len(script.bounced) + len(script.soft) + len(script.complaining)
    stage.wait("reports of bounces and complaints", lambda: _count_reports(stage) >= reports)
    stage.wait("the hits of readers", lambda: _are_hits_in(stage))
    stage.wait("the actions of links", lambda: _count_tasks(stage) >= len(script.joiners) and not _is_pending(stage))


def _count_reports(stage: Stage) -> int:
    with stage.ctx.read() as session:
        query = select(func.count()).select_from(BounceReport).where(BounceReport.state == "matched")
        return session.scalar(query) or 0


def _are_hits_in(stage: Stage) -> bool:
    """Whether every request of the readers has become a hit in the database."""
    with stage.ctx.read() as session:
        return (session.scalar(select(func.count()).select_from(Hit)) or 0) >= readers.count_tracked_requests()


def _count_tasks(stage: Stage) -> int:
    with stage.ctx.read() as session:
        return session.scalar(select(func.count()).select_from(FollowUp).where(FollowUp.title == TASK_TITLE)) or 0


def _is_pending(stage: Stage) -> bool:
    with stage.ctx.read() as session:
        return session.scalar(select(ActionRun.id).where(ActionRun.state == "pending").limit(1)) is not None


def remind_participants(stage: Stage) -> int:
    """Mail those who signed up, at once, and let half of them open it. Return the campaign's id."""
    values: dict[str, Any] = {
        "name": "Seminar reminder",
        "subject": "See you in Oslo, {{ contact.first_name | default('dear guest') }}",
        "sender": SENDER,
        "topic": INVITATIONS,
        "design": "follow_up",
        "include": [PARTICIPANTS],
        "rate_per_second": 400,
    }
    campaign = composing.create_campaign(stage.ctx, build_draft(values, Path()))
    service.launch_campaign(stage.ctx, campaign.id)
    follow(stage, campaign.id, "reminders")
    return campaign.id


def open_reminders(stage: Stage, script: Script) -> int:
    """Let every second participant open the reminder; return how many opens can be known."""
    mails = received(stage)
    time.sleep(HUMAN_AFTER_SECONDS)
    readers_of_it = script.joiners[::2]
    for number, email in enumerate(readers_of_it):
        readers.open_mail(mails[email], number)
    stage.wait("the hits of readers", lambda: _are_hits_in(stage))
    return len(set(readers_of_it) - stage.plan.untracked)
