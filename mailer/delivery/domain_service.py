"""Use-cases of sending domains: add one, make keys, look at its DNS records, put keys to use, retire them.

A key is put to use only when its record was seen, because a signature that nobody can verify is worse than none. The
first key of a kind is put to use by the check that sees its record; a later one by a person, who then retires the old.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery import domain_queries
from mailer.delivery.dkim import RSA, generate_key, load_key, public_text
from mailer.delivery.dns_lookup import Lookup, Remembered
from mailer.delivery.domain_checks import check_domain
from mailer.delivery.domains import Check, Dns, Light, Record, Setup, check_domain_name, list_records, read_checks
from mailer.delivery.signing import seal_context
from mailer.delivery.transports import list_relays
from mailer.delivery.warm_up import start_warm_up
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.transports import DKIM_ALGORITHMS, DkimKey, SendingDomain
from mailer.sealing import seal


def create_domain(
    ctx: Context, name: str, *, with_ed25519: bool = False, warms_up: bool = False, by: int | None = None
) -> SendingDomain:
    """Create a sending domain with an RSA key and, by choice, an Ed25519 key beside it.

    `warms_up`: it begins with 500 marketing mails a day (warm_up.py).

    Raises:
        InputError: not a domain that mails can be sent from.
        ConflictError: it is there already.
    """
    domain = check_domain_name(name)
    algorithms = DKIM_ALGORITHMS if with_ed25519 else (RSA,)
    made = [_make_key(ctx, domain, algorithm) for algorithm in algorithms]
    with ctx.write() as session:
        if session.scalar(select(SendingDomain.id).where(SendingDomain.domain == domain)):
            raise ConflictError(f"{domain} is a sending domain already")
        row = SendingDomain(domain=domain, checks={}, created_at=utc_now())
        session.add(row)
        session.flush()
        for key in made:
            key.domain_id = row.id
            session.add(key)
        if warms_up:
            start_warm_up(session, ctx, row, by=by)
        record_audit(session, "delivery.add_domain", by=by, subject=("domain", row.id), detail={"domain": domain})
    return row


def create_key(ctx: Context, domain_id: int, algorithm: str, *, by: int | None = None) -> DkimKey:
    """Create a further key; it signs nothing before it is put to use.

    Raises:
        InputError: an unknown algorithm.
        ConflictError: a key of that kind waits for its record already.
    """
    if algorithm not in DKIM_ALGORITHMS:
        raise InputError(f"no such kind of key: {algorithm}", where="algorithm", mend="use rsa or ed25519")
    with ctx.read() as session:
        domain = session.get_one(SendingDomain, domain_id).domain
    made = _make_key(ctx, domain, algorithm)
    with ctx.write() as session:
        session.get_one(SendingDomain, domain_id, with_for_update=True)
        keys = domain_queries.list_keys(session, domain_id)
        waiting = [key.selector for key in keys if key.algorithm == algorithm and not key.is_active]
        if len(waiting) > 1:
            raise ConflictError(f"{', '.join(waiting)} wait already", mend="retire a key first")
        made.domain_id = domain_id
        session.add(made)
        record_audit(
            session, "delivery.add_key", by=by, subject=("domain", domain_id), detail={"selector": made.selector}
        )
    return made


def _make_key(ctx: Context, domain: str, algorithm: str) -> DkimKey:
    """Return an unsaved key; RSA takes a tenth of a second, so it is made outside the transaction."""
    selector = f"{algorithm[0]}{utc_now():%y%m%d}-{secrets.token_hex(2)}"
    der = generate_key(algorithm)
    return DkimKey(
        selector=selector,
        algorithm=algorithm,
        private_key=seal(ctx.keys, seal_context(domain), der),
        public_key=public_text(load_key(selector, der)),
        is_active=False,
        created_at=utc_now(),
    )


def activate_key(ctx: Context, domain_id: int, selector: str, *, by: int | None = None) -> None:
    """Sign with a key from now on, and no longer with others of its kind. Safe to repeat.

    Raises:
        ConflictError: the last check did not see its record.
    """
    with ctx.write() as session:
        row = session.get_one(SendingDomain, domain_id, with_for_update=True)
        key = _get_key(session, row, selector)
        if selector not in _seen_selectors(read_checks(row.checks)):
            raise ConflictError(
                f"the record of {selector} was not seen, so receivers could not verify its signatures",
                mend="publish the record, check the domain, then put the key to use",
            )
        _activate(session, key)
        record_audit(
            session, "delivery.activate_key", by=by, subject=("domain", domain_id), detail={"selector": selector}
        )


def _activate(session: Session, key: DkimKey) -> None:
    session.execute(
        update(DkimKey)
        .where(DkimKey.domain_id == key.domain_id, DkimKey.algorithm == key.algorithm)
        .values(is_active=DkimKey.id == key.id)
    )


def retire_key(ctx: Context, domain_id: int, selector: str, *, by: int | None = None) -> None:
    """Destroy a key. Leave its record in DNS for a week: mails on their way are still verified with it."""
    with ctx.write() as session:
        row = session.get_one(SendingDomain, domain_id, with_for_update=True)
        session.delete(_get_key(session, row, selector))
        kept = [check.as_data() for check in read_checks(row.checks) if check.selector != selector]
        row.checks = {"checks": kept} if kept else {}
        record_audit(
            session, "delivery.retire_key", by=by, subject=("domain", domain_id), detail={"selector": selector}
        )


def delete_domain(ctx: Context, domain_id: int, *, by: int | None = None) -> None:
    """Delete a sending domain with its keys; its mails go out unsigned from then on."""
    with ctx.write() as session:
        row = session.get_one(SendingDomain, domain_id, with_for_update=True)
        for key in domain_queries.list_keys(session, domain_id):
            session.delete(key)
        session.flush()
        session.delete(row)
        record_audit(
            session, "delivery.delete_domain", by=by, subject=("domain", domain_id), detail={"domain": row.domain}
        )


def _get_key(session: Session, row: SendingDomain, selector: str) -> DkimKey:
    key = session.scalar(select(DkimKey).where(DkimKey.domain_id == row.id, DkimKey.selector == selector))
    if key is None:
        raise NotFoundError(f"{row.domain} has no key {selector!r}")
    return key


# ------------------------------------------------------------------ DNS


def build_setup(session: Session, ctx: Context, row: SendingDomain) -> Setup:
    """Return what the records of a domain depend on."""
    hosts = dict.fromkeys(one.relay.host for one in list_relays(session, ctx) if not one.is_embedded)
    return Setup(row.domain, ctx.settings.bounce_domain, tuple(hosts))


def list_domain_records(session: Session, ctx: Context, row: SendingDomain) -> list[Record]:
    """Return the records that a domain is to publish."""
    return list_records(build_setup(session, ctx, row), domain_queries.list_keys(session, row.id))


def check_due(ctx: Context, *, dns: Dns | None = None) -> list[str]:
    """Check the domains whose last check is a day old, or an hour where something was left to do; return their names.

    Where a name server does not answer, what was known before is kept: a campaign must not be stopped by that.
    """
    now = utc_now()
    with ctx.read() as session:
        lines = domain_queries.list_domains(session)
    due = [line for line in lines if (line.checked_at or line.created_at) < now - _RECHECK[line.light is Light.OK]]
    for line in due:
        check_now(ctx, line.id, dns=dns, keeps_known=True)
    return [line.domain for line in due]


_RECHECK = {True: timedelta(days=1), False: timedelta(hours=1)}


def check_now(ctx: Context, domain_id: int, *, dns: Dns | None = None, keeps_known: bool = False) -> list[Check]:
    """Look at the DNS records of a domain, keep what was found and return it; takes seconds where nobody answers.

    The first key of a kind whose record is seen is put to use. No transaction is open while others are waited for.
    With `keeps_known`, nothing is written where a name server did not answer.

    Raises:
        DnsError: this machine knows no name server.
    """
    with ctx.read() as session:
        row = session.get_one(SendingDomain, domain_id)
        keys = domain_queries.list_keys(session, domain_id)
        setup = build_setup(session, ctx, row)
        from_domains = domain_queries.list_from_domains(session, row)
    answers = Remembered(dns or Lookup(ctx.settings.dns_servers))
    found = check_domain(answers, setup, keys, _active(keys), from_domains)
    if keeps_known and any(check.light is Light.UNKNOWN for check in found):
        return found
    seen = _seen_selectors(found)
    with ctx.write() as session:
        row = session.get_one(SendingDomain, domain_id, with_for_update=True)
        _put_to_use(session, domain_id, seen)
        there = domain_queries.list_keys(session, domain_id)
        known = [key for key in there if key.selector in {one.selector for one in keys}]
        found = check_domain(answers, setup, known, _active(there), from_domains)  # asks nobody: all was asked above
        row.checks, row.checked_at = {"checks": [check.as_data() for check in found]}, utc_now()
    return found


def _active(keys: Sequence[DkimKey]) -> list[str]:
    return [key.selector for key in keys if key.is_active]


def _seen_selectors(checks: Sequence[Check]) -> set[str]:
    """Return the keys whose records verifiers can read."""
    return {check.selector for check in checks if check.kind == "dkim" and check.light is Light.OK}


def _put_to_use(session: Session, domain_id: int, seen: set[str]) -> None:
    """Put the first key of each kind to use of which the record was seen, where none of its kind is in use."""
    keys = domain_queries.list_keys(session, domain_id)
    busy = {key.algorithm for key in keys if key.is_active}
    for key in keys:
        if key.selector in seen and key.algorithm not in busy:
            busy.add(key.algorithm)
            _activate(session, key)
    session.flush()
    session.expire_all()
