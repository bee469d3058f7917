"""What each fault of a relay, in each phase of SMTP, does to message, contact and sending: the expected outcomes.

`python -m tests.delivery.smtp_faults > docs/reference/smtp-faults.md` writes the page; test_fault_matrix.py plays
every cell against the real send worker, on both databases, and holds the page true.
"""

from dataclasses import dataclass
from typing import Any

REPLIES = {
    "421": "421 4.3.2 closing",
    "450": "450 4.2.0 mailbox busy",
    "451": "451 4.3.0 local error",
    "452": "452 4.3.1 out of space",
    "454": "454 4.7.0 temporary authentication failure",
    "500": "500 5.5.2 command not recognized",
    "550 5.1.1": "550 5.1.1 no such user",
    "550 5.7.515": "550 5.7.515 access denied, sender does not authenticate",
    "552 5.2.2": "552 5.2.2 mailbox full",
    "554 5.7.1": "554 5.7.1 message refused by policy",
}
WIRE = {
    "close": "closes the connection",
    "rst": "resets the connection",
    "stall": "says nothing more",
    "garbage": "sends bytes that are no reply",
    "huge": "sends a reply line of 2 MB",
    "split": "sends the right reply a byte at a time",
    "early": "answers before the command has come",
    "drop": "takes the mail and closes without an answer",
}
PHASES = {
    "greeting": "when the connection is made",
    "ehlo": "to EHLO",
    "starttls": "to STARTTLS",
    "auth": "to AUTH",
    "mail": "to MAIL FROM",
    "rcpt": "to RCPT TO",
    "data": "to DATA",
    "body": "while the body arrives",
    "dot": "to the final dot",
    "quit": "to QUIT",
}
_SESSION = ("greeting", "ehlo", "starttls", "auth")


@dataclass(frozen=True)
class Outcome:
    """The row of one cell. `retry`: seconds until the next try, None for no other; `events`: of the contact."""

    state: str
    reason: str = ""
    attempts: int = 0
    retry: int | None = None
    event: str = ""
    is_suppressed: bool = False
    hold: str = ""
    is_slowed: bool = False

    @property
    def contact(self) -> str:
        """What the contact pays."""
        if self.is_suppressed:
            return "hard bounce, suppressed"
        return "soft bounce counted" if self.event else "untouched"

    @property
    def next_try(self) -> str:
        """When it is tried again."""
        if self.state == "unknown":
            return "never by itself"
        if self.retry is None:
            return "-"
        when = f"{self.retry} s" if self.retry < 60 else f"{self.retry // 60} min"
        return f"after a person's release, {when}" if self.hold else when


ACCEPTED = Outcome("accepted")
RELAY_RESTS = Outcome("queued", retry=15)
RELAY_SLOWS = Outcome("queued", retry=15, is_slowed=True)
UNKNOWN = Outcome("unknown", "no_answer")
LOST = Outcome("queued", "connection_lost", 1, 300)
HARD = Outcome("failed", "user_unknown", event="hard_bounce", is_suppressed=True)
SOFT = Outcome("failed", "mailbox_full", event="soft_bounce")


def later(reason: str, *, is_slowed: bool = False) -> Outcome:
    """A refusal for now."""
    return Outcome("queued", reason, 1, 300, is_slowed=is_slowed)


def held(reason: str) -> Outcome:
    """A refusal that blames the sender: the sending stops, nobody pays."""
    return Outcome("queued", reason, 1, 300, hold="policy")


_REPLY_OUTCOMES = {
    "421": later("throttled", is_slowed=True),
    "450": later("mailbox_refuses"),
    "451": later("system"),
    "452": later("system"),
    "454": later("throttled", is_slowed=True),
    "500": held("protocol"),
    "550 5.1.1": HARD,
    "550 5.7.515": held("authentication"),
    "552 5.2.2": SOFT,
    "554 5.7.1": held("policy"),
}
_AT_MAIL = {"550 5.1.1": held("sender_refused"), "552 5.2.2": held("sender_refused")}
_AT_DOT = dict.fromkeys(("close", "rst", "stall", "garbage", "huge", "drop"), UNKNOWN)


def expected(phase: str, fault: str) -> Outcome:
    """Return the outcome of one cell."""
    if phase == "quit" or fault == "split":
        return ACCEPTED
    if phase in _SESSION:
        return RELAY_SLOWS if fault in ("421", "454") else RELAY_RESTS
    if phase == "mail" and fault in _AT_MAIL:
        return _AT_MAIL[fault]
    if fault in REPLIES:
        return _REPLY_OUTCOMES[fault]
    if phase == "dot" and fault in _AT_DOT:
        return _AT_DOT[fault]
    if phase == "body" and fault == "stall":
        return UNKNOWN  # the body is with the operating system; the silence shows at the dot
    if phase in ("rcpt", "data") and fault == "early":
        return ACCEPTED  # the commands went out as one group: nobody can tell
    return LOST


def cells() -> list[tuple[str, str]]:
    """Return every cell.

    A greeting is never too early, what comes before QUIT is an answer to the next MAIL, a body has no answer of its
    own, and only a dot is taken in silence.
    """
    made = [(phase, fault) for phase in PHASES for fault in (*REPLIES, *WIRE)]
    impossible = {("greeting", "early"), ("quit", "early"), ("body", "early"), ("body", "split")}
    return [(phase, fault) for phase, fault in made if (phase, fault) not in impossible and _has_drop(phase, fault)]


def _has_drop(phase: str, fault: str) -> bool:
    return fault != "drop" or phase == "dot"


def rule_of(phase: str, fault: str) -> dict[str, Any]:
    """Return the rule of bench/sink_faults.py that plays a cell."""
    if fault in REPLIES:
        return {"at": phase, "do": "reply", "text": REPLIES[fault]}
    return {"at": phase, "do": fault}


_HEAD = """# What a relay's faults do

Written by `python -m tests.delivery.smtp_faults`; `tests/delivery/test_fault_matrix.py` plays each of the {count} cells
against the real send worker on SQLite and PostgreSQL: three messages, one server that does the same to all of them.
After that the server is well again and time passes: whatever was `queued` and not held is then accepted, once;
whatever was `unknown` is never sent again by itself; the server never has a message twice.

* **Contact**: what is noted against the person. Faults of the relay, the sender or the moment cost nobody anything.
* **Sending**: three replies that blame the sender hold its mails to that provider (`policy`) until a person looks;
  a reply that asks for patience halves the rate (to the provider, or to the relay where it said so before any mail).
* **Next try**: the first one; a message that is refused again waits 15, 30, 60 minutes, then two hours each time.
* A stall is the end of patience: the time-outs of RFC 5321, section 4.5.3.2.
"""


def render_page() -> str:
    """Return the reference page."""
    parts = [_HEAD.format(count=len(cells()))]
    for phase, words in PHASES.items():
        parts.append(f"\n## What the relay does {words}\n\n| Fault | Message | Reason | Contact | Sending | Next try |")
        parts.append("|---|---|---|---|---|---|")
        parts += [_row(phase, fault) for at, fault in cells() if at == phase]
    return "\n".join(parts) + "\n"


def _row(phase: str, fault: str) -> str:
    outcome = expected(phase, fault)
    said = f"`{REPLIES[fault]}`" if fault in REPLIES else WIRE[fault]
    reason = f"`{outcome.reason}`" if outcome.reason else "-"
    sending = f"held: `{outcome.hold}`" if outcome.hold else "slows down" if outcome.is_slowed else "goes on"
    return f"| {said} | `{outcome.state}` | {reason} | {outcome.contact} | {sending} | {outcome.next_try} |"


if __name__ == "__main__":
    print(render_page(), end="")
