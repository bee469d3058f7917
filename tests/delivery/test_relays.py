"""Addresses of relays: read, or refused with every reason and no secret."""

import pytest

from mailer.delivery.relays import Relay, Tls, parse_relay
from mailer.errors import InputError


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://127.0.0.1:2525", Relay("127.0.0.1", 2525, Tls.NONE)),
        ("smtp://[::1]:2525", Relay("::1", 2525, Tls.NONE)),
        ("smtp://localhost", Relay("localhost", 25, Tls.NONE)),
        ("smtp://relay.example.com", Relay("relay.example.com", 25, Tls.STARTTLS)),
        ("smtp://relay.example.com:587?starttls=yes", Relay("relay.example.com", 587, Tls.STARTTLS)),
        ("smtp://relay.example.com?starttls=no", Relay("relay.example.com", 25, Tls.NONE)),
        ("smtps://ann%40x:p%3A%2Fw@relay.example.com", Relay("relay.example.com", 465, Tls.IMPLICIT, "ann@x", "p:/w")),
        ("smtps://relay.example.com?ca_file=/ca.pem", Relay("relay.example.com", 465, Tls.IMPLICIT, ca_file="/ca.pem")),
    ],
)  # fmt: skip
def test_a_relay_is_read(url: str, relay: Relay) -> None:
    assert parse_relay(url) == relay


@pytest.mark.parametrize(
    "url",
    ["", "relay.example.com", "http://relay.example.com", "smtp://", "smtp://x.example:99999", "smtp://x.example:abc",
     "smtp://x.example?starttls=maybe", "smtp://x.example?tls=yes", "smtp://ann:hunter2@x.example?starttls=no"],
)  # fmt: skip
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_relay(url)

    assert "hunter2" not in str(caught.value)


def test_every_problem_of_a_url_is_reported() -> None:
    with pytest.raises(InputError) as caught:
        parse_relay("smtp://ann:pw@relay.example.com:0x1?starttls=no&color=red")

    assert len(caught.value.problems) == 3
