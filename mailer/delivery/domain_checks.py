"""Look at the DNS records of a sending domain and say what is wrong, in words for somebody who runs campaigns. Pure.

SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489), MX (RFC 5321, RFC 7505), and whether they are aligned. What nobody
answered for is `unknown`, never "missing".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mailer.delivery.domains import (
    Check,
    Dns,
    DnsError,
    Light,
    PublicKey,
    Record,
    Setup,
    dkim_name,
    is_aligned,
    is_special,
    list_records,
    organizational_domain,
    relay_include,
)
from mailer.delivery.spf import SpfReport, find_spf, read_spf

_POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True)
class Policy:
    """The DMARC record that applies to a domain."""

    name: str
    tags: dict[str, str]

    @property
    def is_strict_dkim(self) -> bool:
        """Whether `d=` must be the domain in From itself."""
        return self.tags.get("adkim", "r").lower() == "s"

    @property
    def is_strict_spf(self) -> bool:
        """Whether the envelope sender's domain must be the domain in From itself."""
        return self.tags.get("aspf", "r").lower() == "s"


def check_domain(
    dns: Dns, setup: Setup, keys: Sequence[PublicKey], active: Sequence[str], from_domains: Sequence[str]
) -> list[Check]:
    """Return every finding about a domain.

    Args:
        dns: What to ask.
        setup: The domain, and what its records depend on.
        keys: Its keys; each has a record of its own.
        active: Selectors of the keys that sign.
        from_domains: Domains of the sender profiles that are signed with this domain's keys.
    """
    records = list_records(setup, keys)
    found = list(_check_keys(dns, setup, keys, active, records))
    found += _guarded("spf", setup.envelope_domain, lambda: _check_spf(dns, setup, records))
    policy: Policy | None = None
    try:
        policy, check = _find_policy(dns, setup.domain, records)
        found.append(check)
    except DnsError as error:
        found.append(_unknown("dmarc", f"_dmarc.{setup.domain}", error))
    found += _guarded("mx", setup.domain, lambda: [_check_mx(dns, setup.domain)])
    found += _guarded("bounce_mx", setup.bounce_domain, lambda: [_check_bounce_mx(dns, setup.bounce_domain)])
    return [*found, *_check_alignment(setup, policy, from_domains, has_active=bool(active))]


def _guarded(kind: str, name: str, look: Callable[[], Sequence[Check]]) -> Sequence[Check]:
    try:
        return look()
    except DnsError as error:
        return [_unknown(kind, name, error)]


def _unknown(kind: str, name: str, error: DnsError, selector: str = "") -> Check:
    return Check(kind, name, Light.UNKNOWN, f"could not be checked: {error.message}", error.mend, selector)


# ------------------------------------------------------------------ DKIM


def _check_keys(
    dns: Dns, setup: Setup, keys: Sequence[PublicKey], active: Sequence[str], records: Sequence[Record]
) -> Iterator[Check]:
    if not keys:
        what = "there is no key yet, so mails go out without a signature"
        yield Check("dkim", setup.domain, Light.FAIL, what, "create keys")
    wanted = {record.selector: record for record in records if record.kind == "dkim"}
    for key in keys:
        name = dkim_name(key.selector, setup.domain)
        try:
            light, what, mend = judge_key(key, dns.texts(name))
        except DnsError as error:
            yield _unknown("dkim", name, error, key.selector)
            continue
        if light is Light.FAIL and key.selector not in active:
            light = Light.WARN  # nothing is signed with it yet
        yield Check("dkim", name, light, what, mend or _publish(wanted[key.selector], light), key.selector)


def _publish(record: Record, light: Light) -> str:
    return "" if light is Light.OK else f"publish the record at {record.name}, then check again"


def judge_key(key: PublicKey, texts: Sequence[str]) -> tuple[Light, str, str]:
    """Return light, finding and mend for the TXT records at a key's name (RFC 6376, section 3.6.1)."""
    if not texts:
        return Light.FAIL, "the key's record is not published", ""
    if len(texts) > 1:
        what = f"{len(texts)} records stand at the key's name; receivers may read the wrong one"
        return Light.FAIL, what, "leave only ours"
    tags = read_tags(texts[0])
    published = "".join(tags.get("p", "").split())
    if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return Light.FAIL, "the record at the key's name is no DKIM key", ""
    if not published:
        return Light.FAIL, "the record says that the key was withdrawn (p= is empty)", ""
    if tags.get("k", "rsa").lower() != key.algorithm or published != key.public_key:
        return Light.FAIL, "the record holds another key than ours, so signatures do not verify", ""
    if "h" in tags and "sha256" not in tags["h"].lower():
        return Light.FAIL, "the record does not permit SHA-256, which we sign with", ""
    if "y" in tags.get("t", "").lower().split(":"):
        return Light.WARN, "the record says that it is a test (t=y), so receivers may ignore it", "remove t=y"
    return Light.OK, "the key is published and is ours", ""


def read_tags(text: str) -> dict[str, str]:
    """Return the tags of a DKIM or DMARC record, `name=value` between semicolons (RFC 6376, section 3.2)."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}


# ------------------------------------------------------------------ SPF


def _check_spf(dns: Dns, setup: Setup, records: Sequence[Record]) -> list[Check]:
    name = setup.envelope_domain
    found = find_spf(dns.texts(name))
    wanted = next(record.value for record in records if record.kind == "spf")
    if not found:
        what = "no SPF record: receivers cannot tell which servers may send for the domain"
        return [Check("spf", name, Light.FAIL, what, f"publish: {wanted}")]
    if len(found) > 1:
        what = f"{len(found)} SPF records; receivers treat more than one as an error"
        return [Check("spf", name, Light.FAIL, what, "make one record of them")]
    report = read_spf(name, found[0], dns.texts)
    light, what, mend = judge_spf(report, setup.relay_hosts)
    return [Check("spf", name, light, what, mend)]


def judge_spf(report: SpfReport, relay_hosts: Sequence[str]) -> tuple[Light, str, str]:
    """Return light, finding and mend for a domain's one SPF record."""
    if report.errors:
        return Light.FAIL, "the SPF record is broken: " + "; ".join(report.errors), "mend the record"
    if report.catch_all == "+":
        return Light.FAIL, "the SPF record lets every server send for the domain (+all)", "end it with ~all"
    missing = [name for host in relay_hosts if (name := relay_include(host)) and name not in report.includes]
    if missing:
        what = f"the SPF record does not name the relay ({', '.join(missing)})"
        return Light.WARN, what, "add " + " ".join(f"include:{name}" for name in missing)
    if report.catch_all in {"", "?"}:
        return Light.WARN, "the SPF record does not say what to do with other servers", "end it with ~all"
    if report.has_ptr:
        return Light.WARN, "the SPF record uses “ptr”, which is slow and not to be used any more", "remove it"
    return Light.OK, f"one SPF record, {report.lookups} of 10 look-ups", ""


# ------------------------------------------------------------------ DMARC


def _find_policy(dns: Dns, domain: str, records: Sequence[Record]) -> tuple[Policy | None, Check]:
    """Return the policy that applies, the domain's own or its organization's (RFC 7489, section 6.6.3)."""
    organization = organizational_domain(domain) or domain
    wanted = next(record.value for record in records if record.kind == "dmarc")
    for owner in dict.fromkeys((domain, organization)):
        name = f"_dmarc.{owner}"
        found = [text for text in dns.texts(name) if text.replace(" ", "").lower().startswith("v=dmarc1")]
        if len(found) > 1:
            what = f"{len(found)} DMARC records; receivers ignore all of them"
            return None, Check("dmarc", name, Light.FAIL, what, "leave one")
        if found:
            policy = Policy(name, read_tags(found[0]))
            light, what, mend = judge_policy(policy, is_inherited=owner != domain)
            return (policy if light is not Light.FAIL else None), Check("dmarc", name, light, what, mend)
    what = "no DMARC record; Gmail and Yahoo ask senders of newsletters for one"
    return None, Check("dmarc", f"_dmarc.{domain}", Light.FAIL, what, f"publish: {wanted}")


def judge_policy(policy: Policy, *, is_inherited: bool) -> tuple[Light, str, str]:
    """Return light, finding and mend for a DMARC record."""
    own = policy.tags.get("p", "").lower()
    applies = (policy.tags.get("sp", "").lower() or own) if is_inherited else own
    if own not in _POLICIES or applies not in _POLICIES:
        return Light.FAIL, "the DMARC record has no policy that receivers understand", "say p=none, at least"
    whose = "of the organization's domain" if is_inherited else "of the domain"
    if applies == "none":
        return Light.OK, f"the DMARC record {whose} only watches (p=none); that is enough to begin with", ""
    return Light.OK, f"the DMARC record {whose} protects it (p={applies})", ""


# ------------------------------------------------------------------ MX


def _check_mx(dns: Dns, domain: str) -> Check:
    hosts = dns.exchanges(domain)
    if "." in hosts:
        what = "the domain says that it takes no mail, so many receivers refuse mail from it"
        return Check("mx", domain, Light.FAIL, what, "publish an MX record, so that people can answer")
    if hosts:
        return Check("mx", domain, Light.OK, f"answers go to {', '.join(hosts[:3])}", "")
    if dns.has_address(domain):
        what = "no MX record; answers go to the web server's address"
        return Check("mx", domain, Light.WARN, what, "publish an MX record")
    what = "the domain can get no mail, so many receivers refuse mail from it"
    return Check("mx", domain, Light.FAIL, what, "publish an MX record, so that people can answer")


def _check_bounce_mx(dns: Dns, bounce_domain: str) -> Check:
    if is_special(bounce_domain):
        where = f"bounces go to {bounce_domain}, which" if bounce_domain else "no bounce domain is set, which"
        what = f"{where} is only good for trying things out"
        return Check("bounce_mx", bounce_domain, Light.WARN, what, "set MAILER_BOUNCE_DOMAIN to a domain of your own")
    hosts = dns.exchanges(bounce_domain)
    if hosts and "." not in hosts:
        return Check("bounce_mx", bounce_domain, Light.OK, f"bounces go to {', '.join(hosts[:3])}", "")
    if not hosts and dns.has_address(bounce_domain):
        return Check("bounce_mx", bounce_domain, Light.OK, f"bounces go to {bounce_domain} itself", "")
    what = "bounces cannot come back, so dead addresses stay on the lists"
    mend = f"publish an MX record at {bounce_domain} with the host that mailer's bounce listener is reached at"
    return Check("bounce_mx", bounce_domain, Light.FAIL, what, mend)


# ------------------------------------------------------------------ alignment


def _check_alignment(
    setup: Setup, policy: Policy | None, from_domains: Sequence[str], *, has_active: bool
) -> Iterator[Check]:
    strict_dkim = policy is not None and policy.is_strict_dkim
    strict_spf = policy is not None and policy.is_strict_spf
    domain = setup.domain
    for name in dict.fromkeys((domain, *from_domains)):
        by_key = has_active and is_aligned(name, domain, is_strict=strict_dkim)
        by_envelope = not is_special(setup.bounce_domain) and is_aligned(
            name, setup.bounce_domain, is_strict=strict_spf
        )
        yield _alignment(setup, name, by_key=by_key, by_envelope=by_envelope, has_active=has_active)


def _alignment(setup: Setup, name: str, *, by_key: bool, by_envelope: bool, has_active: bool) -> Check:
    if by_key and by_envelope:
        return Check("alignment", name, Light.OK, f"From {name} is aligned by signature and by envelope sender")
    if by_key:
        whose = f"({setup.bounce_domain}) " if setup.bounce_domain else ""
        what = f"From {name} is aligned by its signature; the envelope sender {whose}is not"
        return Check("alignment", name, Light.OK, what)
    if not has_active:
        what = f"mails from {name} are not signed, so receivers cannot tell them from forgeries"
        return Check("alignment", name, Light.FAIL, what, "publish a key's record, check it, and put the key to use")
    what = f"the domain's DMARC record asks for the very same name, and {name} is signed as {setup.domain}"
    return Check("alignment", name, Light.FAIL, what, f"add {name} as a sending domain of its own, or use adkim=r")
