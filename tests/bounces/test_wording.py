"""Mails in the words of many servers and people, written from knowledge of what these write.

Each is one that a server or a person might send to anybody; none is taken from a message of somebody else.
"""
# ruff: noqa: E501 - samples are kept on their lines

import pytest

from mailer.bounces.classify import classify_report


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
