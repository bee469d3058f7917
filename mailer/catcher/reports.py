"""Reports as real servers write them: DSN (RFC 3464, RFC 3462) and complaint (RFC 5965) of caught mails. Pure."""

import re
from datetime import datetime
from email.utils import format_datetime

_STATUS = {
    "5.1.1": ("failed", "550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table"),
    "4.2.2": ("failed", "452 4.2.2 <{to}>: Mailbox full"),
}
_HEADER_END = re.compile(rb"\r?\n\r?\n")


def build_dsn(*, mail_from: str, rcpt_to: str, raw: bytes, status: str, at: datetime, number: int) -> bytes:
    """Return a delivery status notification to `mail_from` about `rcpt_to`; `status` is 5.1.1 or 4.2.2."""
    action, reply = _STATUS[status]
    diagnostic = reply.format(to=rcpt_to)
    boundary = f"=_dsn_{number}"
    text = (
        "This is the mail system at host catcher.localhost.\r\n\r\n"
        "I'm sorry to have to inform you that your message could not\r\n"
        "be delivered to one or more recipients.\r\n\r\n"
        f"<{rcpt_to}>: host mx.catcher.localhost[127.0.0.1] said:\r\n    {diagnostic} (in reply to RCPT TO command)\r\n"
    )
    fields = (
        "Reporting-MTA: dns; catcher.localhost\r\n"
        f"X-Catcher-Queue-ID: {number:X}\r\n"
        f"Arrival-Date: {format_datetime(at)}\r\n\r\n"
        f"Final-Recipient: rfc822; {rcpt_to}\r\n"
        f"Original-Recipient: rfc822;{rcpt_to}\r\n"
        f"Action: {action}\r\nStatus: {status}\r\n"
        "Remote-MTA: dns; mx.catcher.localhost\r\n"
        f"Diagnostic-Code: smtp; {diagnostic}\r\n"
    )
    head = (
        "From: MAILER-DAEMON@catcher.localhost (Mail Delivery System)\r\n"
        f"To: {mail_from}\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        "Auto-Submitted: auto-replied\r\n"
    )
    parts = [
        ("text/plain; charset=utf-8", text.encode()),
        ("message/delivery-status", fields.encode()),
        ("text/rfc822-headers; charset=utf-8", _headers_of(raw)),
    ]
    return _report(head, "delivery-status", boundary, parts, at, f"dsn-{number}")


def build_complaint(*, mail_from: str, rcpt_to: str, raw: bytes, at: datetime, number: int) -> bytes:
    """Return a feedback report: somebody pressed "spam"."""
    boundary = f"=_arf_{number}"
    fields = (
        "Feedback-Type: abuse\r\nUser-Agent: catcher/1.0\r\nVersion: 1\r\n"
        f"Original-Mail-From: <{mail_from}>\r\nOriginal-Rcpt-To: <{rcpt_to}>\r\n"
        f"Arrival-Date: {format_datetime(at)}\r\nReported-Domain: catcher.localhost\r\nSource-IP: 127.0.0.1\r\n"
    )
    head = f"From: feedback@catcher.localhost\r\nTo: {mail_from}\r\nSubject: complaint about a message\r\n"
    parts = [
        ("text/plain; charset=utf-8", b"This is an email abuse report for an email message received from you.\r\n"),
        ("message/feedback-report", fields.encode()),
        ("message/rfc822", raw),
    ]
    return _report(head, "feedback-report", boundary, parts, at, f"arf-{number}")


def _report(
    head: str, kind: str, boundary: str, parts: list[tuple[str, bytes]], at: datetime, message_id: str
) -> bytes:
    lines = [
        f"{head}Date: {format_datetime(at)}\r\nMessage-ID: <{message_id}.{at:%Y%m%d%H%M%S%f}@catcher.localhost>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type={kind};\r\n"
        f'\tboundary="{boundary}"\r\n\r\n'.encode()
    ]
    for content_type, body in parts:
        lines.append(f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode() + body + b"\r\n")
    lines.append(f"--{boundary}--\r\n".encode())
    return b"".join(lines)


def _headers_of(raw: bytes) -> bytes:
    """Return the header of a mail with its last line end, nothing of its body."""
    end = _HEADER_END.search(raw)
    return raw[: end.start()] + b"\r\n" if end else raw
