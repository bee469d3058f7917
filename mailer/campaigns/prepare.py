"""From a launched campaign to rows: freeze the content, then the audience, every refused contact with its reason.

The audience is staged from one snapshot and written in chunks, by contact id; the campaign's cursor moves with each
chunk, so that a prepare that died goes on where it was, and two at once do not double anything.
"""

from dataclasses import replace

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailer.campaigns import audience, first_batches
from mailer.campaigns.gather import build_content_spec
from mailer.campaigns.staging import (
    find_chunk_end,
    find_missing_batches,
    message_select,
    note_batches,
    stage_audience,
)
from mailer.consent.overrides import bind_override
from mailer.content.service import freeze_content
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery import service as delivery
from mailer.delivery.claim import build_batch_row
from mailer.delivery.sendings import SendingSpec
from mailer.log import get_logger
from mailer.schema.campaigns import Campaign
from mailer.schema.delivery import Message
from mailer.statuses import HoldReason, MessageState, SendingClass, SendingState
from mailer.workspace.queries import get_limit, get_workspace

log = get_logger("campaigns")
SQLITE_CHUNK = 10_000  # about 50 ms, for which other writers wait
POSTGRESQL_CHUNK = 50_000


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
        campaign.sending_id = sendings.create_sending(session, ctx, spec).id
        bind_override(session, campaign.id, spec.topic_id, campaign.sending_id)
        campaign.audience_on, campaign.audience_cursor = ctx.clock.now(), 0
    return True


def _fill(ctx: Context, campaign_id: int) -> None:
    """Write a message row for every contact of the audience."""
    with ctx.database.open_private(has_large_temp=True) as database:
        own = replace(ctx, database=database)
        with own.read() as session:
            campaign = session.get_one(Campaign, campaign_id)
            if campaign.sending_id is None or campaign.audience_on is None or campaign.audience_cursor is None:
                return
            today = ctx.clock.today(get_workspace(session).timezone)
            query = audience.audience_select(session, campaign, today, campaign.audience_on)
            cursor = campaign.audience_cursor
            stage_audience(session, query, after_id=cursor)
        first = first_batches.choose(own, campaign, campaign.sending_id)
        writer = _Writer(own, campaign, first.ordinal, is_resumed=first.is_resumed)
        while (last := writer.find_end(cursor)) is not None:
            writer.write(cursor, last)
            cursor = last


class _Writer:
    """Writes staged recipients; ordinals grow together for all providers, so that a canary is a fair sample."""

    def __init__(self, ctx: Context, campaign: Campaign, first_ordinal: int, *, is_resumed: bool = False) -> None:
        assert campaign.sending_id is not None  # noqa: S101 - it is frozen
        assert campaign.audience_on is not None  # noqa: S101 - it is frozen
        self._ctx = ctx
        self._campaign_id = campaign.id
        self._sending_id = campaign.sending_id
        self._now = campaign.audience_on
        self._first_ordinal = first_ordinal
        self._is_resumed = is_resumed
        self._chunk = SQLITE_CHUNK if ctx.database.is_sqlite else POSTGRESQL_CHUNK

    def find_end(self, cursor: int) -> int | None:
        """Return the last contact of the chunk after `cursor`; None at the end."""
        with self._ctx.read() as session:
            return find_chunk_end(session, cursor, self._chunk)

    def write(self, cursor: int, last: int) -> None:
        """Write one chunk in one transaction; SomebodyElseError where the cursor is not where this process left it."""
        with self._ctx.write() as session:
            moved = session.execute(
                update(Campaign)
                .where(Campaign.id == self._campaign_id, Campaign.audience_cursor == cursor)
                .values(audience_cursor=last)
            )
            if not moved.rowcount:  # type: ignore[attr-defined]
                raise SomebodyElseError
            self._add_batches(session, cursor, last)
            rows = message_select(self._sending_id, self._first_ordinal, cursor, last)
            delivery.add_messages_from(session, rows, may_repeat=self._is_resumed)

    def _add_batches(self, session: Session, cursor: int, last: int) -> None:
        missing = find_missing_batches(session, self._first_ordinal, cursor, last)
        if not missing:
            return
        rows = [
            build_batch_row(self._sending_id, provider, ordinal, not_before=self._now) for provider, ordinal in missing
        ]
        note_batches(session, missing, delivery.add_batches(session, rows))


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
            sendings.hold_sending(session, campaign.sending_id, HoldReason.AUDIENCE_CHANGED, note)
        sendings.start_sending(session, ctx, campaign.sending_id)
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
