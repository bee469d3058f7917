"""`python -m bench.bounces`: bounce mails read a second on one core, and the plain way beside it.

The reference is what a straightforward program does: the standard library's parser with its default policy, the fields
of the delivery status, and a list of patterns over the text one after the other. Both get the same messages in the same
run, so the ratio holds on any machine. `--corpus FOLDER` reads real messages instead of those made here.
"""

import argparse
import email
import json
import platform
import re
import time
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import default
from os import cpu_count
from pathlib import Path

from mailer.bounces.classify import classify_report
from mailer.delivery.reason_texts import MACROS, TEXTS

SERVERS = (
    ("550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table", "5.1.1"),
    ("552 5.2.2 The email account that you tried to reach is over quota", "5.2.2"),
    ("550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using a blocklist", "5.7.1"),
    ("550 5.7.26 This mail has been blocked because the sender is unauthenticated", "5.7.26"),
    ("connect to mx.example.net[192.0.2.9]:25: Connection timed out", "4.4.1"),
    ("554 5.7.1 Message rejected: it looks like spam", "5.7.1"),
    ("550 5.2.1 The email account that you tried to reach is disabled", "5.2.1"),
    ("554 5.4.6 Hop count exceeded, possible mail loop", "5.4.6"),
)
DSN = (
    "Return-Path: <>\r\nReceived: by mx.example.net (Postfix) id 3F2A1{n:05}; Tue, 3 Mar 2026 09:15:00 +0000\r\n"
    "Date: Tue, 3 Mar 2026 09:15:00 +0000\r\nFrom: MAILER-DAEMON@mx.example.net (Mail Delivery System)\r\n"
    "Subject: Undelivered Mail Returned to Sender\r\nTo: b+x@bounce.example.com\r\nAuto-Submitted: auto-replied\r\n"
    'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b{n}"\r\n\r\n'
    "--b{n}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nThis is the mail system at host mx.example.net.\r\n"
    "\r\n"
    "I'm sorry to have to inform you that your message could not\r\nbe delivered to one or more recipients.\r\n\r\n"
    "<{to}>: host mail.example.org[192.0.2.7] said: {said} (in reply to RCPT TO command)\r\n\r\n"
    "--b{n}\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
    "Final-Recipient: rfc822; {to}\r\nAction: failed\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {said}\r\n\r\n"
    "--b{n}\r\nContent-Type: message/rfc822\r\n\r\nFrom: news@example.com\r\nTo: {to}\r\nSubject: Spring offer {n}\r\n"
    "Message-ID: <{n}@bounce.example.com>\r\nContent-Type: text/html\r\n\r\n{body}\r\n--b{n}--\r\n"
)
FREE = (
    "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.net\r\nTo: b+x@bounce.example.com\r\nSubject: failure notice\r\n"
    "\r\nHi. This is the qmail-send program at mx.example.net.\r\n"
    "I'm afraid I wasn't able to deliver your message to the\r\n"
    "following addresses. This is a permanent error; I've given up. Sorry it didn't work out.\r\n\r\n<{to}>:\r\n"
    "192.0.2.7 does not like recipient.\r\nRemote host said: {said}\r\nGiving up on 192.0.2.7.\r\n\r\n"
    "--- Below this line is a copy of the message.\r\n\r\nReturn-Path: <b+x@bounce.example.com>\r\n"
    "Subject: Spring\r\n\r\n{body}"
)
AWAY = (
    "From: Ada <{to}>\r\nTo: b+x@bounce.example.com\r\nSubject: Automatic reply: Spring offer\r\n"
    "Auto-Submitted: auto-replied\r\n\r\nI am away until Monday. {body}"
)
BODY = "<p>An offer that is hard to refuse, in many words.</p>\r\n" * 25


def make_messages(count: int) -> list[bytes]:
    """Return different reports: delivery status, free text, automatic replies."""
    forms = (DSN, DSN, DSN, FREE, FREE, AWAY)
    made = []
    for number in range(count):
        said, status = SERVERS[number % len(SERVERS)]
        to = f"person{number}@example.org"
        form = forms[number % len(forms)]
        made.append(form.format(n=number, to=to, said=said.format(to=to), status=status, body=BODY).encode())
    return made


# ------------------------------------------------------------------ the plain way


def plain_patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return one long pattern for each reason."""
    found = []
    for reason, lines in TEXTS:
        text = "|".join(line.strip() for line in lines.split("\n") if line.strip())
        text = re.sub(r"<(\d) words>", r"(?: \\S+){0,\1}", text)
        for macro, pattern in MACROS.items():
            text = text.replace(macro, pattern)
        found.append((reason, re.compile(text, re.IGNORECASE)))
    return found


PLAIN = plain_patterns()


def classify_plainly(raw: bytes) -> str:
    """Return a reason: parsed by the standard library, patterns tried one after the other."""
    message = email.message_from_bytes(raw, policy=default)
    words = []
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            words.insert(0, str(part))
        elif part.get_content_type() == "text/plain" and isinstance(part, EmailMessage):
            words.append(read_plainly(part))
    said = " ".join(" ".join(words).split())[:1_500]
    return next((reason for reason, pattern in PLAIN if pattern.search(said)), "unknown")


def read_plainly(part: EmailMessage) -> str:
    """Return the text of a part; nothing where its charset is none."""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        return ""


# ------------------------------------------------------------------ measuring


def measure(work: Callable[[bytes], object], messages: Sequence[bytes], seconds: float) -> tuple[float, int]:
    """Return messages a second of processor time, and how many were read."""
    done, begun = 0, time.process_time()
    while time.process_time() - begun < seconds:
        for raw in messages[:200]:
            work(raw)
        done += len(messages[:200])
        messages = [*messages[200:], *messages[:200]]
    return done / (time.process_time() - begun), done


def main() -> None:
    """Measure both and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=3_000, help="different messages")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--corpus", type=Path, help="a folder of messages to read instead")
    chosen = parser.parse_args()
    if chosen.corpus:
        messages = [path.read_bytes() for path in sorted(chosen.corpus.iterdir()) if path.is_file()]
    else:
        messages = make_messages(chosen.size)
    measure(classify_report, messages, 0.2)
    ours, done = measure(classify_report, messages, chosen.seconds)
    plain, plain_done = measure(classify_plainly, messages, chosen.seconds)
    figures = {
        "messages_per_second": round(ours), "messages": done, "us_per_message": round(1_000_000 / ours),
        "bytes_per_message": round(sum(map(len, messages)) / len(messages)),
    }  # fmt: skip
    reference = {
        "messages_per_second": round(plain),
        "messages": plain_done,
        "what": "standard library, plain patterns",
    }
    machine = {"cpus": cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    result = {"name": "bounces", "figures": figures, "reference": reference, "ratio": round(ours / plain, 2)}
    print(json.dumps({**result, "machine": machine}))


if __name__ == "__main__":
    main()
