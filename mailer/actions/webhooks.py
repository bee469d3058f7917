"""Webhooks: addresses that actions may call, named by an administrator; each call is signed (Standard Webhooks, v1).

`webhook-signature` is HMAC-SHA-256 (RFC 2104) over `id.timestamp.body`. A worker may die between the call and its
note, so a call may come twice, with the same `webhook-id`: receivers look at that.
"""

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.actions import queries, service
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, MailerError, NotFoundError, Problem
from mailer.jobs import is_stopping
from mailer.outbound import OutboundFailedError, OutboundRefusedError, check_url, fetch
from mailer.schema.actions import ActionRun, Webhook
from mailer.schema.contacts import Address, Contact
from mailer.schema.content import LinkAction, TrackedLink
from mailer.sealing import seal, unseal
from mailer.statuses import ActionKind

PREFIX = "whsec_"
_SECRET_BYTES = 32
_NAME = 100
_SECONDS = 10.0
_MAX_ANSWER = 65_536
_RUN_SECONDS = 50.0


# ------------------------------------------------------------------ the list


def create_webhook(ctx: Context, name: str, url: str, *, by: int | None = None) -> tuple[uuid.UUID, str]:
    """Add a webhook; return its id and its secret, which is shown this once.

    Raises:
        InputError: no name, or an address that must not be called; lists everything.
        ConflictError: the name is taken.
    """
    name, url = name.strip(), url.strip()
    problems = _problems(ctx, name, url)
    if problems:
        raise InputError(problems)
    secret = secrets.token_bytes(_SECRET_BYTES)
    with ctx.write() as session:
        if session.scalar(select(Webhook.id).where(Webhook.name == name)):
            raise ConflictError(f"there is a webhook called {name!r}", mend="choose another name")
        row = Webhook(name=name, url=url, secret=b"", created_at=utc_now())
        session.add(row)
        session.flush()
        row.secret = seal(ctx.keys, _context(row), secret)
        record_audit(session, "actions.create_webhook", by=by, subject=("webhook", row.id), detail={"name": name})
        return row.public_id, PREFIX + base64.b64encode(secret).decode()


def _problems(ctx: Context, name: str, url: str) -> list[Problem]:
    found = []
    if not name or len(name) > _NAME:
        found.append(Problem("name", f"a webhook needs a name of at most {_NAME} characters"))
    try:
        is_private = ctx.settings.allow_private_webhooks
        check_url(url, allow_private=is_private, allow_http=is_private)
    except OutboundRefusedError as error:
        found.append(Problem("url", error.message, error.mend or "https://receiver.example.com/path"))
    return found


def archive_webhook(ctx: Context, public_id: uuid.UUID, *, by: int | None = None) -> None:
    """Take a webhook out of use: nothing calls it any more, what waits is refused. Safe to repeat."""
    with ctx.write() as session:
        row = queries.get_webhook(session, public_id)
        if row.archived_at is None:
            row.archived_at = utc_now()
            record_audit(session, "actions.archive_webhook", by=by, subject=("webhook", row.id))


def _context(row: Webhook) -> str:
    return f"webhook:{row.id}"


# ------------------------------------------------------------------ calls


@dataclass(frozen=True)
class Call:
    """A call that is to be made."""

    run_id: int
    webhook_id: int
    url: str
    secret: bytes
    body: bytes


def call_due(ctx: Context, *, tls: ssl.SSLContext | None = None) -> int:
    """Call the webhooks whose time has come; return how many answered well.

    A receiver that fails is left alone for the rest of this round, so that it keeps nobody else waiting.
    """
    done, resting = 0, set[int]()
    end = time.monotonic() + _RUN_SECONDS
    while due := service.list_due(ctx, _waiting(resting)):
        for run_id in due:
            if is_stopping() or time.monotonic() > end:
                return done
            call = _claim(ctx, run_id, resting)
            if call is None:
                continue
            if _call(ctx, call, tls):
                done += 1
            else:
                resting.add(call.webhook_id)
    return done


def _waiting(resting: Collection[int]) -> Any:
    is_webhook = LinkAction.kind == ActionKind.WEBHOOK.value
    return is_webhook & LinkAction.params["webhook_id"].as_integer().not_in(resting) if resting else is_webhook


def _claim(ctx: Context, run_id: int, resting: Collection[int]) -> Call | None:
    """Return what is to be called, the run put off meanwhile: a worker that dies leaves it to be tried again."""
    try:
        with ctx.write() as session:
            found = service.claim_run(session, run_id)
            if found is None or found[0].state != "pending":
                return None
            run, action = found
            webhook = session.get(Webhook, int(action.params["webhook_id"]))
            if webhook is None:
                raise NotFoundError("no such webhook")
            if webhook.archived_at is not None:
                raise ConflictError(f"the webhook {webhook.name!r} is not in use any more")
            if webhook.id in resting:
                return None
            run.due_at = utc_now() + service.PAUSES[min(run.attempts, len(service.PAUSES) - 1)]
            secret = unseal(ctx.keys, _context(webhook), webhook.secret)
            return Call(run.id, webhook.id, webhook.url, secret, _body(session, run, action))
    except MailerError as error:
        service.settle(ctx, run_id, "refused", error.message)
        return None


def _call(ctx: Context, call: Call, tls: ssl.SSLContext | None) -> bool:
    is_private = ctx.settings.allow_private_webhooks
    headers = {
        "Content-Type": "application/json",
        **sign(call.secret, f"run_{call.run_id}", utc_now().timestamp(), call.body),
    }
    try:
        answer = fetch(
            call.url, method="POST", body=call.body, headers=headers, timeout=_SECONDS, max_bytes=_MAX_ANSWER,
            allow_private=is_private, allow_http=is_private, tls=tls,
        )  # fmt: skip
    except OutboundRefusedError as error:
        service.settle(ctx, call.run_id, "refused", error.message)
        return False
    except OutboundFailedError as error:
        service.postpone(ctx, call.run_id, error.message)
        return False
    if 200 <= answer.status < 300:  # noqa: PLR2004 - RFC 9110, section 15.3
        service.settle(ctx, call.run_id, "done", f"answered {answer.status}")
        return True
    service.postpone(ctx, call.run_id, f"answered {answer.status}")
    return False


def sign(secret: bytes, call_id: str, at: float, body: bytes) -> Mapping[str, str]:
    """Return the headers that prove a call: id, time in seconds since 1970, signature."""
    stamp = str(int(at))
    digest = hmac.new(secret, f"{call_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": call_id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def _body(session: Session, run: ActionRun, action: LinkAction) -> bytes:
    link = session.get_one(TrackedLink, action.tracked_link_id)
    contact = session.get_one(Contact, run.contact_id)
    address = session.get(Address, contact.address_id) if contact.address_id else None
    data: dict[str, Any] = {
        "contact": {
            "id": str(contact.public_id),
            "email": address.email if address else None,
            "first_name": contact.first_name,
            "last_name": contact.last_name,
            "external_id": contact.external_id,
        },
        "link": {"url": link.url, "label": link.label},
        "message_id": run.message_id,
        "clicked_at": run.hit_at.isoformat(),
    }
    return json.dumps({"type": "link.clicked", "timestamp": utc_now().isoformat(), "data": data}).encode()
