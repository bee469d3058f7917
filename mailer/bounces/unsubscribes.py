"""Requests to be left alone: the mails that List-Unsubscribe headers promise, and people's own words. Pure.

"Unsubscribe" counts only as a clear request (RFC 2369, section 3.2): the whole subject of a mailto unsubscribe, its
address, or a first sentence that asks for it.
"""

import re

from mailer.bounces.mail import Part
from mailer.bounces.request_texts import REQUESTS
from mailer.delivery.phrases import Phrases, fold

_QUOTE = re.compile(
    r"^(?:>|on .{5,80} wrote:|am .{5,80} schrieb|le .{5,80} a [ée]crit|el .{5,80} escribi|il .{5,80} ha scritto"
    r"|den .{5,80} skrev"
    r"|op .{5,80} schreef|-{3,}|_{5,}|(?:from|von|de|fra|från|van|da): )",
    re.IGNORECASE,
)
# Subjects and sentences are looked at folded: in lower case, without accents (delivery/phrases.py).
_CLEAR = (
    r"(?:un-?subscri\w*|list-?unsubscribe|signoff|opt[ -]?out|optout|abmeld\w*|abbestell\w*|austragen|avregistrera\w*"
    r"|avprenumerera\w*|avmeld\w*|afmeld\w*|frameld\w*|uitschrijv\w*|des(?:inscri\w*|abonn\w*)|baja|darse de baja"
    r"|disiscri\w*|descadastr\w*|отпис\w*|wypisz|odhlasit\w*|配信停止|登録解除|退订|取消订阅|수신거부)"
)
_WORD = rf"(?:{_CLEAR}|remove(?: me)?|stop|leave|cancella(?:mi|zione)?|cancelar)"
_BESIDE = (
    r"(?:me|us|please|request|from|the|this|your|our|mailing|list\w*|newsletter|e-?mails?|bitte|vom|von|dem|der|aus"
    r"|verteiler|del|de|la|al|lista|boletin|dalla|a|liste|van|nieuwsbrief|fran|fra|nyhets?brev\w*|nyhedsbrev\w*)"
)
_SUBJECT = re.compile(
    rf"\W*{_WORD}\W*|\W*(?:un-?subscribe|list-unsubscribe|optout|signoff|abmelden|abbestellen|desinscription)\b.{{0,120}}"
    rf"|\W*(?:{_BESIDE}\W+)*{_CLEAR}(?:\W+{_BESIDE})*\W*|\W*remove (?:me )?from (?:{_BESIDE}\b\W*)+"
)
_ANSWERED = re.compile(rf"\W*(?:(?:re|aw|sv|tr|antw|r|vs): ?)+{_WORD}\W*")
_TO = re.compile(
    r"(?:^|[<\s,\"])(?:un-?sub\w*|leave|opt-?out|remove|signoff|list-?unsub\w*)(?:[-+.=][^@\s]{0,200})?@"
    r"|[-+.](?:unsubscribe|leave|unsub)@",
    re.IGNORECASE,
)
_ALONE = re.compile(rf"\W*{_WORD}\W*")
_REQUESTS = Phrases([(True, REQUESTS)])
_QUESTION = re.compile(r"\bhow (?:do|can|to)\b|\bcolleague\b|\bwhy\b|\bwie kann\b|\bwarum\b")
_ASKING = re.compile(r"\?(?:\s|$)")
_POLITE = re.compile(
    r"\b(?:can|could|would|will) you\b|\bko[e]?nn(?:t?en) sie\b|\bwurden sie\b|\bpou(?:vez|rriez)[- ]vous\b"
    r"|\b(?:puede|podria|pueden|potete|potreste|pode|poderia|poderiam|kunt u|kan (?:ni|du|dere|i)|czy mozecie)\b"
    r"|можете|могли бы"
)
_FIRST_LINES, _MAX_WORDS, _MAX_SUBJECT = 6, 1_500, 200


def asks_by_mailto(mail: Part) -> bool:
    """Tell whether a mail program sent what a List-Unsubscribe header asks for: by its address or its whole subject."""
    subject = fold(mail.subject, _MAX_SUBJECT)
    return _SUBJECT.fullmatch(subject) is not None or any(
        _TO.search(value) for value in mail.get_all("to", "delivered-to")
    )


def asks_to_unsubscribe(mail: Part, text: str) -> bool:
    """Tell whether a person, or a mail program for a person, asks to be left alone."""
    if asks_by_mailto(mail) or _ANSWERED.fullmatch(fold(mail.subject, _MAX_SUBJECT)):
        return True
    if not (mail.subject.strip() or text.strip()):
        return True  # some mail programs send the mailto of List-Unsubscribe with nothing in it
    words = fold(" ".join(_own_lines(text)), _MAX_WORDS)
    if _ALONE.fullmatch(words):
        return True
    return _REQUESTS.find(words) is not None and not _is_question(words)


def _is_question(words: str) -> bool:
    """Tell whether somebody asks about leaving instead of for it; "could you remove me?" is a polite request."""
    if _QUESTION.search(words):
        return True
    return _ASKING.search(words) is not None and _POLITE.search(words) is None


def _own_lines(text: str) -> list[str]:
    """Return the first lines that the person wrote, the quoted mail cut off: it holds our own unsubscribe link."""
    lines: list[str] = []
    for line in text.splitlines():
        if _QUOTE.match(line.strip()):
            break
        if line.strip():
            lines.append(line.strip())
    return lines[:_FIRST_LINES]
