"""From a launched campaign to rows: freeze the content, then the audience, every refused contact with its reason.

The audience is read from one snapshot and written in chunks of at most 2,000 rows, by contact id; the campaign's cursor
moves with each chunk, so that a prepare that died goes on where it was, and two at once do not double anything.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailer.campaigns import audience
from mailer.campaigns.audience import Recipient
from mailer.campaigns.gather import build_content_spec
from mailer.content.service import freeze_content
from mailer.context import Context
from mailer.delivery import service as delivery
from mailer.delivery.claim import build_batch_row
from mailer.delivery.policy import BATCH_SIZE
from mailer.delivery.service import SendingSpec
from mailer.log import get_logger
from mailer.schema.campaigns import Campaign
from mailer.schema.delivery import Message, SendBatch
from mailer.statuses import HoldReason, MessageState, SendingClass, SendingState
from mailer.workspace.queries import get_limit, get_workspace

log = get_logger("campaigns")


class SomebodyElseError(Exception):
    """Another process prepares the same campaign and was quicker."""


def prepare(ctx: Context, campaign_id: int) -> bool:
    """Bring a campaign in `preparing` to `sending`; False where there was nothing to do. Safe to repeat.

    Raises:
        InputError: the content cannot be frozen; nothing was written.
    """
    if not _freeze(ctx, campaign_id):
        return False
    try:
        _fill(ctx, campaign_id)
    except SomebodyElseError:
        return False
    _start(ctx, campaign_id)
    return True


def _freeze(ctx: Context, campaign_id: int) -> bool:
    """Make the sending with its frozen content, once."""
    with ctx.write() as session:
        campaign = session.get(Campaign, campaign_id, with_for_update=True)
        if campaign is None or campaign.status != SendingState.PREPARING:
            return False
        if campaign.sending_id is not None:
            return True
        version = freeze_content(session, ctx, build_content_spec(session, campaign))
        spec = SendingSpec(
            sending_class=SendingClass.TRANSACTIONAL if campaign.is_transactional else SendingClass.MARKETING,
            sender_id=campaign.sender_id or 0,
            content_version_id=version.id,
            topic_id=None if campaign.is_transactional else campaign.topic_id,
            rate_per_second=campaign.rate_per_second,
            keeps_quiet_hours=campaign.keeps_quiet_hours,
            send_until=campaign.send_until,
            track_opens=campaign.track_opens and not campaign.is_transactional,
            track_clicks=campaign.track_clicks,
        )
        campaign.sending_id = delivery.create_sending(session, ctx, spec).id
        campaign.audience_on, campaign.audience_cursor = ctx.clock.now(), 0
    return True


def _fill(ctx: Context, campaign_id: int) -> None:
    """Write a message row for every contact of the audience."""
    with ctx.read() as session:
        campaign = session.get_one(Campaign, campaign_id)
        if campaign.sending_id is None or campaign.audience_on is None or campaign.audience_cursor is None:
            return
        zone = get_workspace(session).timezone
        now, cursor = campaign.audience_on, campaign.audience_cursor
        today = ctx.clock.today(zone)
        writer = _Writer(ctx, campaign_id, campaign.sending_id, now, _first_ordinal(session, campaign.sending_id))
        for page in audience.iter_audience(session, campaign, today, now, after_id=cursor):
            writer.write(page, cursor)
            cursor = page[-1].contact_id


def _first_ordinal(session: Session, sending_id: int) -> int:
    last = session.scalar(select(func.max(SendBatch.ordinal)).where(SendBatch.sending_id == sending_id))
    return 0 if last is None else last + 1


class _Writer:
    """Writes pages of recipients; ordinals grow together for all providers, so that a canary is a fair sample."""

    def __init__(self, ctx: Context, campaign_id: int, sending_id: int, now: datetime, first_ordinal: int) -> None:
        self._ctx = ctx
        self._campaign_id = campaign_id
        self._sending_id = sending_id
        self._now = now
        self._first_ordinal = first_ordinal
        self._counts: dict[str, int] = {}
        self._batches: dict[tuple[str, int], int] = {}

    def write(self, page: Sequence[Recipient], cursor: int) -> None:
        """Write one page in one transaction; SomebodyElseError where the cursor is not where this process left it."""
        with self._ctx.write() as session:
            moved = session.execute(
                update(Campaign)
                .where(Campaign.id == self._campaign_id, Campaign.audience_cursor == cursor)
                .values(audience_cursor=page[-1].contact_id)
            )
            if not moved.rowcount:  # type: ignore[attr-defined]
                raise SomebodyElseError
            places = self._place(session, page)
            rows = [self._row(recipient, batch_id) for recipient, batch_id in zip(page, places, strict=True)]
            delivery.add_messages(session, rows)

    def _place(self, session: Session, page: Sequence[Recipient]) -> list[int | None]:
        """Return the batch of each recipient, None for skipped ones; missing batches are made."""
        slots = [self._slot(recipient) for recipient in page]
        wanted = list(dict.fromkeys(slot for slot in slots if slot and slot not in self._batches))
        if wanted:
            made = delivery.add_batches(session, [self._batch_row(provider, ordinal) for provider, ordinal in wanted])
            self._batches |= dict(zip(wanted, made, strict=True))
        return [self._batches[slot] if slot else None for slot in slots]

    def _slot(self, recipient: Recipient) -> tuple[str, int] | None:
        if recipient.reason is not None:
            return None
        number = self._counts[recipient.provider] = self._counts.get(recipient.provider, -1) + 1
        return recipient.provider, self._first_ordinal + number // BATCH_SIZE

    def _batch_row(self, provider: str, ordinal: int) -> dict[str, object]:
        return build_batch_row(self._sending_id, provider, ordinal, not_before=self._now)

    def _row(self, recipient: Recipient, batch_id: int | None) -> dict[str, object]:
        state = MessageState.SKIPPED if recipient.reason else MessageState.QUEUED
        return {
            "sending_id": self._sending_id,
            "contact_id": recipient.contact_id,
            "address_id": recipient.address_id,
            "to_address": None,
            "recipient_key": recipient.contact_id,
            "occurrence": 0,
            "batch_id": batch_id,
            "state": state.value,
            "reason": recipient.reason or "",
            "attempts": 0,
            "reply": "",
        }


def _start(ctx: Context, campaign_id: int) -> None:
    """Let it go, unless the audience is not the one that was approved: then a person decides."""
    with ctx.write() as session:
        campaign = session.get_one(Campaign, campaign_id, with_for_update=True)
        if campaign.status != SendingState.PREPARING or campaign.sending_id is None:
            return
        campaign.status = SendingState.SENDING.value
        sendable = session.scalar(
            select(func.count())
            .select_from(Message)
            .where(Message.sending_id == campaign.sending_id, Message.state == MessageState.QUEUED.value)
        )
        if has_changed(campaign.approved_count, sendable or 0, session):
            note = f"{campaign.approved_count} were approved, {sendable} would get it"
            delivery.hold_sending(session, campaign.sending_id, HoldReason.AUDIENCE_CHANGED, note)
        delivery.start_sending(session, ctx, campaign.sending_id)
    log.info("campaign_prepared", campaign_id=campaign_id, sendable=sendable)


def has_changed(approved: int | None, sendable: int, session: Session) -> bool:
    """Whether the audience moved by more than 20 % and 100 people since it was approved, or is empty (FEATURES M10)."""
    if sendable == 0:
        return True
    if approved is None:
        return False
    moved = abs(sendable - approved)
    share = get_limit(session, "audience_change_share")
    return moved > share * approved and moved > get_limit(session, "audience_change_count")
