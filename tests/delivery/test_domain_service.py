"""Sending domains against a real name server on loopback: what is found, and what follows from it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import dkim as verifier
import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery import domain_queries, domain_service
from mailer.delivery.dns_lookup import Lookup
from mailer.delivery.domain_checks import check_domain
from mailer.delivery.domains import Check, Dns, DnsError, Light, Setup, Standing, list_records
from mailer.delivery.signing import load_signer
from mailer.errors import ConflictError, InputError, NotFoundError, SetupError
from mailer.schema.accounts import AuditEvent
from mailer.schema.transports import DkimKey, SendingDomain
from mailer.tokens import new_keys
from tests.support.dns_server import DnsServer, run_dns_server
from tests.support.domain import publish as put_up
from tests.support.make import make_sender

MAIL = b"From: news@example.com\r\nSubject: x\r\n\r\nbody\r\n"
Make = Callable[..., Context]


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with run_dns_server() as server:
        yield server


@pytest.fixture
def ctx(make_ctx: Make, dns: DnsServer) -> Context:
    return make_ctx(
        dns_servers=dns.address, bounce_domain="bounce.example.com", smtp_url="smtp://smtp.sendgrid.net:587"
    )


@pytest.fixture
def domain(ctx: Context) -> SendingDomain:
    return domain_service.create_domain(ctx, "example.com")


def keys_of(ctx: Context, row: SendingDomain) -> list[DkimKey]:
    with ctx.read() as session:
        return list(domain_queries.list_keys(session, row.id))


def publish(ctx: Context, dns: DnsServer, row: SendingDomain) -> None:
    """Put up every record that the page shows, and mail exchangers."""
    put_up(ctx, dns, row)
    dns.put("sendgrid.net", "TXT", "v=spf1 ip4:192.0.2.0/24 ~all")
    dns.put("bounce.example.com", "MX", "10 mx.example.com.")


def by_kind(found: list[Check]) -> dict[str, Check]:
    return {check.kind: check for check in found}


def test_what_the_page_says_to_publish_makes_every_light_green(
    ctx: Context, dns: DnsServer, domain: SendingDomain
) -> None:
    publish(ctx, dns, domain)

    found = domain_service.check_now(ctx, domain.id)

    assert {check.kind: check.light for check in found} == dict.fromkeys(
        ("dkim", "spf", "dmarc", "mx", "bounce_mx", "alignment"), Light.OK
    ), found


def test_without_any_record_each_missing_one_is_said_with_its_mend(ctx: Context, domain: SendingDomain) -> None:
    found = by_kind(domain_service.check_now(ctx, domain.id))

    assert {kind: check.light for kind, check in found.items()} == {
        "dkim": Light.WARN, "spf": Light.FAIL, "dmarc": Light.FAIL, "mx": Light.FAIL, "bounce_mx": Light.FAIL,
        "alignment": Light.FAIL,
    }  # fmt: skip
    assert all(check.mend for check in found.values())
    assert "v=DMARC1; p=none" in found["dmarc"].mend


@pytest.mark.parametrize("how", ["silent", "broken"])
def test_a_name_server_that_does_not_answer_leaves_the_light_open(
    ctx: Context, dns: DnsServer, domain: SendingDomain, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ctx, dns, domain)
    monkeypatch.setattr("mailer.delivery.dns_lookup.TIMEOUT", 0.1)
    monkeypatch.setattr("mailer.delivery.dns_lookup.LIFETIME", 0.3)
    getattr(dns, how).update(
        {"_dmarc.example.com", "bounce.example.com", keys_of(ctx, domain)[0].selector + "._domainkey.example.com"}
    )

    found = by_kind(domain_service.check_now(ctx, domain.id))

    assert {kind for kind, check in found.items() if check.light is Light.UNKNOWN} == {
        "dkim",
        "spf",
        "dmarc",
        "bounce_mx",
    }
    assert "could not be checked" in found["dmarc"].what
    assert found["mx"].light is Light.OK


def test_a_silent_name_server_is_waited_for_some_seconds_only(dns: DnsServer) -> None:
    dns.silent.add("slow.example.com")
    started = time.monotonic()

    with pytest.raises(DnsError):
        Lookup(dns.address).texts("slow.example.com")

    assert time.monotonic() - started < 15


def test_the_first_key_is_put_to_use_when_its_record_is_seen(
    ctx: Context, dns: DnsServer, domain: SendingDomain
) -> None:
    domain_service.check_now(ctx, domain.id)
    assert [key.is_active for key in keys_of(ctx, domain)] == [False]
    publish(ctx, dns, domain)

    domain_service.check_now(ctx, domain.id)

    assert [key.is_active for key in keys_of(ctx, domain)] == [True]


def test_a_key_whose_record_was_not_seen_is_not_put_to_use(ctx: Context, domain: SendingDomain) -> None:
    (key,) = keys_of(ctx, domain)

    with pytest.raises(ConflictError, match="not seen"):
        domain_service.activate_key(ctx, domain.id, key.selector)

    assert not keys_of(ctx, domain)[0].is_active


def test_keys_are_rotated_one_signing_at_a_time(ctx: Context, dns: DnsServer, domain: SendingDomain) -> None:
    publish(ctx, dns, domain)
    domain_service.check_now(ctx, domain.id)
    new = domain_service.create_key(ctx, domain.id, "rsa")
    publish(ctx, dns, domain)
    domain_service.check_now(ctx, domain.id)
    assert [key.is_active for key in keys_of(ctx, domain)] == [True, False]

    domain_service.activate_key(ctx, domain.id, new.selector)
    assert [key.is_active for key in keys_of(ctx, domain)] == [False, True]

    domain_service.retire_key(ctx, domain.id, keys_of(ctx, domain)[0].selector)
    assert [key.selector for key in keys_of(ctx, domain)] == [new.selector]
    with ctx.read() as session:
        actions = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert actions == [
        "delivery.add_domain", "delivery.add_key", "delivery.activate_key", "delivery.retire_key"
    ]  # fmt: skip


def test_both_kinds_sign_side_by_side_and_hold_for_an_independent_verifier(ctx: Context, dns: DnsServer) -> None:
    row = domain_service.create_domain(ctx, "example.com", with_ed25519=True)
    publish(ctx, dns, row)
    domain_service.check_now(ctx, row.id)

    with ctx.read() as session:
        signer = load_signer(session, ctx.keys, "news@example.com")

    assert signer is not None
    signed = signer.sign(MAIL) + MAIL
    lookup = Lookup(dns.address)

    def texts(name: bytes, **_: object) -> bytes:
        return lookup.texts(name.decode())[0].encode()

    assert [verifier.DKIM(signed).verify(idx=index, dnsfunc=texts) for index in (0, 1)] == [True, True]
    assert signed.count(b"a=rsa-sha256") == signed.count(b"a=ed25519-sha256") == 1


def test_a_sender_at_a_sub_domain_is_signed_by_the_domain_above(
    ctx: Context, dns: DnsServer, domain: SendingDomain
) -> None:
    publish(ctx, dns, domain)
    with ctx.write() as session:
        make_sender(session, from_email="news@mail.example.com")
    found = domain_service.check_now(ctx, domain.id)

    assert [(check.name, check.light) for check in found if check.kind == "alignment"] == [
        ("example.com", Light.OK), ("mail.example.com", Light.OK),
    ]  # fmt: skip
    with ctx.read() as session:
        assert load_signer(session, ctx.keys, "news@mail.example.com")
        assert load_signer(session, ctx.keys, "news@example.org") is None


def test_strict_alignment_asks_for_the_very_same_name(ctx: Context, dns: DnsServer, domain: SendingDomain) -> None:
    publish(ctx, dns, domain)
    dns.put("_dmarc.example.com", "TXT", "v=DMARC1; p=reject; adkim=s")
    with ctx.write() as session:
        make_sender(session, from_email="news@mail.example.com")

    found = domain_service.check_now(ctx, domain.id)

    assert [(check.name, check.light) for check in found if check.kind == "alignment"] == [
        ("example.com", Light.OK), ("mail.example.com", Light.FAIL),
    ]  # fmt: skip


def test_private_keys_lie_sealed_in_the_database(ctx: Context, domain: SendingDomain) -> None:
    (key,) = keys_of(ctx, domain)
    with ctx.write() as session:
        session.get_one(DkimKey, key.id).is_active = True

    assert b"\x30\x82" not in key.private_key[:40]  # no DER in the clear
    with ctx.read() as session, pytest.raises(SetupError, match="other secret keys"):
        load_signer(session, new_keys(), "news@example.com")


def test_a_domain_is_there_once(ctx: Context, domain: SendingDomain) -> None:
    with pytest.raises(ConflictError):
        domain_service.create_domain(ctx, "EXAMPLE.com")


def test_a_deleted_domain_takes_its_keys_along(ctx: Context, domain: SendingDomain) -> None:
    domain_service.delete_domain(ctx, domain.id)

    assert keys_of(ctx, domain) == []
    with ctx.read() as session, pytest.raises(NotFoundError):
        domain_queries.get_domain_by_name(session, "example.com")


def test_an_unknown_kind_of_key_is_refused(ctx: Context, domain: SendingDomain) -> None:
    with pytest.raises(InputError):
        domain_service.create_key(ctx, domain.id, "dsa")


JUDGED = [
    ("_dmarc.example.com", "TXT", ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "dmarc", Light.FAIL, "2 DMARC"),
    ("_dmarc.example.com", "TXT", ["v=DMARC1; rua=mailto:a@example.com"], "dmarc", Light.FAIL, "no policy"),
    ("_dmarc.example.com", "TXT", ["v=DMARC1;p=quarantine"], "dmarc", Light.OK, "quarantine"),
    ("bounce.example.com", "TXT", ["v=spf1 -all", "v=spf1 ~all"], "spf", Light.FAIL, "2 SPF"),
    ("bounce.example.com", "TXT", ["v=spf1 +all"], "spf", Light.FAIL, "every server"),
    ("bounce.example.com", "TXT", ["v=spf1 includes:x ~all"], "spf", Light.FAIL, "includes"),
    ("bounce.example.com", "TXT", ["v=spf1 mx ~all"], "spf", Light.WARN, "does not name the relay"),
    ("bounce.example.com", "TXT", ["v=spf1 include:sendgrid.net"], "spf", Light.WARN, "other servers"),
    ("example.com", "MX", ["0 ."], "mx", Light.FAIL, "takes no mail"),
    ("KEY", "TXT", ["v=DKIM1; k=rsa; p="], "dkim", Light.FAIL, "withdrawn"),
    ("KEY", "TXT", ["v=DKIM1; k=rsa; p=AAAA"], "dkim", Light.FAIL, "another key"),
    ("KEY", "TXT", ["hello"], "dkim", Light.FAIL, "no DKIM key"),
]  # fmt: skip


@dataclass
class Key:
    """A key as the checks see it."""

    selector: str = "r1"
    algorithm: str = "rsa"
    public_key: str = "MIIBIjANBg"


@pytest.mark.parametrize(("name", "kind", "values", "check", "light", "words"), JUDGED)
def test_a_wrong_record_is_told_by_what_is_wrong_with_it(
    dns: DnsServer, name: str, kind: str, values: list[str], check: str, light: Light, words: str
) -> None:
    setup = Setup("example.com", "bounce.example.com", ("smtp.sendgrid.net",))
    for record in list_records(setup, [Key()]):
        dns.put(record.name, record.type, record.value)
    dns.put("sendgrid.net", "TXT", "v=spf1 ip4:192.0.2.0/24 ~all")
    dns.put("r1._domainkey.example.com" if name == "KEY" else name, kind, *values)

    found = by_kind(check_domain(Lookup(dns.address), setup, [Key()], ["r1"], []))[check]

    assert found.light is light, found
    assert words in found.what


def test_the_policy_of_the_organization_applies_below_it(ctx: Context, dns: DnsServer) -> None:
    row = domain_service.create_domain(ctx, "news.example.com")
    dns.put("_dmarc.example.com", "TXT", "v=DMARC1; p=none; sp=reject")

    found = by_kind(domain_service.check_now(ctx, row.id))["dmarc"]

    assert found.light is Light.OK
    assert "organization" in found.what
    assert "p=reject" in found.what


def age(ctx: Context, row: SendingDomain, hours: int) -> None:
    with ctx.write() as session:
        there = session.get_one(SendingDomain, row.id)
        there.created_at = utc_now() - timedelta(hours=hours)
        if there.checked_at:
            there.checked_at = there.created_at


def test_what_is_left_to_do_is_looked_at_every_hour_and_the_rest_every_day(
    ctx: Context, dns: DnsServer, domain: SendingDomain
) -> None:
    assert domain_service.check_due(ctx) == []
    age(ctx, domain, 2)
    assert domain_service.check_due(ctx) == ["example.com"]  # never checked before
    publish(ctx, dns, domain)
    age(ctx, domain, 2)
    assert domain_service.check_due(ctx) == ["example.com"]  # something was missing
    assert keys_of(ctx, domain)[0].is_active
    age(ctx, domain, 2)
    assert domain_service.check_due(ctx) == []
    age(ctx, domain, 25)
    assert domain_service.check_due(ctx) == ["example.com"]


def test_a_background_check_that_nobody_answers_keeps_what_is_known(
    ctx: Context, dns: DnsServer, domain: SendingDomain
) -> None:
    publish(ctx, dns, domain)
    domain_service.check_now(ctx, domain.id)
    age(ctx, domain, 25)
    dns.broken.add("_dmarc.example.com")

    domain_service.check_due(ctx)

    with ctx.read() as session:
        (line,) = domain_queries.list_domains(session)
    assert line.light is Light.OK
    assert line.checked_at is not None
    assert line.checked_at < utc_now() - timedelta(hours=24)


def test_what_was_found_is_kept_with_its_time(ctx: Context, dns: DnsServer, domain: SendingDomain) -> None:
    publish(ctx, dns, domain)
    before = utc_now()

    domain_service.check_now(ctx, domain.id)

    with ctx.read() as session:
        (line,) = domain_queries.list_domains(session)
        standing = domain_queries.find_standing(session, "news@example.com")
    assert (line.domain, line.keys, line.light) == ("example.com", 1, Light.OK)
    assert line.checked_at is not None
    assert line.checked_at >= before
    assert replace(standing, checked_at=None) == Standing(
        "example.com", has_key=True, dkim=Light.OK, dmarc=Light.OK, is_aligned=True
    )


def test_nobody_is_asked_while_a_transaction_is_open(ctx: Context, dns: DnsServer, domain: SendingDomain) -> None:
    """The second look, which writes, is answered from the first."""
    publish(ctx, dns, domain)

    domain_service.check_now(ctx, domain.id)

    assert len(dns.asked) == len(set(dns.asked))


@pytest.mark.parametrize("servers", ["localhost", "192.0.2.1:port", "ns.example.com:53", "1.2.3.4,,"])
def test_a_server_that_is_no_address_is_refused(servers: str) -> None:
    with pytest.raises(InputError):
        Lookup(servers)


def test_the_lookup_is_what_the_checks_ask(dns: DnsServer) -> None:
    lookup: Dns = Lookup(f"{dns.address}")
    dns.put("example.com", "A", "192.0.2.1")

    assert lookup.has_address("example.com")
    assert not lookup.has_address("example.net")
    assert lookup.texts("a" * 70 + ".example.com") == []
