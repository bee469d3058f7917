"""Calls of providers: proved, stored as they came, answered; taken apart later, an event each, the way reports go.

A call is known by its digest (Mailgun's by its token), so that a repeat changes nothing. What happened to a mail that
nobody must look at, delivered and deferred, is told to delivery at once; everything else becomes a report.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, or_, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from mailer.bounces.applying import KINDS, believable, dedupe_key, match_relay_ids
from mailer.bounces.certificates import fetch_amazon
from mailer.bounces.endpoints import find_by_token, load_door
from mailer.bounces.jobs import PROCESS_CALLS, PROCESS_REPORTS
from mailer.bounces.reading import WEBHOOK, iter_event_ways
from mailer.bounces.service import Received, insert_ignoring, store_reports
from mailer.bounces.verp import Match
from mailer.bounces.webhooks.call import Call
from mailer.bounces.webhooks.event import Reported
from mailer.bounces.webhooks.providers import find_nonce, parse_call, split_call, verify_call
from mailer.bounces.webhooks.ses import find_subscription
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.service import apply_events
from mailer.errors import MailerError, UntrustedRequestError
from mailer.log import get_logger
from mailer.schema.bounces import WebhookCall, WebhookEndpoint
from mailer.statuses import EventKind, Provider, ProviderEvent, Verdict

log = get_logger("webhooks")
_PAGE, _EVENTS = 50, 500
_RETRY_FIRST, _MAX_ATTEMPTS = timedelta(seconds=30), 8
_KEPT = timedelta(days=30)
_AT_ONCE = {ProviderEvent.DELIVERED: EventKind.DELIVERED, ProviderEvent.DEFERRED: KINDS[Verdict.DELAYED]}
_REPORTED = frozenset(
    {
        ProviderEvent.HARD_BOUNCE, ProviderEvent.SOFT_BOUNCE, ProviderEvent.REJECTED, ProviderEvent.FAILED,
        ProviderEvent.COMPLAINT, ProviderEvent.UNSUBSCRIBE,
    }
)  # fmt: skip


class Outcome(StrEnum):
    """What came of a call."""

    STORED = "stored"
    REPEATED = "repeated"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    NOWHERE = "nowhere"


def take_call(ctx: Context, provider: str, token: str, call: Call) -> Outcome:
    """Check a call and store it; whatever it raises, the provider is to call again.

    Raises:
        OutboundFailedError: Amazon could not be asked now.
    """
    with ctx.read() as session:
        endpoint = find_by_token(session, provider, token)
    if endpoint is None:
        return Outcome.NOWHERE
    slug = Provider(endpoint.provider)
    try:
        verify_call(slug, call, load_door(ctx, endpoint))
        if slug is Provider.SES and (address := find_subscription(call)) is not None:
            fetch_amazon(address)
            return _note(ctx, endpoint, Outcome.CONFIRMED, "the subscription is confirmed")
    except UntrustedRequestError as error:
        return _note(ctx, endpoint, Outcome.REFUSED, error.message)
    return _store(ctx, endpoint, slug, call)


def _store(ctx: Context, endpoint: WebhookEndpoint, slug: Provider, call: Call) -> Outcome:
    known_by = find_nonce(slug, call).encode() or call.body
    row = {
        "endpoint_id": endpoint.id, "received_at": utc_now(), "content_type": call.content_type[:200],
        "body": call.body,
        "digest": hashlib.sha256(str(endpoint.id).encode() + b"\0" + known_by).digest(),
        "state": "received", "attempts": 0, "error": "", "events": 0,
    }  # fmt: skip
    with ctx.write() as session:
        stored = session.scalars(insert_ignoring(session, WebhookCall).returning(WebhookCall.id), [row]).all()
        outcome = Outcome.STORED if stored else Outcome.REPEATED
        _count(session, endpoint, outcome, "")
        ctx.ring(session, PROCESS_CALLS)
    return outcome


def _note(ctx: Context, endpoint: WebhookEndpoint, outcome: Outcome, note: str) -> Outcome:
    with ctx.write() as session:
        _count(session, endpoint, outcome, note)
    log.info("webhook_call", provider=endpoint.provider, outcome=outcome.value)
    return outcome


def _count(session: Session, endpoint: WebhookEndpoint, outcome: Outcome, note: str) -> None:
    row = session.get_one(WebhookEndpoint, endpoint.id, with_for_update=True)
    row.last_call_at, row.last_outcome, row.last_note = utc_now(), outcome.value, note
    row.calls += 1
    if outcome is Outcome.REFUSED:
        row.refused += 1
    else:
        row.last_good_at = row.last_call_at


# ------------------------------------------------------------------ later


def process_calls(ctx: Context) -> int:
    """Take apart every call that waits; return how many. One that cannot be read waits longer each time."""
    done = 0
    while waiting := _list_waiting(ctx):
        for call_id in waiting:
            try:
                done += _process_one(ctx, call_id)
            except OperationalError as error:
                log.warning("calls_wait", error=type(error.orig).__name__)
                return done
            except (SQLAlchemyError, MailerError, ValueError, LookupError, TypeError, RecursionError) as error:
                _put_off(ctx, call_id, f"{type(error).__name__}: {error}"[:500])
    with ctx.write() as session:
        old = WebhookCall.received_at < utc_now() - _KEPT
        session.execute(delete(WebhookCall).where(old, WebhookCall.state != "received"))
    return done


def _list_waiting(ctx: Context) -> Sequence[int]:
    is_due = or_(WebhookCall.retry_at.is_(None), WebhookCall.retry_at <= utc_now())
    query = select(WebhookCall.id).where(WebhookCall.state == "received", is_due).order_by(WebhookCall.id)
    with ctx.read() as session:
        return session.scalars(query.limit(_PAGE)).all()


def _process_one(ctx: Context, call_id: int) -> int:
    with ctx.read() as session:
        row = session.get_one(WebhookCall, call_id)
        slug = Provider(session.get_one(WebhookEndpoint, row.endpoint_id).provider)
    pieces = split_call(slug, Call(row.body or b"", row.content_type))
    read = [(piece, event) for piece in pieces for event in parse_call(slug, piece)]
    for begin in range(0, len(read), _EVENTS):
        _apply(ctx, slug, read[begin : begin + _EVENTS], row.received_at)
    with ctx.write() as session:
        locked = session.get_one(WebhookCall, call_id, with_for_update=True)
        locked.state, locked.body, locked.events = "done", None, len(read)
        _note_unknown(session, locked.endpoint_id, [event for _, event in read])
    return 1


def _apply(ctx: Context, slug: Provider, read: Sequence[tuple[Call, Reported]], received: datetime) -> None:
    """Apply a part of a call; each is safe to repeat, so a call that ends in its middle begins anew."""
    reports = [
        Received(_stored_form(slug, piece), f"{WEBHOOK}:{slug.value}")
        for piece, event in read
        if event.event in _REPORTED
    ]
    with ctx.write() as session:
        store_reports(session, reports)
        apply_events(session, list(_list_events(session, ctx, read, received)))
        if reports:
            ctx.ring(session, PROCESS_REPORTS)


def _stored_form(slug: Provider, piece: Call) -> bytes:
    body = {"provider": slug.value, "content_type": piece.content_type, "body": piece.body.decode("utf-8", "replace")}
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _list_events(
    session: Session, ctx: Context, read: Sequence[tuple[Call, Reported]], received: datetime
) -> list[DeliveryEvent]:
    found: list[DeliveryEvent] = []
    for piece, event in read:
        kind = _AT_ONCE.get(event.event)
        match = _match(session, ctx, event, piece) if kind else None
        if kind is not None and match is not None:
            at = believable(event.timestamp, received)
            key = dedupe_key(kind, match.message_id)
            found.append(
                DeliveryEvent(match.message_id, kind, at, key, detail={"matched_by": match.by, "source": WEBHOOK})
            )
    return found


def _match(session: Session, ctx: Context, event: Reported, piece: Call) -> Match | None:
    for way in iter_event_ways(ctx.keys, event, piece.body.decode("utf-8", "replace")):
        match = way if isinstance(way, Match) else match_relay_ids(session, way)
        if match is not None:
            return match
    return None


def _note_unknown(session: Session, endpoint_id: int, events: Sequence[Reported]) -> None:
    unknown = sum(event.event is ProviderEvent.UNKNOWN for event in events)
    if unknown:
        row = session.get_one(WebhookEndpoint, endpoint_id, with_for_update=True)
        row.last_note = f"{unknown} of {len(events)} events had a word that we do not know; they changed nothing"


def _put_off(ctx: Context, call_id: int, error: str) -> None:
    with ctx.write() as session:
        row = session.get_one(WebhookCall, call_id, with_for_update=True)
        row.attempts += 1
        row.error, row.retry_at = error, utc_now() + _RETRY_FIRST * 2 ** (row.attempts - 1)
        if row.attempts >= _MAX_ATTEMPTS:
            row.state = "failed"
            endpoint = session.get_one(WebhookEndpoint, row.endpoint_id, with_for_update=True)
            endpoint.last_note = f"a call could not be read: {error}"
    log.warning("call_not_read", call_id=call_id, error=error)
