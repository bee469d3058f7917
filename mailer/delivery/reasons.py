"""Why mail was refused, read from what mail servers say: a closed list of reasons and the language of MTAs. Pure.

SMTP replies (codes.py) and bounce mail (bounces/classify.py) share this page. Text comes before codes: a status code is
often a default of the software, while the sentence beside it was written for the case (RFC 3463 leaves the choice of
codes to the server). `find_reason` reads text, `reason_of_status` the enhanced status code.
"""

import re
from enum import StrEnum

from mailer.delivery.phrases import Phrases, fold
from mailer.delivery.reason_texts import MACROS, TEXTS
from mailer.delivery.reason_texts_world import TEXTS_WORLD
from mailer.statuses import Blame


class Reason(StrEnum):
    """Closed list; stored and shown (docs/reference/vocabulary.md)."""

    USER_UNKNOWN = "user_unknown"
    MAILBOX_DISABLED = "mailbox_disabled"
    HOST_UNKNOWN = "host_unknown"
    MOVED = "moved"
    NO_MAIL_HERE = "no_mail_here"
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_REFUSES = "mailbox_refuses"
    MESSAGE_TOO_BIG = "message_too_big"
    SPAM = "spam"
    VIRUS = "virus"
    CONTENT = "content"
    POLICY = "policy"
    AUTHENTICATION = "authentication"
    REPUTATION = "reputation"
    RELAYING = "relaying"
    SENDER_REFUSED = "sender_refused"
    THROTTLED = "throttled"
    GREYLISTED = "greylisted"
    EXPIRED = "expired"
    NETWORK = "network"
    LOOP = "loop"
    SYSTEM = "system"
    PROTOCOL = "protocol"
    UNKNOWN = "unknown"


HARD_REASONS = frozenset(
    {Reason.USER_UNKNOWN, Reason.MAILBOX_DISABLED, Reason.HOST_UNKNOWN, Reason.MOVED, Reason.NO_MAIL_HERE}
)

_BLAME = {
    Reason.USER_UNKNOWN: Blame.ADDRESS,
    Reason.MAILBOX_DISABLED: Blame.ADDRESS,
    Reason.HOST_UNKNOWN: Blame.ADDRESS,
    Reason.MOVED: Blame.ADDRESS,
    Reason.NO_MAIL_HERE: Blame.ADDRESS,
    Reason.MAILBOX_FULL: Blame.MAILBOX,
    Reason.MAILBOX_REFUSES: Blame.MAILBOX,
    Reason.MESSAGE_TOO_BIG: Blame.CONTENT,
    Reason.SPAM: Blame.CONTENT,
    Reason.VIRUS: Blame.CONTENT,
    Reason.CONTENT: Blame.CONTENT,
    Reason.POLICY: Blame.POLICY,
    Reason.AUTHENTICATION: Blame.SENDER,
    Reason.REPUTATION: Blame.SENDER,
    Reason.RELAYING: Blame.SENDER,
    Reason.SENDER_REFUSED: Blame.SENDER,
    Reason.THROTTLED: Blame.THROTTLE,
    Reason.GREYLISTED: Blame.THROTTLE,
    Reason.EXPIRED: Blame.NETWORK,
    Reason.NETWORK: Blame.NETWORK,
    Reason.LOOP: Blame.NETWORK,
    Reason.SYSTEM: Blame.NETWORK,
    Reason.PROTOCOL: Blame.SENDER,
    Reason.UNKNOWN: Blame.UNKNOWN,
}


def blame_of(reason: Reason) -> Blame:
    """Return whose fault `reason` is."""
    return _BLAME[reason]


_PATTERNS = Phrases([(Reason(reason), lines) for reason, lines in (*TEXTS_WORLD, *TEXTS)], MACROS)
_READ_AT_MOST = 1_500

_TRY_LATER = re.compile(
    r"try (?:again )?later|temporar(?:y|ily)|plus tard|later\b|again in \d|please try again$|(?:not found"
    r"|error|failure)[,;:.]? try again"
)


def find_reason(text: str) -> Reason | None:
    """Return the reason that `text`, the words of a mail server, gives; None where it gives none that we know."""
    return _PATTERNS.find(fold(text, _READ_AT_MOST))


def says_try_later(text: str) -> bool:
    """Tell whether `text` asks for another try: whatever its code, the address is not dead then."""
    return _TRY_LATER.search(fold(text, _READ_AT_MOST)) is not None


_STATUS = {
    "1.0": Reason.UNKNOWN,
    "1.1": Reason.USER_UNKNOWN,
    "1.2": Reason.HOST_UNKNOWN,
    "1.3": Reason.USER_UNKNOWN,
    "1.4": Reason.USER_UNKNOWN,
    "1.6": Reason.MOVED,
    "1.7": Reason.SENDER_REFUSED,
    "1.8": Reason.SENDER_REFUSED,
    "1.9": Reason.RELAYING,
    "1.10": Reason.NO_MAIL_HERE,
    "2.1": Reason.MAILBOX_DISABLED,
    "2.2": Reason.MAILBOX_FULL,
    "2.3": Reason.MESSAGE_TOO_BIG,
    "2.4": Reason.MAILBOX_REFUSES,
    "3.1": Reason.SYSTEM,
    "3.2": Reason.SYSTEM,
    "3.4": Reason.MESSAGE_TOO_BIG,
    "4.1": Reason.NETWORK,
    "4.2": Reason.NETWORK,
    "4.3": Reason.NETWORK,
    "4.4": Reason.HOST_UNKNOWN,
    "4.5": Reason.THROTTLED,
    "4.6": Reason.LOOP,
    "4.7": Reason.EXPIRED,
    "4.14": Reason.LOOP,
    "7.1": Reason.POLICY,
    "7.8": Reason.SENDER_REFUSED,
    "7.20": Reason.AUTHENTICATION,
    "7.21": Reason.AUTHENTICATION,
    "7.22": Reason.AUTHENTICATION,
    "7.23": Reason.AUTHENTICATION,
    "7.24": Reason.AUTHENTICATION,
    "7.25": Reason.REPUTATION,
    "7.26": Reason.AUTHENTICATION,
    "7.27": Reason.SENDER_REFUSED,
    "7.28": Reason.THROTTLED,
    "7.509": Reason.AUTHENTICATION,
    "7.515": Reason.AUTHENTICATION,
    "7.606": Reason.REPUTATION,
    "7.708": Reason.REPUTATION,
}
_SUBJECT = {"3": Reason.SYSTEM, "4": Reason.NETWORK, "5": Reason.PROTOCOL, "6": Reason.CONTENT, "7": Reason.POLICY}


def reason_of_status(status: str) -> Reason:
    """Return the reason that an enhanced status code (RFC 3463) such as `5.1.1` names; UNKNOWN for x.0.0 and others.

    Codes that software gives for lack of a better one (x.0.0, x.1.0, x.2.0, x.3.0, x.5.0) name no reason.
    """
    parts = status.split(".")
    if len(parts) != 3 or parts[2] == "0":  # noqa: PLR2004 - class, subject, detail
        return Reason.POLICY if parts[1:2] == ["7"] else Reason.UNKNOWN
    return _STATUS.get(f"{parts[1]}.{parts[2]}") or _SUBJECT.get(parts[1], Reason.UNKNOWN)
