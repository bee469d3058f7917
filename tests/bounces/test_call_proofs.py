"""A call must prove that it is its provider's, each in its own way; what does not is refused and not stored."""

import base64
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import select

from mailer.bounces import certificates
from mailer.bounces.webhooks.call import Call
from mailer.bounces.webhooks.proof import Door
from mailer.bounces.webhooks.providers import BY_PASSWORD, verify_call
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import UntrustedRequestError
from mailer.schema.bounces import WebhookCall, WebhookEndpoint
from mailer.statuses import Provider
from tests.bounces.callers import (
    EC,
    HARD,
    RSA,
    Sent,
    certificate,
    mailgun,
    open_door,
    post,
    ses_bounce,
    show_key,
    sign_sns,
    sns,
    svix,
)
from tests.support.engines import on_one_engine
from tests.support.webserver import serve_pages

ADDRESS = "https://mail.example.com/webhooks/x/token"
BODY_IS_SIGNED = (Provider.SENDGRID, Provider.MAILERSEND, Provider.RESEND, Provider.MANDRILL, Provider.SES)


@pytest.fixture
def web(ctx: Context) -> Iterator[str]:
    with serve_pages(ctx) as address:
        yield address


def make_door(provider: Provider) -> Door:
    name, password = ("mailer", "word") if provider in BY_PASSWORD else ("", "")
    return Door(ADDRESS, utc_now(), HARD[provider][0], name, password, lambda _: certificate())


def make_call(provider: Provider) -> Call:
    with_password = ADDRESS.replace("//", "//mailer:word@")
    return as_call(HARD[provider][1](with_password if provider in BY_PASSWORD else ADDRESS))


def as_call(sent: Sent) -> Call:
    headers = {name.lower(): value for name, value in sent[1].items()}
    return Call(sent[0], headers["content-type"], headers)


def with_another_secret(provider: Provider, door: Door) -> Door:
    """The same endpoint, had a stranger's key signed the call."""
    if provider in BY_PASSWORD:
        return replace(door, password="another")
    if provider is Provider.SES:
        another = certificate(rsa.generate_private_key(65537, 2048))
        return replace(door, certificate=lambda _: another)
    if provider is Provider.SENDGRID:
        return replace(door, key=show_key(ec.generate_private_key(ec.SECP256R1())))
    return replace(door, key=base64.b64encode(b"another").decode())


def without_proof(provider: Provider, call: Call) -> Call:
    """The same call with nothing that proves it."""
    body = call.body
    if provider in (Provider.SES, Provider.MAILGUN):
        fields = json.loads(body)
        body = json.dumps({name: fields[name] for name in fields if name.lower() != "signature"}).encode()
    return Call(body, call.content_type, {"content-type": call.content_type})


@pytest.mark.parametrize("provider", Provider)
def test_a_call_as_the_provider_sends_it_is_trusted(provider: Provider) -> None:
    verify_call(provider, make_call(provider), make_door(provider))


@pytest.mark.parametrize("provider", Provider)
def test_a_call_that_a_stranger_signed_is_refused(provider: Provider) -> None:
    with pytest.raises(UntrustedRequestError):
        verify_call(provider, make_call(provider), with_another_secret(provider, make_door(provider)))


@pytest.mark.parametrize("provider", Provider)
def test_a_call_without_proof_is_refused(provider: Provider) -> None:
    with pytest.raises(UntrustedRequestError):
        verify_call(provider, without_proof(provider, make_call(provider)), make_door(provider))


@pytest.mark.parametrize("provider", BODY_IS_SIGNED)
def test_a_changed_body_is_refused_where_the_body_is_signed(provider: Provider) -> None:
    call = make_call(provider)

    with pytest.raises(UntrustedRequestError):
        verify_call(provider, replace(call, body=call.body.replace(b"ada", b"bob")), make_door(provider))


@pytest.mark.parametrize("provider", BY_PASSWORD)
def test_an_endpoint_without_a_password_takes_no_call(provider: Provider) -> None:
    door = replace(make_door(provider), username="", password="")

    for given in ("Basic Og==", "Basic", "Bearer ", ""):
        with pytest.raises(UntrustedRequestError):
            verify_call(provider, Call(b"{}", headers={"authorization": given}), door)


def test_an_endpoint_without_a_key_takes_no_call() -> None:
    """An HMAC with an empty key could be made by anybody."""
    signed = Call(b"{}", headers={"signature": hmac.new(b"", b"{}", "sha256").hexdigest()})

    with pytest.raises(UntrustedRequestError):
        verify_call(Provider.MAILERSEND, signed, replace(make_door(Provider.MAILERSEND), key=""))


@pytest.mark.parametrize("ago", [timedelta(days=4), timedelta(days=-4)])
def test_a_token_of_mailgun_is_too_old_after_three_days(ago: timedelta) -> None:
    """Its body is not signed: kept for longer than we know its token, it could come with another body."""
    stamp = str(int((utc_now() - ago).timestamp()))

    with pytest.raises(UntrustedRequestError):
        verify_call(Provider.MAILGUN, as_call(mailgun("t", stamp, event="complained")), make_door(Provider.MAILGUN))


def test_a_call_of_resend_is_too_old_after_five_minutes() -> None:
    stamp = str(int((utc_now() - timedelta(minutes=6)).timestamp()))

    with pytest.raises(UntrustedRequestError):
        verify_call(Provider.RESEND, as_call(svix({}, stamp)), make_door(Provider.RESEND))


def test_a_call_of_mandrill_to_another_address_is_refused() -> None:
    door = replace(make_door(Provider.MANDRILL), url=ADDRESS + "2")

    with pytest.raises(UntrustedRequestError):
        verify_call(Provider.MANDRILL, make_call(Provider.MANDRILL), door)


def test_a_call_of_another_topic_of_amazons_is_refused() -> None:
    with pytest.raises(UntrustedRequestError):
        verify_call(Provider.SES, make_call(Provider.SES), replace(make_door(Provider.SES), key="arn:another"))


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_amazons_signature_are_read(version: str) -> None:
    verify_call(Provider.SES, as_call(sns(ses_bounce(), version=version)), make_door(Provider.SES))


@pytest.mark.parametrize("key", ["no key", show_key(RSA)], ids=["none", "rsa"])
def test_a_key_of_another_kind_is_refused_for_sendgrid(key: str) -> None:
    with pytest.raises(UntrustedRequestError):
        verify_call(Provider.SENDGRID, make_call(Provider.SENDGRID), replace(make_door(Provider.SENDGRID), key=key))


@pytest.mark.parametrize("pem", [b"none", certificate(EC)], ids=["none", "ec"])
def test_a_certificate_of_another_kind_is_refused_for_amazon(pem: bytes) -> None:
    door = replace(make_door(Provider.SES), certificate=lambda _: pem)

    with pytest.raises(UntrustedRequestError):
        verify_call(Provider.SES, make_call(Provider.SES), door)


# ------------------------------------------------------------------ over HTTP


@on_one_engine
def test_what_does_not_prove_itself_is_answered_400_and_not_stored(ctx: Context, web: str) -> None:
    for provider, (key, make) in HARD.items():
        path, address = open_door(ctx, provider, key)
        call = without_proof(provider, as_call(make(address)))
        for body in (call.body, b"{}", b"\xff\x00"):
            assert post(web, path, (body, dict(call.headers))) == 400, (provider, body)

    with ctx.read() as session:
        assert session.scalars(select(WebhookCall.id)).all() == []
        assert {one.refused for one in session.scalars(select(WebhookEndpoint))} == {3}


@on_one_engine
def test_a_token_of_mailgun_counts_once(ctx: Context, web: str) -> None:
    """Its body is not signed: with another body the same signature changes nothing."""
    path, _ = open_door(ctx, Provider.MAILGUN, "k")

    assert post(web, path, mailgun("t1", event="delivered")) == 200
    assert post(web, path, mailgun("t1", event="complained", recipient="ada@example.org")) == 200

    with ctx.read() as session:
        assert len(session.scalars(select(WebhookCall.id)).all()) == 1


@pytest.mark.parametrize(
    "url",
    ["https://sns.eu-west-1.amazonaws.com.example.net/x.pem", "https://example.net/sns.eu-west-1.amazonaws.com/x.pem",
     "http://sns.eu-west-1.amazonaws.com/x.pem", "https://sns.eu-west-1.amazonaws.com@example.net/x.pem",
     "https://s3.amazonaws.com/bucket/x.pem", "https://127.0.0.1/x.pem", "https://sns.eu-west-1.amazonaws.com/x.txt",
     ""],
)  # fmt: skip
def test_a_certificate_comes_from_amazon_alone(url: str) -> None:
    with pytest.raises(UntrustedRequestError):
        certificates.fetch_certificate(url)


@on_one_engine
def test_a_subscription_is_confirmed_at_amazon_alone(ctx: Context, web: str) -> None:
    """The signature fits, but the address to confirm is somebody else's: nothing is fetched."""
    path, _ = open_door(ctx, Provider.SES)
    fields = {"Type": "SubscriptionConfirmation", "Message": "m", "Token": "t"}

    assert post(web, path, sign_sns({**fields, "SubscribeURL": "https://127.0.0.1/confirm"})) == 400
