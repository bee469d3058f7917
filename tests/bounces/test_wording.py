"""Sentences and mails in the words of many servers and people, written from knowledge of what these write.

Each line is one that a server or a person might send to anybody; none is taken from a message of somebody else.
"""
# ruff: noqa: E501 - samples are kept on their lines

import pytest

from mailer.bounces.classify import classify_report
from mailer.bounces.judge import judge

SENTENCES = """
hard|550 5.1.1 <x@y.example>... User unknown|5.1.1
hard|550 No Such User Here|
hard|550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos|
hard|550 Requested action not taken: mailbox unavailable|
hard|554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [-5]|
hard|550 5.1.1 RESOLVER.ADR.RecipNotFound; not found|
hard|550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient x@y not found by SMTP address lookup|
hard|550 5.4.1 Recipient address rejected: Access denied. AS(201806281)|
hard|550 #5.1.0 Address rejected x@y.example|
hard|551 not our customer|
hard|550 unrouteable address|
hard|Unrouteable address|
hard|unknown local-part "x" in domain "y.example"|
hard|550 unknown user|
hard|550-5.2.1 The email account that you tried to reach is disabled|5.2.1
hard|550 5.2.1 <x>... Mailbox disabled for this recipient|
hard|550 Account has been suspended|
hard|553 5.3.0 <x@y>... Addressee unknown, relay=[1.2.3.4]|
hard|550 5.1.1 unknown or illegal alias: x@y|
hard|Sorry, no mailbox here by that name. (#5.1.1)|
hard|550 sorry, no mailbox here by that name (#5.1.1 - chkuser)|
hard|Sorry,_no_mailbox_here_by_that_name._vpopmail_(#5.1.1)/|
hard|550 Invalid recipient x@y (Mode: normal)|
hard|550 x@y is not a valid mailbox|
hard|550 User x@y not found|
hard|550 MAILBOX NOT FOUND|
hard|Host or domain name not found. Name service error for name=y.example type=AAAA: Host not found|5.4.4
soft|Host or domain name not found. Name service error for name=y.example type=MX: Host not found, try again|4.4.3
hard|CNS: domain y.example not found|
hard|Sorry, I couldn't find any host named y.example. (#5.1.2)|
soft|CNAME lookup failed temporarily. (#4.4.3)|
hard|DNS Error: 12345 DNS type 'mx' lookup of y.example responded with code NXDOMAIN|
soft|DNS Error: 12345 DNS type 'mx' lookup of y.example responded with code SERVFAIL|
hard|all relevant MX records point to non-existent hosts|
hard|The domain y.example does not accept mail (nullMX)|5.1.10
hard|Domain of recipient has a null MX record|
hard|The e-mail address could not be found. Perhaps the recipient moved to a different e-mail organization, or there was a mistake in the address.|
hard|The recipient's e-mail address was not found in the recipient's e-mail system.|
hard|User x (x@y) not listed in Domino Directory|
hard|User not listed in public Name & Address Book|
hard|There is no such user|
hard|This account has been deactivated|
hard|550 5.1.6 recipient has moved|
hard|551 User has moved; please try <new@y>|
hard|Recipient no longer on server: x@y|
hard|mailbox for x@y does not exist|
hard|550 <x@y> is unknown to me|
hard|not a known user|
hard|Name not found in directory|
hard|The following recipients did not receive your message: x@y - Unknown recipient|
hard|Unknown user: x@y|
hard|The account or domain may not exist|
hard|550 Not a valid recipient|
hard|550 x@y: recipient invalid|
hard|550 Recipient Rejected: No account by that name here|
hard|550 address unknown|
hard|550-Callout verification failed: 550 No such person at this address|
hard|User account is expired|
hard|x@y not our account|
hard|550 5.1.1 sid=i01K1n00l0kn1Em01 Address rejected x@y. [code=28]|
hard|550 5.1.1 Mailbox for "x" not known here|
hard|x@y: invalid address|
hard|550 Mailbox does not exist!|
hard|Recipient address rejected: undeliverable address: host mx said: 550 unknown (in reply to RCPT TO command)|
hard|Der Empfänger existiert nicht|
hard|Empfängeradresse unbekannt|
hard|Utilisateur inconnu|
hard|El usuario no existe|
hard|Utente sconosciuto|
hard|Ontvanger onbekend|
hard|Mottagaren finns inte|
hard|Usuário desconhecido|
hard|宛先不明|
hard|No user by that name|
hard|mail.local: unknown name: x|
hard|procmail: Unknown user "x"|
hard|550 5.1.2 <x@y>... Host unknown (Name server: y: host not found)|
hard|550 Domain does not exist|
hard|No MX or A records for y.example|
soft|552 5.2.2 The email account that you tried to reach is over quota|
soft|452 4.2.2 The email account that you tried to reach is over quota|
soft|The recipient's mailbox is full|
soft|552 Requested mail action aborted: exceeded storage allocation|
soft|550 5.7.1 Mailbox full: quota|
soft|mailbox x@y has exceeded the limit|
soft|retry timeout exceeded|
soft|552 5.3.4 Message size exceeds fixed maximum message size|
soft|5.3.4 message header size exceeds limit|
soft|550 5.7.1 Unable to relay|
soft|553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)|
soft|550 5.7.1 Service unavailable; Client host [1.2.3.4] blocked using zen.spamhaus.org|
soft|554 5.7.1 The message from (<a@b>) with the subject of (test) matches a profile the Internet community may consider spam|
soft|550 5.7.1 Sender ID (PRA) Not Permitted|
soft|550 5.7.23 The message was rejected because of Sender Policy Framework violation|
soft|550 5.7.26 This mail has been blocked because the sender is unauthenticated|
soft|550 5.7.515 Access denied, sending domain b.example does not meet the required authentication level|
soft|421 4.7.0 [TSS04] Messages from 1.2.3.4 temporarily deferred due to unexpected volume or user complaints|
soft|421 RP-001 The mail server IP connecting to Outlook.com server has exceeded the rate limit allowed|
soft|550 SC-001 Mail rejected by Outlook.com for policy reasons|
soft|450 4.2.0 <x@y>: Recipient address rejected: Greylisted|
soft|451 4.7.1 Please try again later|
soft|450 4.1.1 <x@y>: Recipient address rejected: unverified address: connect to y: Connection refused|
soft|550 5.1.8 <a@b>: Sender address rejected: Domain not found|
soft|553 5.1.8 <a@b>... Domain of sender address a@b does not exist|
soft|550 Sender verify failed|
soft|550 Verification failed for <a@b> Sender verify failed|
soft|501 5.1.7 Bad sender address syntax|
soft|550 5.7.1 <a@b>: Sender address rejected: User unknown in local recipient table|
soft|550 Administrative prohibition|
soft|550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required|
soft|550 5.7.1 RESOLVER.RST.AuthRequired; authentication required|
soft|550 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient|
soft|554 5.4.6 Too many hops|
soft|mail forwarding loop|
soft|554 5.4.14 Hop count exceeded - possible mail loop ATTR34|
soft|550 High probability of spam|
soft|552 5.7.0 This message was blocked because its content presents a potential security issue.|
soft|550 5.7.1 Our system has detected that this message is likely unsolicited mail|
soft|550-5.7.1 [1.2.3.4] The IP you're using to send mail is not authorized|
soft|550 rejected because 1.2.3.4 is in a black list|
soft|Connected to 1.2.3.4 but connection died. (#4.4.2)|
soft|Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)|
soft|connect to mx.y[1.2.3.4]:25: Connection timed out|4.4.1
soft|Message expired, cannot connect to remote server|
soft|delivery temporarily suspended: lost connection with mx.y|
soft|550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy|
soft|554 mail server permanently rejected message (#5.3.0)|
soft|451 4.3.0 Error: queue file write error|
soft|local delivery failed|
soft|550 5.3.5 system config error|
soft|554 Transaction failed. Message rejected: DMARC|
soft|550 5.2.1 The user you are trying to contact is receiving mail too quickly|
soft|450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages|
soft|552 message too large|
soft|Recipient's mailbox is temporarily unavailable|
soft|450 Requested mail action not taken: mailbox unavailable|
soft|5.4.7 Delivery expired (message too old) 'timeout'|
soft|5.1.0 - Unknown address error 552-'Mailbox limit exceeded'|
hard|5.1.0 - Unknown address error 550-'5.1.1 user unknown'|
soft|Your message was rejected because the sender could not be verified|
soft|553 5.7.1 <a@b>: Sender address rejected: not owned by user c|
soft|550 relay not permitted|
soft|530 5.7.0 Must issue a STARTTLS command first|
soft|The group x may not exist, or you may not have permission to post messages to the group.|
soft|550 5.7.350 Remote server returned message detected as spam -> 554 5.7.1|
soft|550 5.7.1 Message contains a virus|
soft|554 5.7.9 Message not accepted for policy reasons|
soft|Recipient is not accepting mail from you|
soft|553 5.7.2 The user does not accept email from you|
soft|550 5.7.1 Recipient not authorized, your IP has been found on a block list|
soft|user is over the quota. You can try again later.|
soft|571 Message refused by sender policy|
soft|550 maximum allowed recipients exceeded|
soft|550 5.5.0 too many unknown users|
soft|452 4.5.3 too many recipients|
soft|553 Your domain is not allowed|
soft|delivery not authorized, message refused|
soft|The recipient has asked not to receive mail from this address|
soft|550 5.7.0 Local Policy Violation|
soft|421 Service not available, closing transmission channel|
soft|552 5.6.0 message contains NUL characters|
soft|554 5.6.0 Corrupt message content|
soft|554 5.6.3 Conversion required but not supported|
soft|550 5.7.511 Access denied, banned sender|
soft|550 5.7.606-649 Access denied, banned sending IP [1.2.3.4]|
soft|550-Message rejected: sender's domain does not exist|
soft|550 we don't accept mail from dynamic ip|
soft|server does not accept mail from your network|
soft|550 Envelope blocked - User Entry|
soft|Boîte pleine|
soft|Das Postfach des Empfängers ist voll|
soft|El buzón del destinatario está lleno|
soft|A caixa de correio está cheia|
"""
"""verdict | what the server says | enhanced code of the report."""


@pytest.mark.parametrize("line", SENTENCES.strip().splitlines())
def test_a_sentence_of_a_server_says(line: str) -> None:
    verdict, said, status = line.split("|")

    assert judge(said, status).verdict.value == verdict


def mail(sender: str, subject: str, body: str, **headers: str) -> bytes:
    """A mail of plain text."""
    more = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    return f"From: {sender}\nTo: news@sender.example\nSubject: {subject}\n{more}\n{body}\n".encode()


GOOGLE = "Mail Delivery Subsystem <mailer-daemon@googlemail.com>"
EXIM = "Mail Delivery System <Mailer-Daemon@mx.example.net>"
MAILS = [
    (
        "delayed",
        mail(
            GOOGLE,
            "Delivery Status Notification (Delay)",
            "This is an automatically generated Delivery Status Notification\n\nTHIS IS A WARNING MESSAGE ONLY.\n\nYOU DO NOT NEED TO RESEND YOUR MESSAGE.\n\nDelivery to the following recipient has been delayed:\n\n     a@b.example\n\nMessage will be retried for 2 more day(s)",
        ),
    ),
    (
        "delayed",
        mail(
            "MAILER-DAEMON@mx.example.net (Mail Delivery System)",
            "Delayed Mail (still being retried)",
            "This is the mail system at host mx.example.net.\n\n# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n\nYour message could not be delivered for more than 4 hour(s).\nIt will be retried until it is 5 day(s) old.\n\n<a@b.example>: connect to b.example[1.2.3.4]:25: Connection timed out",
        ),
    ),
    (
        "delayed",
        mail(
            EXIM,
            "Warning: message 1abcde-000 delayed 24 hours",
            "This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue on mx.\n\nThe address to which the message has not yet been delivered is:\n\n  a@b.example\n    Delay reason: mailbox is full\n\nNo action is required on your part. Delivery attempts will continue for\nsome time, and this warning may be repeated at intervals if the message\nremains undelivered. Eventually the mail delivery software will give up,\nand when that happens, the message will be returned to you.",
        ),
    ),
    (
        "delayed",
        mail(
            "postmaster@corp.example",
            "Delivery delayed: offer",
            "This is an automatically generated Delivery Status Notification.\nDelivery to these recipients or groups has been delayed: a@b.example. Microsoft Exchange will keep trying for the next 1 days, 23 hours. No action is required.",
        ),
    ),
    (
        "delayed",
        mail(
            "MAILER-DAEMON@mx",
            "Warning: could not send message for past 4 hours",
            "    **********************************************\n    **      THIS IS A WARNING MESSAGE ONLY      **\n    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\n    **********************************************\nThe original message was received at Thu\n\n   ----- Transcript of session follows -----\n451 b.example: Name server timeout\nWarning: message still undelivered after 4 hours\nWill keep trying until message is 5 days old",
        ),
    ),
    (
        "soft",
        mail(
            "MAILER-DAEMON@mx (Mail Delivery System)",
            "Undelivered Mail Returned to Sender",
            "I am sorry.\n\n<a@b.example>: connect to b.example[1.2.3.4]:25: Connection timed out",
        ),
    ),
    (
        "hard",
        mail(
            "MAILER-DAEMON@yahoo.com",
            "Failure Notice",
            "Sorry, we were unable to deliver your message to the following address.\n\n<a@b.example>:\n550: 5.1.1 <a@b.example>: Email address could not be found, or was misspelled (G8)",
        ),
    ),
    (
        "soft",
        mail(
            "MAILER-DAEMON@yahoo.com",
            "Failure Notice",
            "Sorry, we were unable to deliver your message to the following address.\n\n<a@b.example>:\nUnable to deliver message after multiple retries, giving up.",
        ),
    ),
    (
        "hard",
        mail(
            "postmaster@corp.example",
            "Unzustellbar: Angebot",
            "Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Verteilerlisten:\n\na@b.example\nDie eingegebene E-Mail-Adresse konnte nicht gefunden werden. Überprüfen Sie die E-Mail-Adresse",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            "postmaster@corp.example",
            "Non remis : offre",
            "Échec de la remise pour ces destinataires ou groupes :\n\na@b.example\nL'adresse de messagerie que vous avez entrée est introuvable.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            "postmaster@corp.example",
            "No se puede entregar: oferta",
            "No se pudo entregar a estos destinatarios o grupos:\n\na@b.example\nNo se encontró la dirección de correo electrónico que especificó.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            "postmaster@corp.example",
            "Non recapitabile: offerta",
            "Recapito non riuscito per i seguenti destinatari o gruppi:\n\na@b.example\nL'indirizzo di posta elettronica immesso non è stato trovato.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            "postmaster@corp.example",
            "Onbestelbaar: aanbieding",
            "Bezorging aan de volgende ontvangers of groepen is mislukt:\n\na@b.example\nHet opgegeven e-mailadres is niet gevonden.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            "postmaster@corp.example",
            "Kan inte levereras: erbjudande",
            "Det gick inte att leverera till följande mottagare eller grupper:\n\na@b.example\nDen e-postadress du angav hittades inte.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            "postmaster@corp.example",
            "Não entregue: oferta",
            "Falha na entrega a estes destinatários ou grupos:\n\na@b.example\nO endereço de e-mail inserido não foi encontrado.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            "postmaster@corp.example",
            "配信不能: お知らせ",
            "次の受信者またはグループへの配信に失敗しました:\n\na@b.example\n入力した電子メール アドレスが見つかりませんでした。",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            GOOGLE,
            "Delivery Status Notification (Failure)",
            "** Adresse nicht gefunden **\n\nDeine Nachricht wurde nicht an a@b.example zugestellt, weil die Adresse nicht gefunden wurde oder keine E-Mails empfangen kann.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            GOOGLE,
            "Delivery Status Notification (Failure)",
            "** Adresse introuvable **\n\nVotre message n'a pas été remis à a@b.example, car l'adresse est introuvable ou ne peut pas recevoir de messages.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "hard",
        mail(
            GOOGLE,
            "Delivery Status Notification (Failure)",
            "** No se encontró la dirección **\n\nTu mensaje no se entregó a a@b.example porque no se encontró la dirección o esta no puede recibir correo.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "soft",
        mail(
            GOOGLE,
            "Delivery Status Notification (Failure)",
            "** Message blocked **\n\nYour message to a@b.example has been blocked. See technical details below for more information.\n\nThe response was:\n\n550 5.7.1 [CS01] Message rejected due to local policy.",
        ),
    ),
    (
        "hard",
        mail(
            "Postmaster@imail.example", "Undeliverable Mail", "User mailbox exceeds allowed size: x@b.example"
        ).replace(
            b"User mailbox exceeds allowed size: x@b.example", b"Unknown user: x@b.example\n\nOriginal message follows."
        ),
    ),
    (
        "soft",
        mail(
            "Postmaster@imail.example",
            "Undeliverable Mail",
            "User mailbox exceeds allowed size: x@b.example\n\nOriginal message follows.",
        ),
    ),
    (
        "hard",
        mail(
            "postmaster@mailenable.example",
            "Message Delivery Failure",
            "MailEnable: Message Delivery Failure.\n\nThe following recipient(s) could not be reached:\n\n    Recipient: [SMTP:x@b.example]\n    Reason: The mailbox for the recipient does not exist",
        ),
    ),
    (
        "hard",
        mail(
            '"Courier mail server at mx" <@mx.example>',
            "NOTICE: mail delivery status.",
            "This is a delivery status notification from mx.example,\nrunning the Courier mail server, version 0.65.2.\n\nUNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be delivered:\n\n<x@b.example>:\n    mx.b.example [1.2.3.4]:\n>>> RCPT TO:<x@b.example>\n<<< 550 5.1.1 <x@b.example>... User Unknown",
        ),
    ),
    (
        "hard",
        mail(
            "Domino@corp.example",
            "DELIVERY FAILURE: User x (x@corp.example) not listed in Domino Directory",
            "Your message\n\n  Subject: Offer\n\nwas not delivered to:\n\n  x@corp.example\n\nbecause:\n\n  User x (x@corp.example) not listed in Domino Directory",
        ),
    ),
    (
        "soft",
        mail(
            "MAILER-DAEMON@mx",
            "failure notice",
            "Hi. This is the qmail-send program at mx.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<x@b.example>:\n1.2.3.4 failed after I sent the message.\nRemote host said: 554 5.7.1 rejected due to spam content\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <news@sender.example>",
        ),
    ),
    (
        "hard",
        mail(
            "MAILER-DAEMON@mx",
            "failure notice",
            "Hi. This is the qmail-send program at mx.\n\n<x@b.example>:\nSorry, I couldn't find any host named b.example. (#5.1.2)\n\n--- Below this line is a copy of the message.\n",
        ),
    ),
    (
        "not_bounce",
        mail(
            "Anna <anna@b.example>",
            "Abwesenheitsnotiz: Angebot",
            "Ich bin bis 12.5. nicht im Büro. In dringenden Fällen wenden Sie sich an 550 Kollegen.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "not_bounce",
        mail(
            "Anna <anna@b.example>", "Re: Offer", "Hej, jag är på semester till 12 maj.", Auto_Submitted="auto-replied"
        ),
    ),
    (
        "not_bounce",
        mail(
            "support@b.example",
            "[Ticket #4711] Your request has been received",
            "Thank you for contacting us. Your message could not be assigned yet.",
        ),
    ),
    (
        "not_bounce",
        mail(
            "noreply@b.example",
            "Please confirm your message",
            "To deliver your message, click here. Your message was not delivered yet.",
        ),
    ),
    (
        "not_bounce",
        mail(
            "Anna <anna@b.example>",
            "Re: Offer",
            "Dear team,\n\nthanks for the offer! My old address bounced, sorry. Use anna2@b.example.\n\nAnna",
        ),
    ),
    (
        "not_bounce",
        mail(
            "Anna <anna@b.example>",
            "no longer with the company",
            "Anna no longer works here. Please contact bob@b.example.",
            Auto_Submitted="auto-replied",
        ),
    ),
    ("not_bounce", mail("Ola <ola@b.example>", "Autosvar: Tilbud", "Jeg er på ferie.")),
    (
        "not_bounce",
        mail(
            "Mika <m@b.example>", "自動応答: お知らせ", "不在にしております。", Content_Type="text/plain; charset=utf-8"
        ),
    ),
    ("unsubscribe", mail("Anna <anna@b.example>", "Re: Offer", "Please take me off your mailing list.\n\nThanks")),
    ("unsubscribe", mail("Anna <anna@b.example>", "Re: Angebot", "Bitte nehmen Sie mich aus dem Verteiler.")),
    ("unsubscribe", mail("Anna <anna@b.example>", "unsubscribe", "")),
    ("unsubscribe", mail("Anna <anna@b.example>", "Unsubscribe", "This message was automatically generated by Gmail.")),
    (
        "unsubscribe",
        mail(
            "Anna <anna@b.example>",
            "Re: Offre",
            "Merci de me désinscrire de votre liste.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    (
        "unsubscribe",
        mail(
            "Anna <anna@b.example>",
            "Re: Oferta",
            "No deseo recibir más correos.",
            Content_Type="text/plain; charset=utf-8",
        ),
    ),
    ("unsubscribe", mail("Anna <anna@b.example>", "Re: Offer", "STOP")),
    ("unsubscribe", mail("Anna <anna@b.example>", "Re: Tilbud", "Meld meg av, takk.")),
    ("not_bounce", mail("Anna <anna@b.example>", "Re: Offer", "How can I unsubscribe my colleague who left?")),
    (
        "not_bounce",
        mail(
            "Anna <anna@b.example>",
            "Re: Offer",
            "Sounds great, count me in.\n\nOn Mon, News wrote:\n> To unsubscribe click here\n> 550 user unknown",
        ),
    ),
    (
        "hard",
        mail(
            "MDaemon@b.example",
            "Permanent Delivery Failure",
            "The attached message had PERMANENT fatal delivery errors!\n\n> x@b.example\n\n--- Session Transcript ---\n RCPT To:<x@b.example>\n 550 5.1.1 Recipient unknown",
        ),
    ),
    (
        "soft",
        mail(
            "postmaster@antispam.example",
            "Your mail has been blocked",
            "Your message to x@b.example was blocked because it contains a virus.",
        ),
    ),
    (
        "soft",
        mail(
            "MAILER-DAEMON@aol.example",
            "Mail Delivery Problem",
            "Your mail to the following recipients could not be delivered because they are not accepting mail with attachments or embedded images:\n   x",
        ),
    ),
    (
        "hard",
        mail(
            "EZweb <Postmaster@ezweb.ne.jp>",
            "Mail System Error - Returned Mail",
            "The user(s) account is disabled.\n\n<x@ezweb.ne.jp>: 550 user unknown",
        ),
    ),
    (
        "soft",
        mail(
            "postmaster@biglobe.example",
            "Returned mail",
            "   ----- The following addresses had delivery problems -----\n********.biglobe.ne.jp\n\nThe size of the mailbox exceeded the limit.",
        ),
    ),
    ("not_bounce", mail("postmaster@b.example", "Read: Offer", "Your message was read on Monday.")),
    (
        "not_bounce",
        mail("dmarc@google.example", "Report domain: sender.example Submitter: google.com Report-ID: 12", ""),
    ),
]


@pytest.mark.parametrize(("verdict", "raw"), MAILS)
def test_a_mail_says(verdict: str, raw: bytes) -> None:
    assert classify_report(raw).verdict.value == verdict
