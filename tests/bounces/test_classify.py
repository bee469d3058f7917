"""What a report says about an address; text beats code, and nothing is hard without a word that says so."""
# ruff: noqa: E501 - samples are kept on their lines

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.bounces.arf import parse_arf
from mailer.bounces.classify import classify_report
from mailer.bounces.dsn import parse_dsn
from mailer.bounces.mail import decode_bytes, read_mail
from mailer.catcher.reports import build_complaint, build_dsn
from mailer.clock import utc_now
from mailer.statuses import Blame, Verdict

OURS = b"From: news@example.com\r\nTo: ada@example.org\r\nSubject: Spring offer\r\nMessage-ID: <x@b.example>\r\n\r\nuser unknown\r\n"


def dsn(
    diagnostic: str, status: str = "5.0.0", action: str = "failed", text: str = "", to: str = "ada@example.org"
) -> bytes:
    """A report in the form of RFC 3464 with one recipient."""
    return (
        (
            "From: MAILER-DAEMON@mx.example.net\r\nTo: b+x@bounce.example.com\r\nSubject: Undelivered Mail\r\n"
            "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="zz"\r\n\r\n'
            f"--zz\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
            "--zz\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
            f"Final-Recipient: rfc822; {to}\r\nAction: {action}\r\nStatus: {status}\r\n"
            f"Diagnostic-Code: smtp; {diagnostic}\r\n\r\n"
            "--zz\r\nContent-Type: message/rfc822\r\n\r\n"
        ).encode()
        + OURS
        + b"\r\n--zz--\r\n"
    )


def plain(subject: str, text: str, sender: str = "MAILER-DAEMON@mx.example.net", **headers: str) -> bytes:
    """A mail of plain text."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"From: {sender}\r\nTo: b+x@bounce.example.com\r\nSubject: {subject}\r\n{more}\r\n{text}\r\n".encode()


HARD, SOFT, DELAYED, NOT = Verdict.HARD, Verdict.SOFT, Verdict.DELAYED, Verdict.NOT_BOUNCE

DSNS = [
    ("550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown", "5.1.1", HARD, Blame.ADDRESS),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "5.1.10", HARD, Blame.ADDRESS),
    ("550 5.1.1 mailbox is over quota", "5.1.1", SOFT, Blame.MAILBOX),
    ("552 5.2.2 Mailbox full", "5.2.2", SOFT, Blame.MAILBOX),
    ("452 4.2.2 Mailbox full", "4.2.2", SOFT, Blame.MAILBOX),
    ("550 5.7.1 <ada@example.org>: Recipient address rejected: User unknown", "5.7.1", HARD, Blame.ADDRESS),
    ("550 5.7.26 Unauthenticated email from example.com is not accepted due to DMARC policy", "5.7.26", SOFT, Blame.SENDER),
    ("554 5.7.1 Message rejected as spam", "5.7.1", SOFT, Blame.CONTENT),
    ("554 5.7.1 Client host [192.0.2.1] blocked using bl.example.org blocklist", "5.7.1", SOFT, Blame.SENDER),
    ("550 5.2.1 The email account is disabled", "5.2.1", HARD, Blame.ADDRESS),
    ("550 5.4.4 Domain not found", "5.4.4", HARD, Blame.ADDRESS),
    ("556 5.1.10 Domain example.org has a null MX", "5.1.10", HARD, Blame.ADDRESS),
    ("Host or domain name not found. Name service error for name=example.org: Host not found, try again", "4.4.3", SOFT, None),
    ("delivery temporarily suspended: connect to mx.example.org: Connection timed out", "4.4.1", SOFT, Blame.NETWORK),
    ("550 5.4.6 Hop count exceeded - possible mail loop", "5.4.6", SOFT, Blame.NETWORK),
    ("552 5.3.4 Message size exceeds fixed limit", "5.3.4", SOFT, Blame.CONTENT),
    ("something nobody has ever said", "5.0.0", SOFT, Blame.UNKNOWN),
    ("", "5.1.1", HARD, Blame.ADDRESS),
]  # fmt: skip


@pytest.mark.parametrize(("diagnostic", "status", "verdict", "blame"), DSNS)
def test_a_delivery_status_says(diagnostic: str, status: str, verdict: Verdict, blame: Blame | None) -> None:
    said = classify_report(dsn(diagnostic, status))

    assert said.verdict is verdict
    assert blame is None or said.blame is blame
    assert said.recipients == ("ada@example.org",)


def test_a_delay_is_never_a_bounce() -> None:
    assert classify_report(dsn("550 5.1.1 User unknown", "4.1.1", "delayed")).verdict is DELAYED


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_a_success_report_is_no_bounce(action: str) -> None:
    said = classify_report(dsn("250 2.1.5 Ok", "2.1.5", action))

    assert (said.verdict, said.reason) == (NOT, "delivered")


def test_words_of_our_own_returned_mail_are_not_the_servers() -> None:
    """The returned mail above says "user unknown" in its body."""
    assert classify_report(dsn("", "5.0.0")).verdict is SOFT
    text = "Your mail was not delivered.\n\n----- Original message -----\n\n550 5.1.1 user unknown"
    assert classify_report(plain("Undelivered Mail", text)).verdict is SOFT


def test_the_worst_of_several_recipients_counts() -> None:
    two = dsn("452 4.2.2 Mailbox full", "4.2.2").replace(
        b"Final-Recipient",
        b"Final-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\nFinal-Recipient",
        1,
    )

    said = classify_report(two)

    assert said.verdict is HARD
    assert said.recipients == ("bob@example.org", "ada@example.org")


FREE = [
    (plain("failure notice", "Hi. This is the qmail-send program.\n\n<ada@example.org>:\n192.0.2.1 does not like recipient.\n"
           "Remote host said: 550 5.1.1 user unknown\nGiving up on 192.0.2.1.\n\n--- Below this line is a copy of the message.\n\nx"), HARD),
    (plain("Mail delivery failed: returning message to sender", "The following address(es) failed:\n\n  ada@example.org\n"
           "    mailbox is full: retry timeout exceeded\n", X_Failed_Recipients="ada@example.org"), SOFT),
    (plain("Warning: message delayed 24 hours", "A message has not yet been delivered to ada@example.org.\n"
           "No action is required on your part. Delivery attempts will continue."), DELAYED),
    (plain("Undeliverable: hello", "Your message did not reach ada@example.org. It was rejected by policy."), SOFT),
    (plain("Automatic reply: Spring offer", "I am away. My mailbox is full of 550 unread mails.", "Ada <ada@example.org>"), NOT),
    (plain("Re: Spring offer", "User unknown until Monday :)", "ada@example.org", Auto_Submitted="auto-replied"), NOT),
    (plain("Re: Spring offer", "Thank you, see you there!", "ada@example.org"), NOT),
    (plain("Not read: Spring offer", "It was deleted.", "ada@example.org"), NOT),
    (plain("Report Domain: example.com Submitter: google.com", "", "noreply@google.example"), NOT),
    (plain("unsubscribe", "", "ada@example.org"), Verdict.UNSUBSCRIBE),
    (plain("", "", "ada@example.org"), Verdict.UNSUBSCRIBE),
    (plain("Re: Spring offer", "Please remove me from your list.\n\n> To unsubscribe click here", "ada@example.org"), Verdict.UNSUBSCRIBE),
    (plain("Re: Spring offer", "Great!\n\n> Unsubscribe: https://example.com/u/x", "ada@example.org"), NOT),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "verdict"), FREE)
def test_free_text_says(raw: bytes, verdict: Verdict) -> None:
    assert classify_report(raw).verdict is verdict


def test_who_failed_is_found_in_free_text_without_ourselves() -> None:
    raw, _ = FREE[0]

    assert classify_report(raw).recipients == ("ada@example.org",)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("abuse", Verdict.COMPLAINT), ("fraud", Verdict.COMPLAINT), ("virus", Verdict.COMPLAINT), ("other", Verdict.COMPLAINT),
     ("opt-out", Verdict.UNSUBSCRIBE), ("not-spam", NOT), ("auth-failure", NOT)],
)  # fmt: skip
def test_feedback_of_each_type(kind: str, verdict: Verdict) -> None:
    raw = build_complaint(mail_from="b+x@b.example", rcpt_to="ada@example.org", raw=OURS, at=utc_now(), number=1)

    said = classify_report(raw.replace(b"Feedback-Type: abuse", f"Feedback-Type: {kind}".encode()))

    assert said.verdict is verdict


def test_our_own_catcher_writes_reports_that_every_reader_understands() -> None:
    raw = build_dsn(
        mail_from="b+x@b.example", rcpt_to="ada@example.org", raw=OURS, status="5.1.1", at=utc_now(), number=7
    )

    (report,) = parse_dsn(read_mail(raw))
    assert (report.recipient, report.action, report.status) == ("ada@example.org", "failed", "5.1.1")
    assert parse_arf(read_mail(raw)) is None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 1_200), st.binary(max_size=40))
def test_no_input_raises(noise: bytes, place: int, insert: bytes) -> None:
    base = dsn("550 5.1.1 User unknown", "5.1.1")

    for raw in (noise, base[:place] + insert + base[place:], base[:place]):
        said = classify_report(raw)
        assert "\0" not in said.evidence + "".join(said.recipients)
        said.evidence.encode()


HOSTILE = {
    "words that run together": b"From: a@b.example\r\nSubject: remove from " + b"ala" * 60 + b"x\r\n\r\nhi",
    "blanks below a heading": plain("failure notice", ("header fields:\n" + " " * 19_000 + "\n\n") * 15),
    "headings in headings": plain("failure notice", " a: header fields:\n" * 15_000 + "\n\n"),
    "one line of keys": plain("failure notice", "header copy of follow " * 13_000),
    "spaces": plain("Undelivered", " " * 200_000),
    "lines": plain("Undelivered", "\n" * 200_000),
    "words": plain("Undelivered", "mailbox is " * 50_000),
    "dashes": plain("Undelivered", "-" * 100 + "\n" * 3 + ("- " * 60 + "\n") * 2_000),
    "addresses": plain("Undelivered", "a@" * 100_000),
    "comments": b"Content-Type: text/html\r\nSubject: Undelivered\r\n\r\n" + b"<!--" * 50_000,
    "groups": b"Content-Type: message/delivery-status\r\n\r\n" + b"Final-Recipient: rfc822; a@b\r\n\r\n" * 20_000,
    "subject": plain("user " * 20_000, "x"),
    "nested": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_input_takes_long(name: str) -> None:
    begun = process_time()

    classify_report(HOSTILE[name])

    assert process_time() - begun < 5


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "punycode", "idna", "hex", "no-such", ""])
def test_only_charsets_of_mail_are_believed(charset: str) -> None:
    """Python has codecs that warn, that run programs' escapes, or that take minutes; none of them is of mail."""
    assert decode_bytes(b"\\q \\x41 550-", charset) == "\\q \\x41 550-"


@pytest.mark.parametrize(("raw", "charset", "text"), [("é".encode(), "utf-8", "é"), (b"\xe9", "iso-8859-1", "é"),
                                                      (b"\xe9", "utf-8", "é"), ("宛先".encode("iso-2022-jp"), "ISO-2022-JP", "宛先")])  # fmt: skip
def test_a_charset_that_lies_costs_no_word(raw: bytes, charset: str, text: str) -> None:
    assert decode_bytes(raw, charset) == text
