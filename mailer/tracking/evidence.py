"""What a request tells about who made it: program, device, network. Pure; nothing is looked up outside.

Programs and devices are named by the `ua-parser` package. Networks are a short list of addresses that the services
publish for their own mail systems; it says where a request came from, and only hosts that filter mail decide anything.
"""

import bisect
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from ua_parser import parse
from ua_parser.core import Device as ParsedDevice

COMPUTER, PHONE, TABLET = "computer", "phone", "tablet"
MAX_PROGRAM = 60
_COMPUTERS = ("Windows", "Mac OS X", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS", "FreeBSD", "OpenBSD")
_PHONES = ("iOS", "Android", "Windows Phone", "KaiOS", "HarmonyOS")
_REMEMBERED = 8_192

FILTERS: dict[str, tuple[str, ...]] = {
    "barracuda": ("209.222.80.0/21", "64.235.144.0/20"),
    "microsoft_mail": (
        "40.92.0.0/15",
        "40.107.0.0/16",
        "52.100.0.0/14",
        "104.47.0.0/17",
        "2a01:111:f400::/48",
        "2a01:111:f403::/48",
    ),
    "mimecast": ("205.139.110.0/24", "207.211.30.0/23"),
    "proofpoint": ("67.231.144.0/20", "148.163.128.0/19"),
}
"""Hosts of services that filter mail: nobody reads there."""
OTHERS: dict[str, tuple[str, ...]] = {
    "apple": ("17.0.0.0/8",),
    "google": ("64.233.160.0/19", "66.102.0.0/20", "66.249.64.0/19", "72.14.192.0/18", "74.125.0.0/16"),
}
"""Networks that are shown beside a hit, and decide nothing by themselves: people come from there, too."""


@dataclass(frozen=True, slots=True)
class Agent:
    """What a user agent names: a program such as "Firefox on Linux", and computer, phone, tablet or nothing."""

    program: str = ""
    device: str = ""


@lru_cache(_REMEMBERED)
def read_agent(user_agent: str) -> Agent:
    """Return the program and device of a user agent; empty for one that names neither."""
    found = parse(user_agent)
    family = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    if family == "Mobile Safari UI/WKWebView":
        family = "Apple Mail"  # the mail program of a phone shows itself by its engine alone
    if "MailProxy" in family or "ImageProxy" in family:
        return Agent(family[:MAX_PROGRAM])  # the system that a proxy names is nobody's
    program = f"{family} on {system}" if family and system else family or system
    return Agent(program[:MAX_PROGRAM], _device(system, found.device))


def _device(system: str, device: ParsedDevice | None) -> str:
    model = f"{device.family} {device.brand} {device.model}" if device else ""
    if "Spider" in model:
        return ""
    if "iPad" in model or "Tablet" in model:
        return TABLET
    if system in _PHONES:
        return PHONE
    return COMPUTER if system in _COMPUTERS else ""


@lru_cache(_REMEMBERED)
def find_network(ip: str) -> str:
    """Return the name of the known network that an IP lies in, a shortened one (`192.0.2.0/24`) too; else empty."""
    if ":" not in ip and ip.partition(".")[0] not in _FIRST_BYTES:
        return ""  # most are nobody's we know, and reading them takes long
    try:
        address = ip_address(ip.partition("/")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    ranges = _RANGES[address.version]
    place = bisect.bisect_right(ranges, (int(address), 1 << 128, "")) - 1
    if place < 0 or int(address) > ranges[place][1]:
        return ""
    return ranges[place][2]


def _ranges(version: int) -> list[tuple[int, int, str]]:
    found = [
        (int(network.network_address), int(network.broadcast_address), name)
        for name, networks in (FILTERS | OTHERS).items()
        for network in map(ip_network, networks)
        if network.version == version
    ]
    return sorted(found)


_RANGES = {4: _ranges(4), 6: _ranges(6)}
_FIRST_BYTES = {str(byte) for first, last, _ in _RANGES[4] for byte in range(first >> 24, (last >> 24) + 1)}


def cut_ip(ip: str) -> str:
    """Return the network of an IP: /24 or /48; nothing where it is none."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None) or address
    return str(ip_network((mapped, _KEPT_BITS[mapped.version]), strict=False))


_KEPT_BITS = {4: 24, 6: 48}
