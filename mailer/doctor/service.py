"""Look at an installation from outside in: settings, folder, keys, database, schema, broker, addresses, relay, people.

Every check says what it found and what to do; a check that cannot be made because an earlier one failed is left out.
"""

import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import redis
from redis.exceptions import RedisError
from sqlalchemy import func, select

from mailer.assets import static_dir, templates_dir
from mailer.clock import utc_now
from mailer.context import Context, make_context
from mailer.delivery.backlog import Backlog, get_backlog
from mailer.delivery.probe import probe_relay
from mailer.delivery.relays import Relay
from mailer.delivery.transports import SETTINGS, is_permitted, list_relays
from mailer.errors import MailerError
from mailer.jobs import SilentBell
from mailer.migrations.runner import current_revision, head_revision
from mailer.schema.accounts import Staff
from mailer.schema.workspace import Sender
from mailer.settings import Settings
from mailer.tracking.ingest import SpoolState, look_at_spool
from mailer.workspace.queries import get_workspace

LOW_DISK_BYTES = 500_000_000
SPOOL_BEHIND_SECONDS = 300
LOST_HITS_SHOWN = timedelta(days=7)


@dataclass(frozen=True)
class Finding:
    """One check: `what` was found, and how to `mend` it where it is not well."""

    check: str
    is_ok: bool
    what: str
    mend: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Return a finding for each check, in the order in which problems are best mended."""
    found = [*_folder(settings), *_assets(), *_addresses(settings), _broker(settings)]
    try:
        ctx = make_context(settings, bell=SilentBell())
    except MailerError as error:
        return [*found, Finding("keys", is_ok=False, what=error.message, mend=error.mend)]
    try:
        return [*found, *_database(ctx)]
    finally:
        ctx.database.dispose()


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if not folder.is_dir():
        yield Finding("data folder", True, f"{folder} is made at the first start")
        return
    is_private = stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0
    yield Finding(
        "data folder", is_private, f"{folder} is {'private' if is_private else 'open to other users'}",
        "" if is_private else f"chmod 700 {folder}",
    )  # fmt: skip
    free = shutil.disk_usage(folder).free
    yield Finding(
        "disk", free > LOW_DISK_BYTES, f"{free // 1_000_000:,} MB free",
        "" if free > LOW_DISK_BYTES else "free some space: sending stops cleanly when the disk is full",
    )  # fmt: skip


def _assets() -> Iterator[Finding]:
    has_templates = templates_dir().is_dir()
    yield Finding("templates", has_templates, str(templates_dir()), "" if has_templates else "install mailer again")
    has_assets = (static_dir() / "stamp.json").is_file()
    mend = "" if has_assets else "install mailer again: pip install ."
    yield Finding("front-end assets", has_assets, "built" if has_assets else "missing", mend)


def _addresses(settings: Settings) -> Iterator[Finding]:
    for name, value in (("public URL", settings.public_url), ("bounce domain", settings.bounce_domain)):
        variable = "MAILER_" + name.upper().replace(" ", "_")
        mend = "" if value else f"set {variable}, or start `mailer up`"
        yield Finding(name, bool(value), value or "not set", mend)


def _broker(settings: Settings) -> Finding:
    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2) as client:
            policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction")
    except (RedisError, OSError) as error:
        return Finding("broker", is_ok=False, what=str(error), mend="start `mailer up`, or set MAILER_REDIS_URL")
    is_ok = policy == "noeviction"
    mend = "" if is_ok else "set maxmemory-policy noeviction: a broker that evicts loses work"
    return Finding("broker", is_ok, f"answers, eviction policy {policy}", mend)


def _relays(ctx: Context) -> Iterator[Finding]:
    """Open a session with each relay that is in use; no mail is sent."""
    try:
        with ctx.read() as session:
            relays = list_relays(session, ctx)
    except MailerError as error:
        yield Finding("relay", is_ok=False, what=error.message, mend=error.mend)
        return
    if not relays:
        mend = "set MAILER_SMTP_URL, add one with `mailer transports add`, or start `mailer up`"
        yield Finding("relay", is_ok=False, what="none is set", mend=mend)
    for one in relays:
        yield _relay("relay" if one.key == SETTINGS else f"relay {one.name}", one.relay, is_permitted(ctx, one.relay))


def _relay(name: str, relay: Relay, is_allowed: bool) -> Finding:  # noqa: FBT001 - read at its one call
    if not is_allowed:
        mend = "set MAILER_ALLOW_EXTERNAL_RELAY=true"
        return Finding(name, is_ok=False, what=f"{relay} is outside this machine, and not permitted", mend=mend)
    found = probe_relay(relay)
    if not found.is_usable:
        return Finding(name, is_ok=False, what=found.error, mend=found.mend or "check host, port and firewall")
    return Finding(name, is_ok=True, what=f"{relay} says {found.said[0].lines[0]}")


def _database(ctx: Context) -> Iterator[Finding]:
    shown = ctx.database.url.render_as_string(hide_password=True)
    try:
        ctx.database.check()
        revision = current_revision(ctx.database)
    except MailerError as error:
        yield Finding("database", is_ok=False, what=error.message, mend=error.mend)
        return
    yield Finding("database", is_ok=True, what=shown)
    is_current = revision == head_revision()
    mend = "" if is_current else "start `mailer up`, or run any command: it brings the schema up to date"
    yield Finding("schema", is_current, f"at {revision or 'nothing'}, newest is {head_revision()}", mend)
    if is_current:
        yield from _relays(ctx)
        yield from _workspace(ctx)


def _queue(backlog: Backlog) -> Finding:
    if backlog.age_seconds is None:
        return Finding("queue", is_ok=True, what="nothing is due")
    what = f"{backlog.due:,} batches due, the oldest for {backlog.age_seconds:,.0f} s; workers hold {backlog.in_hand:,}"
    mend = "start a send worker: `mailer run send`, or `mailer up`; one that lives lost its broker: restart it"
    return Finding("queue", not backlog.is_stalled, what, mend if backlog.is_stalled else "")


def _spool(state: SpoolState) -> Iterator[Finding]:
    age = (utc_now() - state.oldest_at).total_seconds() if state.oldest_at else 0.0
    is_behind = age > SPOOL_BEHIND_SECONDS
    what = f"{state.waiting_bytes / 1e6:,.1f} MB of opens and clicks wait, the oldest for {age:,.0f} s"
    mend = "start the ingest of this host: `mailer run ingest`, or `mailer up`" if is_behind else ""
    yield Finding("tracking spool", not is_behind, what if state.oldest_at else "everything is taken in", mend)
    if state.refused is not None:
        last = f"the last on {state.refused.last_at:%Y-%m-%d %H:%M} UTC"
        yield Finding(
            "lost hits", utc_now() - state.refused.last_at > LOST_HITS_SHOWN,
            f"{state.refused.count:,} opens and clicks were not kept, {last}",
            "the spool or the disk was full: look at the ingest and the disk, or raise MAILER_SPOOL_LIMIT_MB",
        )  # fmt: skip
    if state.damaged:
        names = ", ".join(path.name for path in state.damaged)
        yield Finding("damaged spool files", is_ok=False, what=names, mend="look at the disk; what was readable is in")


def _workspace(ctx: Context) -> Iterator[Finding]:
    checks: tuple[tuple[str, type[Staff | Sender], str], ...] = (
        ("staff", Staff, "mailer users create EMAIL --role admin"),
        ("sender profiles", Sender, "mailer senders create NAME …"),
    )
    with ctx.read() as session:
        for name, table, mend in checks:
            count = session.scalar(select(func.count()).select_from(table)) or 0
            yield Finding(name, count > 0, f"{count}", "" if count else mend)
        workspace, backlog = get_workspace(session), get_backlog(session, ctx)
    yield _queue(backlog)
    yield from _spool(look_at_spool(ctx))
    if workspace.stopped_at is not None:
        yield Finding(
            "stop everything", is_ok=False, what=f"marketing is held since {workspace.stopped_at:%Y-%m-%d %H:%M} UTC",
            mend="mailer stop-all --release --note …",
        )  # fmt: skip
