"""Ask the domain name system, with short time-outs. "There is none" and "nobody answered" are different answers."""

import ipaddress
from collections.abc import Sequence
from typing import Any

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from dns.rdatatype import RdataType

from mailer.delivery.domains import Dns, DnsError
from mailer.errors import InputError

TIMEOUT = 2.0
LIFETIME = 5.0
_PORT = 53
_UDP_SIZE = 1232


class Lookup:
    """DNS through the system's resolver or the servers given as `host` or `host:port`, comma-separated.

    Raises:
        InputError: a server is not given by its address.
        DnsError: the system has no resolver.
    """

    def __init__(self, servers: str = "") -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=not servers)
        except dns.exception.DNSException as error:
            raise DnsError("this machine knows no name server", mend="set MAILER_DNS_SERVERS") from error
        if servers:
            self._resolver.nameservers = [_server(text.strip()) for text in servers.split(",")]
        self._resolver.timeout, self._resolver.lifetime = TIMEOUT, LIFETIME
        self._resolver.use_edns(0, 0, _UDP_SIZE)

    def texts(self, name: str) -> Sequence[str]:
        """Return the TXT records of `name`."""
        return [b"".join(record.strings).decode("utf-8", "replace") for record in self._ask(name, RdataType.TXT)]

    def exchanges(self, name: str) -> Sequence[str]:
        """Return the hosts of the MX records of `name`, the preferred first."""
        records = sorted(self._ask(name, RdataType.MX), key=lambda record: int(record.preference))
        return [record.exchange.to_text(omit_final_dot=True) or "." for record in records]

    def has_address(self, name: str) -> bool:
        """Whether `name` has an A or AAAA record."""
        return bool(self._ask(name, RdataType.A) or self._ask(name, RdataType.AAAA))

    def _ask(self, name: str, kind: RdataType) -> list[Any]:
        try:
            return list(self._resolver.resolve(name, kind, raise_on_no_answer=False, search=False))
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong):
            return []  # a name that cannot exist
        except (dns.exception.DNSException, OSError) as error:
            raise DnsError(f"the name servers did not answer for {name}", mend="try again later") from error


class Remembered:
    """Answers of another Dns, each asked for once; the same look may then be had again without waiting."""

    def __init__(self, dns: Dns) -> None:
        self._dns = dns
        self._answers: dict[tuple[str, str], Any] = {}

    def texts(self, name: str) -> Sequence[str]:
        """Return the TXT records of `name`."""
        answer: Sequence[str] = self._recall("texts", name)
        return answer

    def exchanges(self, name: str) -> Sequence[str]:
        """Return the hosts of the MX records of `name`."""
        answer: Sequence[str] = self._recall("exchanges", name)
        return answer

    def has_address(self, name: str) -> bool:
        """Whether `name` has an A or AAAA record."""
        return bool(self._recall("has_address", name))

    def _recall(self, question: str, name: str) -> Any:
        if (question, name) not in self._answers:
            try:
                self._answers[question, name] = getattr(self._dns, question)(name)
            except DnsError as error:
                self._answers[question, name] = error
        answer = self._answers[question, name]
        if isinstance(answer, DnsError):
            raise answer
        return answer


def _server(text: str) -> dns.nameserver.Do53Nameserver:
    host, port = text, _PORT
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        port = _number(rest.removeprefix(":"), text)
    elif text.count(":") == 1:
        host, _, rest = text.partition(":")
        port = _number(rest, text)
    try:
        return dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(host)), port)
    except ValueError as error:
        raise _not_a_server(text) from error


def _number(text: str, server: str) -> int:
    if text and not text.isdecimal():
        raise _not_a_server(server)
    return int(text or _PORT)


def _not_a_server(text: str) -> InputError:
    return InputError(
        f"{text!r} is not the address of a name server", where="MAILER_DNS_SERVERS", mend="for example 192.0.2.53:53"
    )
