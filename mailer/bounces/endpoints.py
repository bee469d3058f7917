"""Use-cases of endpoints: a provider is given an address with a secret path, and what it proves itself by is sealed."""

import hashlib
import json
import secrets
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.bounces.certificates import fetch_certificate
from mailer.bounces.ways import audit_way, get_way
from mailer.bounces.webhooks.proof import Door
from mailer.bounces.webhooks.providers import BY_PASSWORD
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import InputError, Problem, SetupError
from mailer.ids import new_public_id
from mailer.schema.bounces import WebhookEndpoint
from mailer.sealing import seal, unseal
from mailer.statuses import Provider

_USERNAME = "mailer"
_MAX_NAME = 100
_MAX_KEY = 2_000
NEEDS_KEY = frozenset(Provider) - BY_PASSWORD - {Provider.SES}


@dataclass(frozen=True)
class Secret:
    """What is sealed: the token of the path, the provider's key, a password of ours."""

    token: str
    key: str = ""
    password: str = ""


def add_endpoint(
    ctx: Context, provider: str, *, name: str = "", key: str = "", by: int | None = None
) -> WebhookEndpoint:
    """Let a provider call us; `key` is what it signs with (for Amazon, the ARN of the topic, or nothing).

    Raises:
        InputError: lists every value that cannot be.
        SetupError: nobody knows at which address we are to be called.
    """
    if not ctx.settings.public_url:
        raise SetupError("a provider needs an address to call", mend="set MAILER_PUBLIC_URL")
    slug, name, key = _check(provider, name, key)
    secret = Secret(secrets.token_urlsafe(24), key, secrets.token_urlsafe(18) if slug in BY_PASSWORD else "")
    row = WebhookEndpoint(
        public_id=new_public_id(),
        provider=slug.value,
        name=name or slug.value,
        path_hash=_hash(secret.token),
        secret=b"",
        created_at=utc_now(),
    )
    row.secret = _seal(ctx, row, secret)
    with ctx.write() as session:
        session.add(row)
        session.flush()
        audit_way(session, "add", row, by)
    return row


def change_key(ctx: Context, public_id: uuid.UUID, key: str, *, by: int | None = None) -> None:
    """Give an endpoint another key; its address stays. Raises as `add_endpoint` does."""
    with ctx.write() as session:
        row = get_way(session, WebhookEndpoint, public_id)
        _check(row.provider, row.name, key)
        old = _unseal(ctx, row)
        row.secret = _seal(ctx, row, Secret(old.token, key.strip(), old.password))
        audit_way(session, "change", row, by)


def _check(provider: str, name: str, key: str) -> tuple[Provider, str, str]:
    problems: list[Problem] = []
    name, key = name.strip(), key.strip()
    known = {one.value: one for one in Provider}
    slug = known.get(provider)
    if slug is None:
        problems.append(Problem("provider", "no such provider", f"one of {', '.join(known)}"))
    elif slug in NEEDS_KEY and not key:
        problems.append(Problem("key", "the key that the provider signs with is missing", "copy it from its settings"))
    if len(name) > _MAX_NAME:
        problems.append(Problem("name", f"longer than {_MAX_NAME} characters"))
    if len(key) > _MAX_KEY:
        problems.append(Problem("key", "that is no key"))
    if problems or slug is None:
        raise InputError(problems)
    return slug, name, key


def find_by_token(session: Session, provider: str, token: str) -> WebhookEndpoint | None:
    """Return the endpoint that a path names, if it takes calls."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.path_hash == _hash(token),
        WebhookEndpoint.provider == provider,
        WebhookEndpoint.is_enabled,
        WebhookEndpoint.archived_at.is_(None),
    )
    return session.scalar(query)


def load_door(ctx: Context, row: WebhookEndpoint) -> Door:
    """Return what calls of an endpoint are checked against."""
    secret = _unseal(ctx, row)
    return Door(
        url=_url(ctx, row, secret),
        now=utc_now(),
        key=secret.key,
        username=_USERNAME if secret.password else "",
        password=secret.password,
        certificate=fetch_certificate,
    )


def shown_address(ctx: Context, row: WebhookEndpoint) -> str:
    """Return the address to be entered at the provider, with name and password where it proves itself by them."""
    secret = _unseal(ctx, row)
    url = _url(ctx, row, secret)
    if not secret.password:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{_USERNAME}:{secret.password}@{parts.netloc}"))


def _url(ctx: Context, row: WebhookEndpoint, secret: Secret) -> str:
    return f"{ctx.settings.public_url}/webhooks/{row.provider}/{secret.token}"


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _seal(ctx: Context, row: WebhookEndpoint, secret: Secret) -> bytes:
    plain = json.dumps({"token": secret.token, "key": secret.key, "password": secret.password})
    return seal(ctx.keys, f"webhook:{row.public_id}", plain.encode())


def _unseal(ctx: Context, row: WebhookEndpoint) -> Secret:
    return Secret(**json.loads(unseal(ctx.keys, f"webhook:{row.public_id}", row.secret)))
