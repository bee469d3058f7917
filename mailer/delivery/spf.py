"""Read an SPF record as a receiver does (RFC 7208): its terms, its includes, and how many look-ups it costs. Pure."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LOOKUP_LIMIT = 10  # RFC 7208, section 4.6.4
_TERM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)(?P<colon>:[^\s/]*)?(?P<prefix>/[0-9/]+)?",
    re.IGNORECASE,
)
_IP_TERM = re.compile(r"(?P<qualifier>[+?~-]?)(?P<name>ip4|ip6):(?P<network>\S+)", re.IGNORECASE)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>\S*)", re.IGNORECASE)
_COSTLY = frozenset({"include", "a", "mx", "ptr", "exists"})

Texts = Callable[[str], Sequence[str]]
"""TXT records of a name, empty where there are none; raises where nobody answers."""


@dataclass
class SpfReport:
    """What a record says.

    Attributes:
        errors: Why receivers treat it as broken (permerror).
        lookups: DNS look-ups of the record and all that it includes.
        includes: Every name included, by whomever.
        catch_all: Qualifier of `all`: `+`, `-`, `~`, `?`; empty where the record does not end.
    """

    errors: list[str] = field(default_factory=list)
    lookups: int = 0
    includes: list[str] = field(default_factory=list)
    catch_all: str = ""
    has_ptr: bool = False


def find_spf(records: Sequence[str]) -> list[str]:
    """Return the TXT records that are SPF records (RFC 7208, section 4.5)."""
    return [record for record in records if record.lower() == "v=spf1" or record.lower().startswith("v=spf1 ")]


def read_spf(domain: str, record: str, texts: Texts) -> SpfReport:
    """Return what `record` of `domain` says; includes are followed until the limit is passed."""
    report = SpfReport()
    _read(domain, record, texts, report, is_top=True)
    if report.lookups > LOOKUP_LIMIT:
        report.errors.append(f"it costs more than {LOOKUP_LIMIT} DNS look-ups with all that it includes")
    return report


def _read(domain: str, record: str, texts: Texts, report: SpfReport, *, is_top: bool) -> None:
    redirect = ""
    has_all = False
    for term in record.split()[1:]:
        mechanism = _mechanism(term)
        if mechanism is None:
            modifier = _MODIFIER.fullmatch(term)
            if modifier is None:
                report.errors.append(f"“{term}” in the record of {domain} is not understood")
            elif modifier["name"].lower() == "redirect":
                redirect = modifier["value"]
            continue
        qualifier, name, target = mechanism
        if name == "all":
            has_all = True
            report.catch_all = qualifier if is_top else report.catch_all
        report.has_ptr = report.has_ptr or name == "ptr"
        report.lookups += name in _COSTLY
        if name == "include":
            _follow(target, texts, report, is_top=False)
    if redirect and not has_all:
        report.lookups += 1
        _follow(redirect, texts, report, is_top=is_top)


def _mechanism(term: str) -> tuple[str, str, str] | None:
    """Return qualifier, name and target of a mechanism; None where it is none."""
    network = _IP_TERM.fullmatch(term)
    if network is not None:
        return (network["qualifier"] or "+", network["name"].lower(), "") if _is_network(network) else None
    found = _TERM.fullmatch(term)
    if found is None:
        return None
    name, target = found["name"].lower(), (found["colon"] or "")[1:]
    needs_target = name in {"include", "exists", "ip4", "ip6"}
    if (needs_target and not target) or (name == "all" and (found["colon"] or found["prefix"])):
        return None
    return found["qualifier"] or "+", name, target


def _is_network(term: re.Match[str]) -> bool:
    kind = ipaddress.IPv4Network if term["name"].lower() == "ip4" else ipaddress.IPv6Network
    try:
        kind(term["network"], strict=False)
    except ValueError:
        return False
    return True


def _follow(name: str, texts: Texts, report: SpfReport, *, is_top: bool) -> None:
    """Read the record of an included name; one with macros depends on the mail and is not followed."""
    report.includes.append(name.lower().rstrip("."))
    if "%" in name or report.lookups > LOOKUP_LIMIT:
        return
    found = find_spf(texts(name))
    if len(found) != 1:
        report.errors.append(f"{name}, which it includes, has {len(found) or 'no'} SPF record{'s' * (len(found) > 1)}")
        return
    _read(name, found[0], texts, report, is_top=is_top)
