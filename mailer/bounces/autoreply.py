"""Mail of programs that answer for people: vacation notes, tickets, challenges, receipts (RFC 3834, RFC 8098). Pure.

None of these is a bounce, whatever its words. What the standard marks comes first; wording helps where programs leave
the marks out.
"""

import re

from mailer.bounces.mail import Part

_MARKS = (
    "x-autoreply", "x-autorespond", "x-autoreply-from", "x-autoresponder", "x-vacation", "x-auto-responder",
    "x-mail-autoreply",
    "x-facebook-notify", "x-ebay-mailtracker", "x-jira-fingerprint", "x-zendesk-from-account-id",
    "x-otrs-autoreply", "x-rt-ticket",
)  # fmt: skip
_AUTO_SUBJECT = re.compile(
    r"\bout[ -]of[ -](?:the[ -])?(?:office|town)|\bo{2,3}\b[:\]]|\bauto(?:matic|mated|matisk|m[áa]tica?|matique"
    r"|matisch\w*)?[ -_]?"
    r"(?:reply|response|respon[ds]\w*|antwort|svar|antwoord|acknowledg\w*|answer|mail notification)\b|autorepl"
    r"|autoresp|auto:|\bvacation\b"
    r"|\bholiday (?:notice|reply)|away (?:from|until|message)|on (?:annual|maternity|parental|paternity|sick) leave"
    r"|on leave"
    r"|i(?:'m| am) (?:away|out|on)|not in the office|abwesen|absence|absen[tz]|urlaub|eingangsbest[äa]tigung"
    r"|automatische[rs]? "
    r"|r[ée]ponse auto|absence du bureau|cong[ée]s|accus[ée] de r[ée]ception|fuera de (?:la )?oficina|respuesta auto"
    r"|ausen[tc]"
    r"|confirmaci[óo]n de recepci[óo]n|risposta auto|fuori (?:sede|ufficio)|assen[tz]|resposta auto"
    r"|fora do escrit[óo]rio|f[ée]rias"
    r"|frånvaro|frav[æær]|autosvar|automatisk|ferie|semester|poissa|afwezig|automatisch antwoord|niet aanwezig"
    r"|nieobecn|autoodpow"
    r"|автоответ|отпуск|вне офиса|otomatik|távollét|nepřítomn|mimo kancel|自動(?:応答|返信|回答)|不在|自动(?:回复"
    r"|答复)|休假|부재중|자동",
    re.IGNORECASE,
)
_TICKET_SUBJECT = re.compile(
    r"^\W*(?:ticket|case|request|re: \[?ticket|support request|anfrage)\b.{0,40}(?:received|created|opened|erhalten"
    r"|eingegangen|#\d)"
    r"|(?:we(?:'ve| have) received|thank(?:s| you) for (?:your (?:e-?mail|message|inquiry|enquiry|request)"
    r"|contacting|writing|getting))"
    r"|ihre anfrage|vielen dank f[üu]r ihre|votre (?:demande|message) a|hemos recibido|challenge|please confirm"
    r"|confirm your (?:e-?mail|message)"
    r"|verify (?:your (?:e-?mail|message)|that you)|action required.*(?:deliver|sender)|sender verification"
    r"|waiting for (?:your )?approval"
    r"|awaits moderator|held for (?:approval|moderation)|anti-?spam (?:uol|filter|challenge)",
    re.IGNORECASE,
)
_AUTO_WORDS = re.compile(
    r"(?:out of (?:the )?office|on (?:vacation|annual leave|holiday|maternity leave|parental leave)|away from (?:my"
    r"|the) (?:office|desk|e-?mail)"
    r"|(?:this is an? )?auto(?:matic|mated)(?:ally)?[ -](?:reply|response|generated|respon)"
    r"|limited access to (?:my )?e-?mail|i am (?:currently )?(?:away|out)"
    r"|will (?:be back|return)(?: in the office)? on|no longer (?:work|employed|with the company|at)"
    r"|has left the company"
    r"|nicht im (?:b[üu]ro|haus)|im urlaub|bin (?:ich )?(?:bis|vom|ab|derzeit|zur zeit).{0,60}(?:erreichbar|abwesend"
    r"|b[üu]ro)|außer haus"
    r"|absent\(?e?\)? (?:du|jusqu)|en cong[ée]s|actuellement absent|fuera de la oficina|estar[ée] (?:ausente|fuera)"
    r"|de vacaciones"
    r"|fuori ufficio|sar[òo] assente|in ferie|fora do escrit|estarei ausente|de f[ée]rias|afwezig|niet aanwezig"
    r"|op vakantie"
    r"|inte p[åa] kontoret|p[åa] semester|ikke p[åa] kontoret|p[åa] ferie|i ferie|fravær|lomalla|poissa|в отпуске"
    r"|вне офиса|nieobecn"
    r"|不在に|休暇|外出|休假|不在办公室)",
    re.IGNORECASE,
)
_RECEIPT = re.compile(
    r"^(?:read|not read|gelesen|ungelesen|lu|non lu|l[æe]st|le[ií]do|no le[ií]do|letto|non letto|gelezen|lido"
    r"|n[ãa]o lida?|l[äa]st"
    r"|ol[äa]st|prochteno|прочитано|開封済み)\s*: |return receipt|read receipt|lesebest[äa]tigung"
    r"|confirmation de lecture|accus[ée] de lecture"
    r"|confirmaci[óo]n de lectura|conferma di lettura|message disposition|l[æe]sekvittering|开封|已读",
    re.IGNORECASE,
)
_DMARC_SUBJECT = re.compile(
    r"^\W*report[ -]domain:|dmarc (?:aggregate|forensic|failure)|^\[preview\] report domain|\breport-id:|tls-?rpt"
    r"|smtp tls report",
    re.IGNORECASE,
)


def is_receipt(mail: Part) -> bool:
    """Tell whether this says that a mail was shown or deleted: a disposition notification (RFC 8098)."""
    if mail.param("report-type") == "disposition-notification":
        return True
    if any(part.content_type == "message/disposition-notification" for part in mail.walk()):
        return True
    return _RECEIPT.search(mail.subject) is not None


def is_domain_report(mail: Part) -> bool:
    """Tell whether this is a report about domains, not people: DMARC (RFC 7489), TLS (RFC 8460)."""
    return _DMARC_SUBJECT.search(mail.subject) is not None or mail.param("report-type") == "tlsrpt"


def is_marked(mail: Part) -> bool:
    """Tell whether a header says that a program answered (RFC 3834, section 5, and what came before it)."""
    submitted = mail.get("auto-submitted").lower()
    precedence = mail.get("precedence").lower().replace("_", "-")
    if submitted.startswith(("auto-replied", "auto-notified")) or precedence in ("auto-reply", "autoreply"):
        return True
    return any(mark in mail for mark in _MARKS)


def is_auto_reply(mail: Part, text: str) -> bool:
    """Tell whether a program answered for a person; only for mail that no mail server sent."""
    subject = mail.subject
    if is_marked(mail) or _AUTO_SUBJECT.search(subject) or _TICKET_SUBJECT.search(subject):
        return True
    return _AUTO_WORDS.search(text[:1_500]) is not None


def is_named_auto_reply(mail: Part) -> bool:
    """Tell whether the subject itself says so."""
    return _AUTO_SUBJECT.search(mail.subject) is not None or _TICKET_SUBJECT.search(mail.subject) is not None
