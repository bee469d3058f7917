"""Names, records and alignment of sending domains."""

from dataclasses import dataclass

import pytest

from mailer.delivery.domains import (
    Setup,
    candidates,
    check_domain_name,
    is_aligned,
    is_special,
    list_records,
    organizational_domain,
)
from mailer.errors import InputError


@dataclass
class Key:
    selector: str = "r1"
    algorithm: str = "rsa"
    public_key: str = "M" * 392


def test_a_long_key_is_cut_into_strings_of_255_bytes() -> None:
    record = list_records(Setup("example.com", "bounce.example.com"), [Key()])[0]

    assert record.name == "r1._domainkey.example.com"
    assert [len(part) for part in record.strings] == [255, len(record.value) - 255]
    assert "".join(record.strings) == record.value == "v=DKIM1; k=rsa; p=" + "M" * 392
    assert record.zone_line.count('"') == 4


def test_spf_stands_where_receivers_read_it_at_the_envelope_sender() -> None:
    records = list_records(Setup("example.com", "bounce.example.com", ("email-smtp.eu-west-1.amazonaws.com",)), [])

    spf = next(record for record in records if record.kind == "spf")
    assert spf.name == "bounce.example.com"
    assert spf.value == "v=spf1 include:amazonses.com ~all"


def test_an_unknown_relay_is_named_by_its_host() -> None:
    records = list_records(Setup("example.com", "bounce.localhost", ("smtp.relay.example.net", "127.0.0.1")), [])

    spf = next(record for record in records if record.kind == "spf")
    assert (spf.name, spf.value) == ("example.com", "v=spf1 a:smtp.relay.example.net ~all")


@pytest.mark.parametrize(
    ("one", "other", "is_strict", "expected"),
    [
        ("example.com", "example.com", True, True),
        ("news.example.com", "example.com", False, True),
        ("news.example.com", "bounce.example.com", False, True),
        ("news.example.com", "example.com", True, False),
        ("example.com", "example.net", False, False),
        ("a.co.uk", "b.co.uk", False, False),
        ("x.a.co.uk", "a.co.uk", False, True),
        ("notexample.com", "example.com", False, False),
        ("com", "com", False, True),
        ("EXAMPLE.com", "example.COM", False, True),
    ],
)
def test_alignment_is_that_of_dmarc(one: str, other: str, *, is_strict: bool, expected: bool) -> None:
    assert is_aligned(one, other, is_strict=is_strict) is expected


def test_the_organization_of_a_public_suffix_is_nobody() -> None:
    assert organizational_domain("co.uk") is None
    assert organizational_domain("deep.down.example.co.uk") == "example.co.uk"


def test_a_mail_may_be_signed_by_every_domain_up_to_the_organization() -> None:
    assert candidates("a.b.example.co.uk") == ["a.b.example.co.uk", "b.example.co.uk", "example.co.uk"]
    assert candidates("co.uk") == ["co.uk"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Example.COM. ", "example.com"),
        ("@news.example.com", "news.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_domain_is_kept_in_its_normal_form(given: str, expected: str) -> None:
    assert check_domain_name(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        "",
        "com",
        "co.uk",
        "gmail.com",
        "ada@example.com",
        "exa mple.com",
        "-a.example.com",
        "192.0.2.1",
        "a" * 300,
        "a..b.com",
    ],
)
def test_what_mails_cannot_come_from_is_refused_with_a_mend(given: str) -> None:
    with pytest.raises(InputError) as caught:
        check_domain_name(given)

    assert caught.value.problems[0].where == "domain"
    assert caught.value.problems[0].mend


@pytest.mark.parametrize("name", ["", "localhost", "bounce.localhost", "printer.local", "127.0.0.1"])
def test_special_names_are_not_asked_for(name: str) -> None:
    assert is_special(name)
