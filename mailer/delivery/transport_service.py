"""Use-cases of transports: add, change, switch on and off, archive, try. A URL is sealed, since it holds a password."""

import ssl
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.addresses import PROVIDER_NAMES
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.buckets import provider_bucket, relay_bucket
from mailer.delivery.probe import Finding, probe_relay
from mailer.delivery.relay_health import Health, forget, list_health, note_failure, note_success
from mailer.delivery.relays import PlannedRelay, Relay, parse_relay
from mailer.delivery.throttle import Throttle
from mailer.delivery.transports import (
    SETTINGS,
    UsableRelay,
    describe_transport,
    is_permitted,
    list_relays,
    load_provider_rates,
    secret_context,
    settings_relay,
    transport_key,
)
from mailer.errors import ConflictError, InputError, NotFoundError, Problem
from mailer.ids import new_public_id
from mailer.schema.transports import Transport
from mailer.sealing import seal

_RANGES = {"weight": (0, 1_000), "connections": (1, 500), "rate_per_second": (1, 100_000)}


@dataclass(frozen=True, kw_only=True)
class TransportValues:
    """What a transport is made of; texts, as they were typed.

    An empty `url` keeps the present one, an empty `rate_per_second` is no limit.
    """

    name: str
    url: str = ""
    weight: str = "1"
    connections: str = "2"
    rate_per_second: str = "5"


def get_transport(session: Session, public_id: uuid.UUID) -> Transport:
    """Return a transport that is not archived, or raise NotFoundError."""
    row = session.scalar(select(Transport).where(Transport.public_id == public_id, Transport.archived_at.is_(None)))
    if row is None:
        raise NotFoundError("no such transport")
    return row


def find_transport(session: Session, name: str) -> Transport:
    """Return the transport called `name`, or raise NotFoundError."""
    row = session.scalar(select(Transport).where(Transport.name == name, Transport.archived_at.is_(None)))
    if row is None:
        raise NotFoundError(f"no transport is called {name!r}", mend="list them: mailer transports list")
    return row


def add_transport(ctx: Context, values: TransportValues, *, by: int | None = None) -> Transport:
    """Add a relay; it is used at once, beside the other enabled ones.

    Raises:
        InputError: lists every value that cannot be.
        ConflictError: the name is taken.
    """
    checked, relay = _check(values, needs_url=True)
    with ctx.write() as session:
        _require_free(session, checked["name"], None)
        row = Transport(**checked, public_id=new_public_id(), label=str(relay), secret=b"", created_at=utc_now())
        row.secret = seal(ctx.keys, secret_context(row), values.url.strip().encode())
        session.add(row)
        session.flush()
        _audit(session, "add_transport", row, by)
    return row


def change_transport(
    ctx: Context, public_id: uuid.UUID, values: TransportValues, *, by: int | None = None
) -> Transport:
    """Change a relay; raises as `add_transport` does. What was known of its failures is forgotten with its URL."""
    checked, relay = _check(values, needs_url=False)
    with ctx.write() as session:
        row = get_transport(session, public_id)
        _require_free(session, checked["name"], row.id)
        for name, value in checked.items():
            setattr(row, name, value)
        if relay is not None:
            row.label, row.secret = str(relay), seal(ctx.keys, secret_context(row), values.url.strip().encode())
            forget(session, transport_key(row.id))
        _audit(session, "change_transport", row, by)
    return row


def enable_transport(ctx: Context, public_id: uuid.UUID, *, is_enabled: bool, by: int | None = None) -> Transport:
    """Switch a relay on or off; without an enabled one the relay of the settings is used."""
    with ctx.write() as session:
        row = get_transport(session, public_id)
        row.is_enabled = is_enabled
        if is_enabled:
            forget(session, transport_key(row.id))
        _audit(session, "enable_transport" if is_enabled else "disable_transport", row, by)
    return row


def archive_transport(ctx: Context, public_id: uuid.UUID, *, by: int | None = None) -> None:
    """Take a relay away; its password goes with it."""
    with ctx.write() as session:
        row = get_transport(session, public_id)
        row.archived_at, row.is_enabled, row.secret = utc_now(), False, b""
        forget(session, transport_key(row.id))
        _audit(session, "archive_transport", row, by)


def try_transport(ctx: Context, key: str, *, by: int | None = None) -> Finding:
    """Open a session with a relay and return what the server said; what came of it is noted as its health.

    Raises:
        NotFoundError: no relay has this key.
    """
    with ctx.read() as session:
        relay = _find_relay(session, ctx, key)
    finding = probe_relay(relay)
    with ctx.write() as session:
        if finding.is_usable:
            note_success(session, ctx, key)
        else:
            note_failure(session, key, finding.error)
        detail = {"relay": key, "error": finding.error}
        record_audit(session, "delivery.try_transport", by=by, detail=detail)
    return finding


def _find_relay(session: Session, ctx: Context, key: str) -> Relay:
    rows = session.scalars(select(Transport).where(Transport.archived_at.is_(None))).all()
    for row in rows:
        if transport_key(row.id) == key:
            return describe_transport(ctx, row).relay
    for one in settings_relay(session, ctx):
        if one.key == key:
            return one.relay
    raise NotFoundError("no such transport")


# ------------------------------------------------------------------ what pages and commands show


@dataclass(frozen=True)
class TransportLine:
    """A relay as pages show it.

    `state`: `works`, `spare`, `failing`, `resting`, `off`, `unpermitted`, or `unused` (that of the settings while a
    transport is enabled). `usable` is without its password. `slowed`: mails a second by provider, `all` for the relay
    itself.
    """

    key: str
    public_id: uuid.UUID | None
    usable: UsableRelay
    state: str
    health: Health
    is_enabled: bool
    is_permitted: bool
    slowed: Mapping[str, float]

    @property
    def resting_until(self) -> datetime | None:
        """When it is tried again; None where it is not left alone."""
        return self.health.resting_until if self.state == "resting" else None


def list_lines(session: Session, ctx: Context) -> list[TransportLine]:
    """Return every transport and the relay of the settings, which is unused while a transport is enabled."""
    health, in_use = list_health(session), {one.key for one in list_relays(session, ctx)}
    rows = session.scalars(select(Transport).where(Transport.archived_at.is_(None)).order_by(Transport.id)).all()
    rates, throttle = load_provider_rates(session), Throttle(ctx.redis)
    found: list[tuple[UsableRelay, uuid.UUID | None, bool]] = [
        (describe_transport(ctx, row), row.public_id, row.is_enabled) for row in rows
    ]
    found += [(one, None, one.key in in_use) for one in settings_relay(session, ctx)]
    return [
        TransportLine(
            key=one.key,
            public_id=public_id,
            usable=replace(one, relay=replace(one.relay, password="")),
            state=_state_of(ctx, one, health.get(one.key, Health(one.key)), is_enabled=is_enabled),
            health=health.get(one.key, Health(one.key)),
            is_enabled=is_enabled,
            is_permitted=is_permitted(ctx, one.relay),
            slowed=list_slowed(throttle, one, rates) if is_enabled and not one.is_embedded else {},
        )
        for one, public_id, is_enabled in found
    ]


def _state_of(ctx: Context, one: UsableRelay, health: Health, *, is_enabled: bool) -> str:
    if not is_enabled:
        return "unused" if one.key == SETTINGS else "off"
    if not is_permitted(ctx, one.relay):
        return "unpermitted"
    if health.is_resting(utc_now()):
        return "resting"
    if health.failures:
        return "failing"
    return "spare" if one.weight == 0 else "works"


def list_slowed(throttle: Throttle, one: UsableRelay, provider_rates: Mapping[str, float]) -> dict[str, float]:
    """Return what is slowed down through a relay (a provider, or `all`) with its present mails a second."""
    planned = PlannedRelay(one.key, one.name, one.relay, rate_per_second=one.rate_per_second)
    names = ("all", *PROVIDER_NAMES)
    buckets = [relay_bucket(planned), *(provider_bucket(planned, name, provider_rates) for name in PROVIDER_NAMES)]
    try:
        levels = throttle.look(buckets)
    except (RedisError, OSError):
        return {}
    return {name: level.rate or 0 for name, level in zip(names, levels, strict=True) if level.is_slowed}


# ------------------------------------------------------------------ checks


def _check(values: TransportValues, *, needs_url: bool) -> tuple[dict[str, Any], Relay | None]:
    problems: list[Problem] = []
    checked: dict[str, Any] = {"name": values.name.strip()[:100]}
    if not checked["name"]:
        problems.append(Problem("name", "the transport needs a name"))
    elif checked["name"] == SETTINGS:
        problems.append(Problem("name", "this is what the relay of MAILER_SMTP_URL is called", "choose another name"))
    for name, (low, high) in _RANGES.items():
        text = str(getattr(values, name)).strip()
        if name == "rate_per_second" and not text:
            checked[name] = None
        elif not text.isdecimal() or not low <= int(text) <= high:
            problems.append(Problem(name, f"not a whole number from {low} to {high}"))
        else:
            checked[name] = int(text)
    relay = _read_url(values.url.strip(), problems, needs_url=needs_url)
    if problems:
        raise InputError(problems)
    return checked, relay


def _read_url(url: str, problems: list[Problem], *, needs_url: bool) -> Relay | None:
    if not url:
        if needs_url:
            problems.append(Problem("url", "say where the relay is", "use smtp://USER:PASSWORD@HOST:PORT or smtps://…"))
        return None
    try:
        relay = parse_relay(url)
    except InputError as error:
        problems += [Problem("url", problem.what, problem.mend) for problem in error.problems]
        return None
    if relay.ca_file:
        try:
            ssl.create_default_context(cafile=relay.ca_file)
        except OSError as error:
            problems.append(Problem("url", f"ca_file cannot be used: {error.strerror or error}", "name a PEM file"))
    return relay


def _require_free(session: Session, name: str, own_id: int | None) -> None:
    others: Sequence[int] = session.scalars(
        select(Transport.id).where(Transport.name == name, Transport.archived_at.is_(None))
    ).all()
    if any(other != own_id for other in others):
        raise ConflictError(f"a transport is already called {name!r}", mend="choose another name")


def _audit(session: Session, action: str, row: Transport, by: int | None) -> None:
    detail = {
        "name": row.name,
        "relay": row.label,
        "weight": row.weight,
        "connections": row.connections,
        "rate_per_second": row.rate_per_second,
        "is_enabled": row.is_enabled,
    }
    record_audit(session, f"delivery.{action}", by=by, subject=("transport", row.id), detail=detail)
