"""Sending domains: which records they publish, which name belongs to which organization. Pure.

Alignment is DMARC's (RFC 7489, section 3.1): relaxed asks for the same organizational domain, strict for the same name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

import idna
from publicsuffixlist import PublicSuffixList

from mailer.addresses import FREEMAIL_DOMAINS
from mailer.errors import InputError, MailerError

_STRING_LIMIT = 255  # of one character-string in a TXT record (RFC 1035, section 3.3.14)
_NAME_LIMIT = 253
RELAY_INCLUDES = {
    "amazonaws.com": "amazonses.com",
    "brevo.com": "spf.brevo.com",
    "gmail.com": "_spf.google.com",
    "google.com": "_spf.google.com",
    "mailersend.net": "_spf.mailersend.net",
    "mailgun.org": "mailgun.org",
    "mailjet.com": "spf.mailjet.com",
    "mandrillapp.com": "spf.mandrillapp.com",
    "office365.com": "spf.protection.outlook.com",
    "postmarkapp.com": "spf.mtasv.net",
    "sendgrid.net": "sendgrid.net",
    "sparkpostmail.com": "sparkpostmail.com",
}
"""What an SPF record includes for a relay, by the last labels of the relay's host."""


class Light(StrEnum):
    """How a check ended; `unknown`: the name server did not answer, so nothing is known."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class DnsError(MailerError):
    """The name servers did not answer, or only with a failure: nothing is known."""


class Dns(Protocol):
    """What the checks ask. An empty answer means that there is no such record; DnsError that nothing is known."""

    def texts(self, name: str) -> Sequence[str]:
        """Return the TXT records of `name`, each with its strings joined (RFC 7208, section 3.3)."""

    def exchanges(self, name: str) -> Sequence[str]:
        """Return the hosts of the MX records of `name`; `.` is the null MX (RFC 7505)."""

    def has_address(self, name: str) -> bool:
        """Whether `name` has an A or AAAA record."""


@dataclass(frozen=True)
class Check:
    """One finding about a domain.

    Attributes:
        kind: mx, spf, dkim, dmarc, bounce_mx, bounce_spf or alignment; `name` is the DNS name that was asked.
        what: What was found, for somebody who runs campaigns; `mend` what to do about it.
        selector: Of a DKIM key, else empty.
    """

    kind: str
    name: str
    light: Light
    what: str
    mend: str = ""
    selector: str = ""

    def as_data(self) -> dict[str, str]:
        """Return what `sending_domain.checks` keeps."""
        return {
            "kind": self.kind,
            "name": self.name,
            "light": self.light.value,
            "what": self.what,
            "mend": self.mend,
            "selector": self.selector,
        }


def read_checks(stored: dict[str, Any]) -> list[Check]:
    """Return the findings in `sending_domain.checks`."""
    return [Check(**{**data, "light": Light(data["light"])}) for data in stored.get("checks", ())]


def worst_light(checks: Iterable[Check]) -> Light | None:
    """Return the light of a whole domain; None where nothing was checked."""
    order = (Light.FAIL, Light.UNKNOWN, Light.WARN, Light.OK)
    lights = {check.light for check in checks}
    return next((light for light in order if light in lights), None)


@dataclass(frozen=True)
class Standing:
    """What is known of the domain that mails of a sender are signed as, from the last checks.

    `domain` is empty where none is set up; the lights are None where nothing was checked.
    """

    domain: str = ""
    has_key: bool = False
    dkim: Light | None = None
    dmarc: Light | None = None
    is_aligned: bool = False
    checked_at: datetime | None = None


@dataclass(frozen=True)
class Record:
    """A DNS record to publish; `why` says what it is good for. `selector` names the DKIM key it belongs to."""

    kind: str
    name: str
    type: str
    value: str
    why: str
    selector: str = ""
    strings: tuple[str, ...] = field(default=())

    @property
    def zone_line(self) -> str:
        """The record as a zone file holds it (RFC 1035, section 5.1): a long text in several strings."""
        if self.type != "TXT":
            return f"{self.name}. IN {self.type} {self.value}"
        return f"{self.name}. IN TXT " + " ".join(f'"{part}"' for part in self.strings)


def text_record(kind: str, name: str, value: str, why: str, *, selector: str = "") -> Record:
    """Return a TXT record with its value cut into strings of at most 255 bytes."""
    strings = tuple(value[at : at + _STRING_LIMIT] for at in range(0, len(value), _STRING_LIMIT))
    return Record(kind, name, "TXT", value, why, selector, strings)


class PublicKey(Protocol):
    """What a record needs to know of a key."""

    selector: str
    algorithm: str
    public_key: str


@dataclass(frozen=True)
class Setup:
    """What the records of a domain depend on. `relay_hosts` is empty where no relay is set."""

    domain: str
    bounce_domain: str
    relay_hosts: tuple[str, ...] = ()

    @property
    def envelope_domain(self) -> str:
        """The domain whose SPF record receivers read: that of the envelope sender (RFC 7208, section 2.4)."""
        return self.domain if is_special(self.bounce_domain) else self.bounce_domain


def list_records(setup: Setup, keys: Sequence[PublicKey]) -> list[Record]:
    """Return the records to publish, in the order in which a person would."""
    domain = setup.domain
    why_key = "Receivers verify our signature with it, so that they know the mail is yours."
    records = [
        text_record(
            "dkim",
            dkim_name(key.selector, domain),
            f"v=DKIM1; k={key.algorithm}; p={key.public_key}",
            why_key,
            selector=key.selector,
        )
        for key in keys
    ]
    why_spf = "It names the servers that may send for the domain. If there is such a record already, put ours into it."
    terms = " ".join(spf_terms(setup.relay_hosts))
    records.append(text_record("spf", setup.envelope_domain, f"v=spf1 {terms} ~all", why_spf))
    why_policy = "It tells receivers what to do with mails that pretend to be yours; the large ones ask for one."
    policy = f"v=DMARC1; p=none; rua=mailto:dmarc@{domain}"
    records.append(text_record("dmarc", f"_dmarc.{domain}", policy, why_policy))
    return records


def dkim_name(selector: str, domain: str) -> str:
    """Return the DNS name of a key's record (RFC 6376, section 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def relay_include(relay_host: str) -> str:
    """Return what a well-known relay wants included in SPF; empty for others."""
    return next((name for tail, name in RELAY_INCLUDES.items() if f".{relay_host}".endswith(f".{tail}")), "")


def spf_terms(relay_hosts: Sequence[str]) -> list[str]:
    """Return the parts of an SPF record that name the relays; `mx` where none is known."""
    terms = []
    for host in relay_hosts:
        included = relay_include(host)
        if included or not is_special(host):
            terms.append(f"include:{included}" if included else f"a:{host}")
    return list(dict.fromkeys(terms)) or ["mx"]


def check_domain_name(text: str) -> str:
    """Return a domain as lower-case A-labels (RFC 5890).

    Raises:
        InputError: no domain name, a public suffix, a free mailbox provider's, or a name reserved for tests.
    """
    given = text.strip().rstrip(".").lower().removeprefix("@")
    try:
        domain = idna.encode(given, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise InputError(f"{text.strip()!r} is not a domain", where="domain", mend="write it as example.com") from error
    if "." not in domain or len(domain) > _NAME_LIMIT or domain.replace(".", "").isdecimal():
        raise InputError(f"{text.strip()!r} is not a domain", where="domain", mend="write it as example.com")
    if organizational_domain(domain) is None:
        raise InputError(f"anybody may register names under {domain}", where="domain", mend="name a domain of your own")
    if domain in FREEMAIL_DOMAINS:
        raise InputError(
            f"{domain} belongs to a mailbox provider; mails from it are refused when another server sends them",
            where="domain",
            mend="send from a domain of your own",
        )
    return domain


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(maxsize=1024)
def organizational_domain(domain: str) -> str | None:
    """Return the name that an organization registered (RFC 7489, section 3.2); None for a public suffix itself."""
    found: str | None = _suffixes().privatesuffix(domain.lower().rstrip("."))
    return found


def is_aligned(one: str, other: str, *, is_strict: bool = False) -> bool:
    """Whether two domains are aligned in the sense of DMARC (RFC 7489, section 3.1)."""
    one, other = one.lower(), other.lower()
    if one == other or is_strict:
        return one == other
    organization = organizational_domain(one)
    return organization is not None and organization == organizational_domain(other)


def candidates(domain: str) -> list[str]:
    """Return the sending domains that mails from `domain` may be signed as, the nearest first."""
    organization = organizational_domain(domain)
    if organization is None:
        return [domain]
    labels = domain.split(".")
    count = len(labels) - len(organization.split("."))
    return [".".join(labels[at:]) for at in range(count + 1)]


def is_special(name: str) -> bool:
    """Whether `name` is none that public DNS could know (RFC 6761)."""
    return not name or "." not in name or name.endswith(_RESERVED) or name.replace(".", "").isdecimal()


_RESERVED = (".localhost", ".local", ".invalid", ".onion", ".internal", ".test")
