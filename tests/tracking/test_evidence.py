"""What a request tells: program, device, network; an IP shortened."""

import pytest

from mailer.tracking.evidence import COMPUTER, PHONE, TABLET, cut_ip, find_network, read_agent
from tests.tracking.simulated import CHROME, FIREFOX, GMAIL, IPHONE, OUTLOOK, YAHOO

IPAD = (
    "Mozilla/5.0 (iPad; CPU OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 "
    "Mobile/15E148 Safari/604.1"
)


@pytest.mark.parametrize(
    ("agent", "program", "device"),
    [
        (FIREFOX, "Firefox on Linux", COMPUTER),
        (CHROME, "Chrome on Windows", COMPUTER),
        (OUTLOOK, "Outlook on Windows", COMPUTER),
        (IPHONE, "Apple Mail on iOS", PHONE),
        (GMAIL, "GmailImageProxy", ""),
        (YAHOO, "YahooMailProxy", ""),
        (IPAD, "Mobile Safari on iOS", TABLET),
        ("Mozilla/5.0", "", ""),
        ("", "", ""),
        ("<script>alert(1)</script>", "", ""),
        ("x" * 500, "", ""),
    ],
)
def test_a_user_agent_names_program_and_device(agent: str, program: str, device: str) -> None:
    found = read_agent(agent)

    assert (found.program, found.device) == (program, device)


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("209.222.80.0", "barracuda"),
        ("209.222.87.255", "barracuda"),
        ("209.222.88.0", ""),
        ("::ffff:40.107.1.2", "microsoft_mail"),
        ("2a01:111:f400::1", "microsoft_mail"),
        ("2a01:112::1", ""),
        ("17.58.1.1", "apple"),
        ("40.107.1.0/24", "microsoft_mail"),
        ("192.0.2.1", ""),
        ("", ""),
        ("***", ""),
        ("1.2.3.4.5", ""),
    ],
)
def test_an_ip_lies_in_a_known_network_or_in_none(ip: str, network: str) -> None:
    assert find_network(ip) == network


@pytest.mark.parametrize(
    ("ip", "kept"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_a_shortened_ip_is_its_network(ip: str, kept: str) -> None:
    assert cut_ip(ip) == kept
