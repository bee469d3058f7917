"""Mail from people and their programs: auto-replies, receipts, and requests to be left alone. Pure.

None of these is a bounce, whatever its words (RFC 3834, RFC 8098). "Unsubscribe" counts only as a clear request: the
whole subject of a mailto unsubscribe, or a first sentence that asks for it.
"""

import re
from email.message import Message

_AUTO_SUBJECT = re.compile(
    r"\b(?:out of (?:the )?office|auto(?:matic|mated)?[ -]?(?:reply|response|respon[ds]|antwort|svar)"
    r"|autorepl|autoresp|vacation|away (?:from|until)"
    r"|abwesen|absence|r[ée]ponse automatique|fuera de (?:la )?oficina|respuesta autom|risposta automatica"
    r"|frånvaro|frav[æä]r|autosvar|poissa)|自動(?:応答|返信)|不在",
    re.IGNORECASE,
)
_REPORT_SUBJECT = re.compile(
    r"^report domain:|dmarc (?:aggregate|forensic|failure)|^\[preview\] report domain", re.IGNORECASE
)
_RECEIPT = re.compile(r"^(?:read|not read|gelesen|lu|l[æe]st|le[ií]do): |return receipt|read receipt", re.IGNORECASE)
_QUOTE = re.compile(r"^(?:>|on .{5,80} wrote:|am .{5,80} schrieb|le .{5,80} a écrit|-{3,}|_{5,}|from: )", re.IGNORECASE)
_UNSUBSCRIBE_SUBJECT = re.compile(
    r"^(?:re: |aw: |sv: )?(?:unsubscribe|remove|abmelden|avregistrera|avmeld|opt[ -]?out|stop)\b(?: [\w.@+-]+)?$",
    re.IGNORECASE,
)
_UNSUBSCRIBE_WORDS = re.compile(
    r"^\W*(?:stop|unsubscribe|remove|opt[ -]?out|abmelden|avslutt|avsluta)\W*$"
    r"|(?:please |pls |bitte |kindly )?(?:remove|take|delete|unsubscribe|drop) (?:me|us|my (?:e-?mail"
    r"|address)|this (?:e-?mail|address))\b|\b(?:me|us) off (?:this|your|the) (?:mailing )?list"
    r"|stop (?:sending|e-?mailing|mailing|contacting)|(?:do not|don't|never) (?:e-?mail|mail|contact"
    r"|send) (?:me|us)\b|no longer (?:want|wish) to receive|opt (?:me )?out\b|i want to (?:unsubscribe"
    r"|opt out)"
    r"|aus (?:dem|ihrem|eurem) (?:e-?mail-?)?verteiler|(?:bitte|möchte).{0,40}abmelden"
    r"|keine (?:weiteren )?(?:e-?mails|newsletter) mehr"
    r"|d[ée]s(?:in|a)(?:scri|bonn)|ne plus recevoir|darme de baja|dar de baja|d[ée]n?me de baja"
    r"|no (?:quiero|deseo) recibir|cancellami|disiscri|avregistrera mig|meld meg av|ta (?:mig|meg) bort"
    r"|afmeld|uitschrijven",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"\bhow (?:do|can|to)\b|\bcolleague\b|\?\s", re.IGNORECASE)
_FIRST_LINES = 6


def is_auto_reply(message: Message, subject: str) -> bool:
    """Tell whether a program answered for a person: vacation notes, tickets, challenges, read receipts."""
    submitted = str(message.get("Auto-Submitted", "")).lower()
    precedence = str(message.get("Precedence", "")).lower().replace("-", "_")
    if message.get_param("report-type") == "disposition-notification" or _RECEIPT.search(subject):
        return True
    if submitted.startswith("auto-replied") or precedence in ("auto_reply", "autoreply"):
        return True
    marks = ("X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress", "X-Autoresponder", "X-Vacation")
    return any(message.get(mark) is not None for mark in marks) or _AUTO_SUBJECT.search(subject) is not None


def is_dmarc_report(subject: str) -> bool:
    """Tell whether this is a DMARC report (RFC 7489), which is about domains, not about people."""
    return _REPORT_SUBJECT.search(subject) is not None


def asks_to_unsubscribe(subject: str, text: str) -> bool:
    """Tell whether a person, or a mail program for a person, asks to be left alone."""
    if _UNSUBSCRIBE_SUBJECT.match(subject.strip()) or not (subject.strip() or text.strip()):
        return True  # some mail programs send the mailto of List-Unsubscribe with nothing in it
    words = " ".join(_own_lines(text))
    return bool(words) and _UNSUBSCRIBE_WORDS.search(words) is not None and _QUESTION.search(words + " ") is None


def _own_lines(text: str) -> list[str]:
    """Return the first lines that the person wrote, the quoted mail cut off: it holds our own unsubscribe link."""
    lines: list[str] = []
    for line in text.splitlines():
        if _QUOTE.match(line.strip()):
            break
        if line.strip():
            lines.append(line.strip())
    return lines[:_FIRST_LINES]
