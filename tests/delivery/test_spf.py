"""SPF records are read as receivers read them (RFC 7208)."""

import pytest

from mailer.delivery.spf import SpfReport, find_spf, read_spf

ZONE = {
    "relay.example.net": ["v=spf1 ip4:192.0.2.0/24 include:more.example.net ~all"],
    "more.example.net": ["v=spf1 ip6:2001:db8::/32 a:out.example.net -all"],
    "loop.example.net": ["v=spf1 include:loop.example.net -all"],
    "two.example.net": ["v=spf1 -all", "v=spf1 ~all"],
    "none.example.net": ["some other text"],
}


def read(record: str) -> SpfReport:
    return read_spf("example.com", record, lambda name: ZONE.get(name, []))


def test_only_texts_of_version_one_are_spf_records() -> None:
    assert find_spf(["v=spf1 -all", "v=spf10 -all", "V=SPF1 mx", "v=spf1", "spf1", "x v=spf1 -all"]) == [
        "v=spf1 -all", "V=SPF1 mx", "v=spf1",
    ]  # fmt: skip


def test_includes_are_followed_and_counted() -> None:
    report = read("v=spf1 mx include:relay.example.net ~all")

    assert report.errors == []
    assert report.lookups == 4  # mx, two includes, one a
    assert report.includes == ["relay.example.net", "more.example.net"]
    assert report.catch_all == "~"


def test_the_end_of_an_included_record_is_not_ours() -> None:
    assert read("v=spf1 include:more.example.net").catch_all == ""


def test_a_redirect_brings_its_end_with_it() -> None:
    assert read("v=spf1 redirect=more.example.net").catch_all == "-"


def test_a_redirect_beside_all_is_ignored() -> None:
    assert read("v=spf1 redirect=none.example.net ~all").errors == []


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 " + " ".join(f"a:h{n}.example.com" for n in range(11)) + " -all",
        "v=spf1 include:loop.example.net -all",
    ],
)
def test_more_than_ten_look_ups_are_an_error(record: str) -> None:
    assert any("more than 10" in error for error in read(record).errors)


def test_ten_look_ups_are_none() -> None:
    assert read("v=spf1 " + " ".join(f"a:h{n}.example.com" for n in range(10)) + " -all").errors == []


@pytest.mark.parametrize("name", ["two.example.net", "none.example.net", "absent.example.net"])
def test_an_include_without_exactly_one_record_is_an_error(name: str) -> None:
    (error,) = read(f"v=spf1 include:{name} -all").errors

    assert name in error


@pytest.mark.parametrize(
    "term",
    ["include", "include:", "ip4", "ip4:example.com", "ip4:300.1.1.1", "ip6:192.0.2.1", "all:x", "fail", "-",
     "ipv4:1.2.3.4", "exists:", "a;", "ip4:192.0.2.0/40"],
)  # fmt: skip
def test_a_term_that_nobody_understands_is_an_error(term: str) -> None:
    (error,) = read(f"v=spf1 {term} -all").errors

    assert term in error


@pytest.mark.parametrize(
    "term",
    ["a", "A/24", "mx/24//64", "a:host.example.com/24", "+mx", "?ip4:192.0.2.1", "ip6:2001:db8::1/64", "ptr",
     "exists:%{i}.spf.example.com", "exp=why.example.com", "other=unknown", "include:%{d}.example.net"],
)  # fmt: skip
def test_every_term_of_the_standard_is_understood(term: str) -> None:
    assert read(f"v=spf1 {term} -all").errors == []
