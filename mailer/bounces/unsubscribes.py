"""Requests to be left alone: the mails that List-Unsubscribe headers promise, and people's own words. Pure.

"Unsubscribe" counts only as a clear request (RFC 2369, section 3.2): the whole subject of a mailto unsubscribe, its
address, or a first sentence that asks for it.
"""

import re

from mailer.bounces.mail import Part

_QUOTE = re.compile(
    r"^(?:>|on .{5,80} wrote:|am .{5,80} schrieb|le .{5,80} a [ée]crit|el .{5,80} escribi|il .{5,80} ha scritto"
    r"|den .{5,80} skrev"
    r"|op .{5,80} schreef|-{3,}|_{5,}|(?:from|von|de|fra|från|van|da): )",
    re.IGNORECASE,
)
_WORD = (
    r"(?:un-?subscri\w*|list-?unsubscribe|remove(?: me)?|signoff|opt[ -]?out|optout|stop|leave|abmelden|abbestellen"
    r"|austragen|avregistrera"
    r"|avprenumerera|avmeld\w*|afmeld\w*|frameld\w*|uitschrijven|d[ée]s(?:inscri\w*|abonn\w*)|baja|darse de baja"
    r"|disiscri\w*|cancella(?:mi|zione)?"
    r"|cancelar|descadastr\w*|отпис\w*|wypisz|odhl[áa]sit|配信停止|登録解除|退订|取消订阅|수신거부)"
)
_SUBJECT = re.compile(
    rf"^\W*{_WORD}\W*$|^\W*(?:un-?subscribe|list-unsubscribe|optout|signoff|abmelden|abbestellen"
    rf"|d[ée]sinscription)\b.{{0,120}}$",
    re.IGNORECASE,
)
_ANSWERED = re.compile(rf"^\W*(?:(?:re|aw|sv|tr|antw|r|vs): ?)+{_WORD}\W*$", re.IGNORECASE)
_TO = re.compile(
    r"(?:^|[<\s,\"])(?:un-?sub\w*|leave|opt-?out|remove|signoff|list-?unsub\w*)(?:[-+.=][^@\s]{0,200})?@"
    r"|[-+.](?:unsubscribe|leave|unsub)@",
    re.IGNORECASE,
)
_WORDS = re.compile(
    rf"^\W*{_WORD}\W*$"
    r"|(?:please |pls |bitte |kindly )?(?:remove|take|delete|unsubscribe|drop|get) (?:me|us|my (?:e-?mail|address"
    r"|name)|this (?:e-?mail|address))\b"
    r"|\b(?:me|us) off (?:this|your|the) (?:\w+ )?list|stop (?:sending|e-?mailing|mailing|contacting|spamming|these"
    r"|this)"
    r"|(?:do not|don't|never|stop) (?:e-?mail|mail|contact|send|write)(?:ing)? (?:to )?(?:me|us)\b|no longer (?:want"
    r"|wish) to (?:receive|get)"
    r"|(?:don't|do not) (?:want|wish) (?:to (?:receive|get)|any(?: more)?|these|your)|not interested.{0,30}remove"
    r"|opt (?:me )?out\b"
    r"|(?:i want|i(?:'d| would) like|wish) to (?:unsubscribe|opt out|be removed)|cancel my (?:subscription|newsletter)"
    r"|aus (?:dem|ihrem|eurem|der|ihrer) (?:e-?mail-?)?(?:verteiler|liste|mailingliste)|(?:bitte|m[öo]chte"
    r"|will).{0,60}(?:abmelden|abbestellen|austragen|entfernen|l[öo]schen)"
    r"|keine (?:weiteren )?(?:e-?mails|mails|newsletter|werbung|nachrichten) mehr|newsletter (?:abbestellen"
    r"|k[üu]ndigen)"
    r"|d[ée]s(?:in|a)(?:scri|bonn)|ne (?:plus|souhaite plus|veux plus) .{0,20}recevoir|(?:retire[rz]|supprime[rz]"
    r"|enleve[rz]|enlevez)[ -].{0,30}(?:liste|adresse)"
    r"|dar(?:me|nos)? de baja|d[ée]n?me de baja|no (?:quiero|deseo) (?:recibir|m[áa]s)|(?:quit|elimin|b[óo]rr)[ea]n?me"
    r"|cancella(?:mi|temi|re)|disiscri|non (?:voglio|desidero) (?:pi[ùu] )?ricevere|rimuove(?:te|re)mi|rimuovimi"
    r"|n[ãa]o (?:quero|desejo) (?:mais )?receber|(?:me )?(?:remov|descadastr|retir)(?:a|e|ar"
    r"|em)[ -]?(?:me)?\b.{0,20}lista|cancelar (?:a )?(?:minha )?(?:inscri|assinatura)"
    r"|avregistrera|avprenumerera|ta bort (?:mig|min)|sluta skicka|meld(?:e)? (?:meg|mig) (?:av|fra)|ta (?:mig"
    r"|meg) (?:bort|av)|fjern meg|fjern mig|vil ikke (?:ha|motta|modtage)"
    r"|afmeld|uitschrijven|schrijf (?:me|mij) uit|geen (?:e-?mails|mails|nieuwsbrief) meer|wypisa"
    r"|nie chc[ęe] (?:wi[ęe]cej )?otrzymywa"
    r"|отпи(?:сать|шите)|не (?:хочу|желаю) получать|удалите (?:меня|мой)|poista (?:minut|osoite)|配信(?:を)?(?:停止"
    r"|中止)|配信不要|メールを送らない|退订|取消订阅|不要再发",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"\bhow (?:do|can|to)\b|\bcolleague\b|\bwie kann\b|\?\s", re.IGNORECASE)
_FIRST_LINES = 6


def asks_by_mailto(mail: Part) -> bool:
    """Tell whether a mail program sent what a List-Unsubscribe header asks for: by its address or its whole subject."""
    subject = mail.subject.strip()
    return _SUBJECT.match(subject) is not None or any(_TO.search(value) for value in mail.get_all("to", "delivered-to"))


def asks_to_unsubscribe(mail: Part, text: str) -> bool:
    """Tell whether a person, or a mail program for a person, asks to be left alone."""
    if asks_by_mailto(mail) or _ANSWERED.match(mail.subject.strip()):
        return True
    if not (mail.subject.strip() or text.strip()):
        return True  # some mail programs send the mailto of List-Unsubscribe with nothing in it
    words = " ".join(_own_lines(text))
    return bool(words) and _WORDS.search(words) is not None and _QUESTION.search(words + " ") is None


def _own_lines(text: str) -> list[str]:
    """Return the first lines that the person wrote, the quoted mail cut off: it holds our own unsubscribe link."""
    lines: list[str] = []
    for line in text.splitlines():
        if _QUOTE.match(line.strip()):
            break
        if line.strip():
            lines.append(line.strip())
    return lines[:_FIRST_LINES]
