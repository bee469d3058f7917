"""A sending to many people, written in bulk, and what became of it."""

import itertools
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from mailer import tokens
from mailer.addresses import check_address, hash_address
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import Database
from mailer.delivery.sendings import SendingSpec, create_sending, start_sending
from mailer.delivery.service import add_batches, add_messages
from mailer.errors import UntrustedRequestError
from mailer.ids import new_ledger_id
from mailer.jobs import SilentBell
from mailer.schema.consent import Consent, Subscription
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message, Sending
from mailer.settings import Settings
from mailer.statuses import Permission, Purpose, SendingClass, SubscriptionStatus
from mailer.workspace.service import ensure_workspace
from tests.chaos.history import History, Row, Step
from tests.support.fault_sink import read_log
from tests.support.make import STARTER_MJML, make_batch_row, make_sender, make_topic, make_version

BATCH = 50
DOMAINS = ("example.com", "gmail.com", "outlook.com")
_people = itertools.count(1)


@dataclass(frozen=True)
class Scene:
    """A running sending. `contacts` are ids in the order of their messages."""

    sending_id: int
    topic_id: int
    contacts: list[int]


def open_context(settings: dict[str, Any]) -> Context:
    """A context as a process of its own has it."""
    made = Settings(**settings)
    keys = tokens.load_keys(made.keys_path)
    return Context(settings=made, database=Database(made.database_url), keys=keys, bell=SilentBell())


def set_limits(ctx: Context, **limits: float) -> None:
    """Set limits of the workspace."""
    workspace = ensure_workspace(ctx)
    with ctx.write() as session:
        session.get_one(type(workspace), workspace.id).limits = limits


def make_crowd(ctx: Context, count: int, **more: Any) -> Scene:
    """A running sending to `count` new people who may be mailed."""
    now = utc_now()
    with ctx.write() as session:
        topic = make_topic(session)
        first = next(_people)
        numbers = [first, *(next(_people) for _ in range(count - 1))]
        emails = [
            check_address(f"p{number}@{('example.com', 'gmail.com', 'outlook.com')[number % 3]}") for number in numbers
        ]
        addresses = list(session.scalars(insert(Address).returning(Address.id, sort_by_parameter_order=True), [
            {"email": one.email, "email_hash": hash_address(one.email, ctx.keys.suppression), "domain": one.domain,
             "provider": one.provider, "created_at": now} for one in emails
        ]))  # fmt: skip
        contacts = list(session.scalars(insert(Contact).returning(Contact.id, sort_by_parameter_order=True), [
            {"ledger_id": new_ledger_id(), "first_name": f"First{address}", "last_name": "Last", "address_id": address,
             "created_at": now, "updated_at": now} for address in addresses
        ]))  # fmt: skip
        session.execute(insert(Consent), [
            {"contact_id": contact, "purpose": Purpose.E_MARKETING.value, "permission": Permission.CONSENT.value,
             "source": "test", "updated_at": now} for contact in contacts
        ])  # fmt: skip
        session.execute(insert(Subscription), [
            {"contact_id": contact, "topic_id": topic.id, "status": SubscriptionStatus.SUBSCRIBED.value,
             "updated_at": now}
            for contact in contacts
        ])  # fmt: skip
        size = more.pop("batch", BATCH)
        spec = SendingSpec(
            sending_class=more.pop("sending_class", SendingClass.MARKETING),
            sender_id=make_sender(session).id,
            content_version_id=make_version(session, ctx, mjml=more.pop("mjml", STARTER_MJML)).id,
            topic_id=topic.id,
            **more,
        )
        sending = create_sending(session, ctx, spec)
        people = list(zip(contacts, addresses, strict=True))
        batches = add_batches(session, [make_batch_row(sending.id) for _ in range(0, count, size)])
        add_messages(session, [
            {"sending_id": sending.id, "contact_id": contact, "address_id": address, "to_address": None,
             "recipient_key": contact, "occurrence": 0, "batch_id": batches[at // size], "state": "queued",
             "reason": "", "attempts": 0, "reply": ""}
            for at, (contact, address) in enumerate(people)
        ])  # fmt: skip
        start_sending(session, ctx, sending.id)
        return Scene(sending.id, topic.id, contacts)


def count_states(ctx: Context, scene: Scene) -> Counter[str]:
    """Return the messages of a scene by state."""
    with ctx.read() as session:
        return Counter(session.scalars(select(Message.state).where(Message.sending_id == scene.sending_id)))


def is_finished(ctx: Context, scene: Scene) -> bool:
    """Whether its sending says so."""
    with ctx.read() as session:
        return session.get_one(Sending, scene.sending_id).state == "finished"


def read_history(
    ctx: Context, scene: Scene, log: Path, notes: list[dict[str, Any]], *, is_finished: bool = True
) -> History:
    """Put the three witnesses side by side."""
    with ctx.read() as session:
        sending = session.get_one(Sending, scene.sending_id)
        rows = [
            Row(one.id, one.contact_id or 0, one.state, one.reason, _nanoseconds(one.gate_at), one.repeats)
            for one in session.scalars(select(Message).where(Message.sending_id == scene.sending_id))
        ]
        is_marketing = sending.sending_class == SendingClass.MARKETING
    mine = {row.id for row in rows}
    taken = Counter(_message_of(ctx, line.message_id, b"id") for line in read_log(log) if line.is_taken)
    gates = [
        Step(message, batch, token, note["at"])
        for note in notes
        if note["kind"] == "gate"
        for message, batch, token in note["passed"]
        if message in mine
    ]
    withdrawn: dict[int, int] = {}
    for note in notes:
        if note["kind"] == "withdrawn":
            withdrawn.setdefault(note["contact"], note["at"])
    return History(
        rows=rows,
        audience=len(scene.contacts),
        taken={message: count for message, count in taken.items() if message in mine or message == 0},
        withdrawn=withdrawn,
        gates=gates,
        dots=list(_dots(ctx, notes, gates, mine)),
        is_marketing=is_marketing,
        is_finished=is_finished,
    )


def _dots(ctx: Context, notes: list[dict[str, Any]], gates: list[Step], mine: set[int]) -> list[Step]:
    """A dot is noted by its envelope sender; the claim it belongs to is that of the last gate before it."""
    by_message: dict[int, list[Step]] = {}
    for gate in gates:
        by_message.setdefault(gate.message_id, []).append(gate)
    found = []
    for note in notes:
        if note["kind"] != "dot":
            continue
        message = _message_of(ctx, note["sender"], b"verp")
        if message in mine:
            before = [gate for gate in by_message.get(message, []) if gate.at <= note["at"]]
            last = max(before, key=lambda gate: gate.at, default=Step(message, 0, 0, 0))
            found.append(Step(message, last.batch_id, last.token, note["at"]))
    return found


def _message_of(ctx: Context, token: str, kind: bytes) -> int:
    """Return the message a Message-ID or an envelope sender belongs to; 0 where it is nobody's."""
    read = tokens.read_verp_local if kind == b"verp" else tokens.read_message_id_local
    try:
        return read(ctx.keys, token.partition("@")[0])
    except UntrustedRequestError:
        return 0


def _nanoseconds(at: datetime | None) -> int:
    return 0 if at is None else int(at.timestamp() * 1_000_000) * 1000


def later(seconds: float) -> timedelta:
    """A span of business time."""
    return timedelta(seconds=seconds)
