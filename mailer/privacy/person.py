"""One person as an erasure looks for them: ids, hashes and needles; free text and bytes cleaned of them. Pure."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mailer.privacy.register import REMOVED

_AT = r"(?:@|%40|=40)"
_BEFORE_EMAIL, _AFTER_EMAIL = r"(?<![\w.+%-])", r"(?![\w-]|\.\w)"
_GAP = r"[\s,;|\"\']+"
"""What stands between the parts of a name, in prose and in the cells of a table."""
_NOTHING = r"(?!)"
_BEFORE_IP, _AFTER_IP = r"(?<![\w.:])", r"(?![\w:]|\.\d)"


@dataclass(frozen=True)
class Person:
    """A person's contacts, addresses and messages by id; `hashes` are of their addresses, `names` are full names.

    `names` has only those that no other contact has, so that nobody else's record is cleaned of their own name.
    """

    contact_ids: tuple[int, ...] = ()
    address_ids: tuple[int, ...] = ()
    hashes: tuple[bytes, ...] = ()
    emails: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    ips: tuple[str, ...] = ()
    message_ids: tuple[int, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether there is a contact or an address row."""
        return bool(self.contact_ids or self.address_ids)

    @property
    def needles(self) -> list[str]:
        """What to look for in free text: addresses and full names, as they are and as JSON spells them."""
        plain = [*self.emails, *(last for _, last in self.names)]
        return list(dict.fromkeys(form for text in plain for form in (text, json.dumps(text)[1:-1])))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = [*map(_email_pattern, self.emails), *_name_patterns(self.names)]
        return re.compile("|".join(parts) or _NOTHING, re.IGNORECASE)

    @cached_property
    def _byte_pattern(self) -> re.Pattern[bytes]:
        names = [name for pair in self.names for name in (pair, tuple(json.dumps(part)[1:-1] for part in pair))]
        ips = [f"{_BEFORE_IP}{re.escape(ip)}{_AFTER_IP}" for ip in self.ips if ip]
        parts = [*map(_email_pattern, self.emails), *_name_patterns(dict.fromkeys(names)), *ips]
        return re.compile(("|".join(parts) or _NOTHING).encode(), re.IGNORECASE)

    def is_in(self, text: str) -> bool:
        """Whether an address or a full name of theirs stands in `text`."""
        return self._pattern.search(text) is not None

    def is_in_bytes(self, data: bytes) -> bool:
        """Whether an address, full name or IP of theirs stands in `data` (UTF-8)."""
        return self._byte_pattern.search(data) is not None

    def clean(self, value: Any) -> Any:
        """Return a text or JSON value without their addresses and full names."""
        if isinstance(value, str):
            return self._pattern.sub(REMOVED, value)
        if isinstance(value, list):
            return [self.clean(one) for one in value]
        if isinstance(value, dict):
            return {self.clean(key): self.clean(one) for key, one in value.items()}
        return value

    def mask(self, data: bytes) -> bytes:
        """Return `data` of the same length with stars in place of their addresses, full names and IPs."""
        return self._byte_pattern.sub(lambda found: b"*" * len(found[0]), data)

    def with_traces(self, message_ids: Iterable[int], ips: Iterable[str]) -> "Person":
        """Return the person with messages and IPs found on the way."""
        return replace(
            self,
            message_ids=tuple(dict.fromkeys((*self.message_ids, *message_ids))),
            ips=tuple(dict.fromkeys(ip for ip in (*self.ips, *ips) if ip)),
        )

    def as_json(self) -> bytes:
        """Return what `read_person` reads."""
        hashes = [value.hex() for value in self.hashes]
        known = [self.contact_ids, self.address_ids, hashes, self.emails, self.names, self.ips, self.message_ids]
        return json.dumps(known).encode()


def read_person(data: bytes) -> Person:
    """Return the person that `as_json` wrote."""
    contacts, addresses, hashes, emails, names, ips, messages = json.loads(data)
    return Person(
        tuple(contacts), tuple(addresses), tuple(bytes.fromhex(one) for one in hashes), tuple(emails),
        tuple((first, last) for first, last in names), tuple(ips), tuple(messages),
    )  # fmt: skip


def _email_pattern(email: str) -> str:
    local, _, domain = email.rpartition("@")
    return f"{_BEFORE_EMAIL}{re.escape(local)}{_AT}{re.escape(domain)}{_AFTER_EMAIL}"


def _name_patterns(names: Iterable[Sequence[str]]) -> Iterable[str]:
    for first, last in names:
        one, two = re.escape(first), re.escape(last)
        yield rf"(?<!\w){one}{_GAP}{two}(?!\w)"
        yield rf"(?<!\w){two}{_GAP}{one}(?!\w)"
