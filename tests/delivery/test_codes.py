"""Real-looking replies and what each means (RFC 5321, section 4.2; RFC 3463)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.delivery.codes import NextStep, Phase, classify_reply, parse_relay_id, parse_reply_text
from mailer.statuses import Blame

ACC, RETRY, ADDR, BOX = NextStep.ACCEPTED, NextStep.RETRY, NextStep.REJECT_ADDRESS, NextStep.REJECT_MAILBOX
SENDER, CONTENT, SLOW = NextStep.SENDER_POLICY, NextStep.CONTENT, NextStep.THROTTLE

REPLIES = [
    # accepted
    ("250 2.0.0 Ok: queued as 4VxYz12abc", "dot", ACC),
    ("250 2.0.0 OK  1700000000 a1-20020a05sor123 - gsmtp", "dot", ACC),
    ("251 2.1.5 User not local; will forward", "rcpt", ACC),
    # the address is dead
    ("550-5.1.1 The email account that you tried to reach does not exist. Please try", "rcpt", ADDR),
    ("550 5.1.1 <x@example.com>: Recipient address rejected: User unknown in virtual mailbox table", "rcpt", ADDR),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "rcpt", ADDR),
    ("550 Requested action not taken: mailbox unavailable", "rcpt", ADDR),
    ("550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", "rcpt", ADDR),
    ("554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0]", "dot", ADDR),
    ("553 5.3.0 <x@example.com>... Unknown E-Mail Address", "rcpt", ADDR),
    ("550 No such user here", "rcpt", ADDR),
    ("550 5.7.1 <x@example.com>: Recipient address rejected: User unknown", "rcpt", ADDR),
    ("511 sorry, no mailbox here by that name (#5.1.1 - chkuser)", "rcpt", ADDR),
    ("550 5.2.1 The email account that you tried to reach is disabled.", "rcpt", ADDR),
    ("550 5.2.1 Mailbox disabled, not accepting messages", "rcpt", ADDR),
    ("550 5.1.2 <x@nowhere.example>: Recipient address rejected: Domain not found", "rcpt", ADDR),
    ("556 5.1.10 <x@example.com>: Domain example.com does not accept mail (nullMX)", "rcpt", ADDR),
    ("550 5.1.6 Mailbox has moved, no forwarding address", "rcpt", ADDR),
    ("550 unrouteable address", "rcpt", ADDR),
    ("550 #5.1.0 Address rejected.", "rcpt", ADDR),
    ("550 5.1.1 sid=unknown user not found", "rcpt", ADDR),
    # the mailbox is full
    ("552 5.2.2 <x@example.com>: Recipient address rejected: Mailbox full", "rcpt", BOX),
    ("552-5.2.2 The recipient's inbox is out of storage space and inactive.", "rcpt", BOX),
    ("550 5.1.1 user is over quota", "rcpt", BOX),
    ("554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException", "dot", BOX),
    ("552 Requested mail action aborted: exceeded storage allocation", "dot", BOX),
    # another try
    ("452 4.2.2 Mailbox full", "rcpt", RETRY),
    ("450 4.2.1 The user you are trying to contact is currently unavailable", "rcpt", RETRY),
    ("451 4.3.0 Temporary lookup failure", "rcpt", RETRY),
    ("451 4.3.0 Error: queue file write error", "dot", RETRY),
    ("452 4.3.1 Insufficient system storage", "mail", RETRY),
    ("450 4.1.1 <x@example.com>: Recipient address rejected: unverified address", "rcpt", RETRY),
    ("450 4.1.8 <a@b.example>: Sender address rejected: Domain not found", "rcpt", RETRY),
    ("550 5.1.1 user unknown, please try again later", "rcpt", RETRY),
    # slow down
    ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1", "mail", SLOW),
    ("421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP", "dot", SLOW),
    ("450 4.7.1 <x@example.com>: Recipient address rejected: Greylisted, see http://example.org", "rcpt", SLOW),
    ("451 4.7.1 Greylisting in action, please come back later", "rcpt", SLOW),
    ("451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.", "mail", SLOW),
    ("454 4.7.0 Temporary authentication failure", "mail", SLOW),
    ("421 4.3.2 Service not available, closing transmission channel", "mail", SLOW),
    ("452 4.5.3 Too many recipients", "rcpt", SLOW),
    ("450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents", "rcpt", SLOW),
    ("550 5.4.5 Daily user sending limit exceeded", "dot", SLOW),
    ("454 Throttling failure: Maximum sending rate exceeded.", "dot", SLOW),
    # the sender's matter: no contact suffers
    (
        "550 5.7.515 Access denied, sending domain example.com does not meet the required authentication level",
        "dot",
        SENDER,
    ),
    ("550-5.7.26 This mail has been blocked because the sender is unauthenticated.", "dot", SENDER),
    ("550 5.7.1 Unauthenticated email from example.com is not accepted due to domain's DMARC policy", "dot", SENDER),
    ("550 5.7.25 The IP address sending this message does not have a PTR record", "dot", SENDER),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "rcpt", SENDER),
    ("554 5.7.1 <x@example.com>: Relay access denied", "rcpt", SENDER),
    ("550 5.7.64 TenantAttribution; Relay Access Denied", "rcpt", SENDER),
    ("553 5.1.8 <a@b.example>: Sender address rejected: Domain not found", "mail", SENDER),
    ("530 5.7.0 Must issue a STARTTLS command first", "mail", SENDER),
    ("550 5.7.1 Message rejected due to local policy", "dot", SENDER),
    ("550 5.7.606 Access denied, banned sending IP [192.0.2.1]", "mail", SENDER),
    ("554 5.7.1 Email address is not verified.", "dot", SENDER),
    ("550 5.1.8 Access denied, bad outbound sender", "mail", SENDER),
    # the mail itself
    ("552 5.3.4 Message size exceeds fixed limit", "mail", CONTENT),
    ("550 5.7.1 Our system has detected that this message is likely unsolicited mail", "dot", CONTENT),
    ("554 5.7.1 Message contains a virus: Eicar-Test-Signature", "dot", CONTENT),
    ("550 5.6.0 Lone CR or LF in headers", "dot", CONTENT),
    ("554 Transaction failed: Duplicate header 'From'.", "dot", CONTENT),
    # nothing that we know
    ("550 Nope", "rcpt", BOX),
    ("554 Nope", "dot", CONTENT),
    ("550 Nope", "mail", SENDER),
    # before any mail
    ("554 5.7.1 No SMTP service here, your IP is listed at dnsbl.example.org", "greeting", SENDER),
    ("421 4.7.0 Too many connections from your host", "greeting", SLOW),
    ("535 5.7.8 Error: authentication failed", "auth", SENDER),
    ("550 5.1.1 user unknown", "ehlo", SENDER),
]


@pytest.mark.parametrize(("line", "phase", "step"), REPLIES)
def test_reply_means(line: str, phase: str, step: NextStep) -> None:
    reply = parse_reply_text([line.encode()], Phase(phase))

    verdict = classify_reply(reply.code, reply.enhanced, reply.text, reply.phase)

    assert verdict.step is step
    if step in (SENDER, SLOW, CONTENT):
        assert verdict.blame not in (Blame.ADDRESS, Blame.MAILBOX)


@given(
    st.integers(200, 599),
    st.sampled_from(["", "4.1.1", "5.1.1", "5.7.1", "5.0.0", "9.9.9"]),
    st.text(max_size=80),
    st.sampled_from(Phase),
)
def test_every_reply_has_a_verdict(code: int, enhanced: str, text: str, phase: Phase) -> None:
    verdict = classify_reply(code, enhanced, text, phase)

    if verdict.is_permanent:
        assert code >= 500
    if verdict.blame in (Blame.ADDRESS, Blame.MAILBOX) and verdict.is_permanent:
        assert phase in (Phase.LOCAL, Phase.RSET, Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.BODY, Phase.DOT)


@given(
    st.text(max_size=60),
    st.sampled_from([Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH]),
    st.integers(400, 599),
)
def test_no_contact_pays_for_a_session_that_was_refused(text: str, phase: Phase, code: int) -> None:
    verdict = classify_reply(code, "", text, phase)

    assert not verdict.is_permanent
    assert verdict.blame not in (Blame.ADDRESS, Blame.MAILBOX)


def test_a_reply_is_one_safe_line() -> None:
    reply = parse_reply_text([b"550-5.1.1 one\x00\x1b[31m", b"550-5.1.1 two\xff", b"550 5.1.1 three\r"], Phase.RCPT)

    assert reply.enhanced == "5.1.1"
    assert reply.text == "one [31m two\N{REPLACEMENT CHARACTER} three"


@pytest.mark.parametrize(
    ("text", "relay_id"),
    [
        ("Ok: queued as 4VxYz12abc", "4VxYz12abc"),
        ("OK id=1rAbCd-0001Xy-2B", "1rAbCd-0001Xy-2B"),
        ("Ok 010001890abcdef0-12345678-1234-1234-000000", "010001890abcdef0-12345678-1234-1234-000000"),
        ("<abc@example.com> [InternalId=123, Hostname=X] Queued mail for delivery", "abc@example.com"),
        ("Great success", ""),
        ("OK", ""),
        ("Message accepted for delivery", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_relays_own_id_is_read(text: str, relay_id: str) -> None:
    assert parse_relay_id(text) == relay_id
